"""Our side of what comes after a version: what it would write to the index, and writing it. The embedded target.

    python -m benchmarks.ours.local WORK FOLDER [--records N] [--round R]

``load`` brings the last version of a project of ``benchmarks.ours.lake`` into an empty index, and into production. ``plan`` plans
the last version; ``push`` makes one with 1% of the records changed before the clock starts, and pushes it, planning included.
"""

import argparse
import time
from pathlib import Path

from benchmarks.measuring import said
from benchmarks.ours.lake import SHARE
from benchmarks.synthetic import DATASET, fill, open_synthetic


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["load", "plan", "push"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    with open_synthetic(given.folder) as project:
        if given.work == "push":
            fill(project, given.records, revision=project.versions(DATASET)[-1].number + 1, share=SHARE)
        started = time.perf_counter()
        plan = project.plan(DATASET) if given.work == "plan" else project.push(DATASET).plan
        seconds = time.perf_counter() - started
        if given.work == "load":
            project.verify(DATASET)
            project.promote(DATASET, by="bench")
    said(seconds=seconds, vectors=plan.vectors, writes=plan.writes)


if __name__ == "__main__":
    main()
