"""Counts of what was survived: kills, deaths, faults. Tests add to the file that ``$VECTOR_PIPELINE_SURVIVED`` names, if it does;
``python -m tests.survived FILE`` sums it up.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

VARIABLE = "VECTOR_PIPELINE_SURVIVED"


def survived(kind: str, count: int) -> None:
    """One line, appended whole: several test processes may share the file."""
    path = os.environ.get(VARIABLE)
    if path and count:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps([kind, count]) + "\n")


def main(path: Path) -> int:
    """Print the sums; 1 when nothing was survived, for then nothing was shown."""
    sums: Counter[str] = Counter()
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, count = json.loads(line)
            sums[kind] += count
    for kind, count in sorted(sums.items()):
        sys.stdout.write(f"survived {count:>6,} {kind}\n")
    if not sums:
        sys.stdout.write("nothing was survived: no test ran to its end\n")
    return 0 if sums else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
