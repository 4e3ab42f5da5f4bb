"""Our side of what is measured on records without a source or a model: the lake and its versions.

    python -m benchmarks.ours WORK FOLDER [--records N] [--round R]

``fill`` makes the first version of a synthetic project. ``commit`` makes one with 1% of the records changed: documents, chunks and
vectors are in memory when the clock starts, and a numbered version is there when it stops. ``diff`` tells the last two versions
apart; ``join`` does so without the change feed.
"""

import argparse
import time
from pathlib import Path

from benchmarks.measuring import said
from benchmarks.synthetic import DATASET, fill, fresh_vectors, open_synthetic, stage, write_rows
from vector_pipeline.lake.diff import Side, diff_versions
from vector_pipeline.project import Project

SHARE = 0.01


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def commit(project: Project, folder: Path, records: int) -> None:
    """1% of the records, as the next version."""
    revision = project.versions(DATASET)[-1].number + 1
    stage(project, records, revision=revision, share=SHARE)
    vectors = list(fresh_vectors(project, revision))
    before = size(folder)
    started = time.perf_counter()
    write_rows(project, revision, vectors)
    rows_s = time.perf_counter() - started
    version = project.snapshot(DATASET, message=f"revision {revision}").version
    took = time.perf_counter() - started
    said(seconds=took, rows_s=rows_s, bytes=size(folder) - before, version=version.number)


def diff(project: Project, *, feed: bool) -> None:
    """The last two versions."""
    tables, lake = project.tables(DATASET), project.lake(read_only=True)
    old, new = project.versions(DATASET)[-2:]
    started = time.perf_counter()
    # The present has no number: both sides are read then.
    found = diff_versions(lake, Side(tables, old.lake_snapshot), Side(tables, new.lake_snapshot if feed else None))
    said(seconds=time.perf_counter() - started, changed=found.records_added + found.records_removed)


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["fill", "commit", "diff", "join"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    with open_synthetic(given.folder, given.dimension, memory=given.memory) as project:
        if given.work == "fill":
            started = time.perf_counter()
            fill(project, given.records, revision=1)
            said(seconds=time.perf_counter() - started, bytes=size(given.folder))
        elif given.work == "commit":
            commit(project, given.folder, given.records)
        else:
            diff(project, feed=given.work == "diff")


if __name__ == "__main__":
    main()
