"""The benchmark's command. Its work stands in ``run``: processes that are started anew find it there."""

import sys

from benchmarks.gates.run import main

if __name__ == "__main__":
    sys.exit(main())
