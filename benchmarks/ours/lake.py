"""Our side of what is measured on records without a source or a model: the lake and its versions.

    python -m benchmarks.ours.lake WORK FOLDER [--records N] [--round R]

``fill`` makes the first version of a synthetic project. ``commit`` makes one with 1% of the records changed: documents, chunks and
vectors are in memory when the clock starts, and a numbered version is there when it stops. ``revise`` makes one that differs from
the first in 1% (``benchmarks.revised``). ``diff`` tells the last two versions apart, from an open lake; ``join`` does so without
the change feed. ``files`` writes the last version as files for an import, ``copy`` copies those.
"""

import argparse
import os
import shutil
import time
from pathlib import Path

from benchmarks.files import size
from benchmarks.measuring import said
from benchmarks.revised import KEPT, OFFSET, REMOVED, counted, reach
from benchmarks.synthetic import DATASET, fill, fresh_vectors, open_synthetic, stage, write_rows
from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.lake.diff import Side, diff_versions
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project
from vector_pipeline.release.importing import reading
from vector_pipeline.release.records import whole_records
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE, NamespaceSpec
from vector_pipeline.targets.checks import conform
from vector_pipeline.targets.pinecone.abilities import abilities
from vector_pipeline.targets.pinecone.files import Folder, rows_of

SHARE = 0.01
_MOST_COPIED = 4_000_000_000


def commit(project: Project, folder: Path, records: int) -> None:
    """1% of the records, as the next version."""
    revision = project.versions(DATASET)[-1].number + 1
    stage(project, records, revision=revision, share=SHARE)
    vectors = list(fresh_vectors(project, revision))
    before = size(folder)
    started = time.perf_counter()
    write_rows(project, revision, vectors)
    rows_s = time.perf_counter() - started
    made = project.snapshot(DATASET, message=f"revision {revision}")
    took = time.perf_counter() - started
    said(
        seconds=took, rows_s=rows_s, bytes=size(folder) - before, version=made.version.number,
        records=made.diff.records_added if made.diff else 0,
    )  # fmt: skip


def revise(project: Project, records: int) -> None:
    """The second version: as ``benchmarks.revised`` has it, by id."""
    stage(project, reach(records), revision=OFFSET, share=SHARE)
    lake, documents = project.lake(), project.tables(DATASET).dataset.documents
    there = f"document_id < 'doc-{records:08d}'"
    lake.run(
        f"DELETE FROM fresh WHERE {there} AND (document_id LIKE '%{REMOVED:03d}' OR document_id LIKE '%{KEPT:03d}')"
    )
    removed = f"DELETE FROM {documents} WHERE {there} AND document_id LIKE '%{REMOVED:03d}'"
    lake.transaction(lambda: lake.run(removed), "documents removed")
    write_rows(project, OFFSET, fresh_vectors(project, OFFSET))
    project.snapshot(DATASET, message="revised")


def diff(project: Project, *, feed: bool) -> None:
    """The last two versions. A document is one record here: one that changed is a record removed and one added."""
    tables, lake = project.tables(DATASET), project.lake(read_only=True)
    old, new = project.versions(DATASET)[-2:]
    started = time.perf_counter()
    # The present has no number: both sides are read then.
    found = diff_versions(lake, Side(tables, old.lake_snapshot), Side(tables, new.lake_snapshot if feed else None))
    took = time.perf_counter() - started
    told = counted(found.documents_added, found.documents_removed, found.documents_changed)
    said(seconds=took, records=found.records_added + found.records_removed, **told)


def write_files(project: Project, folder: Path) -> int:
    """Every record of the last version as Parquet for Pinecone's bulk import, as a first load writes them; bytes, on the disk."""
    lake, version = project.lake(read_only=True), project.versions(DATASET)[-1]
    every = f"""SELECT shard, record_id, record_id AS id, 1::BIGINT AS added_in, {LIVE}::BIGINT AS removed_in
        FROM {at(tables_of(version).chunks, version.lake_snapshot)} c ORDER BY shard"""
    limits = reading(abilities(PineconeTargetConfig(kind="pinecone", index="any", import_uri=str(folder))))
    spec = NamespaceSpec("all", version.dimension, version.metric, version.fingerprint)
    rows = (rows_of(conform(batch, spec, limits)) for batch in whole_records(lake, version, every, limits))
    written = Folder(str(folder), folder).write("import", rows)
    _flushed(folder / "import")
    return written


def copy_files(folder: Path) -> int:
    """Those files, or the first 4 GB of them, by the kernel, on the disk; bytes."""
    (folder / "copy").mkdir(exist_ok=True)
    copied = 0
    for file in sorted((folder / "import").rglob("*.parquet")):
        if copied < _MOST_COPIED:
            shutil.copyfile(file, folder / "copy" / file.name)
            copied += file.stat().st_size
    _flushed(folder / "copy")
    shutil.rmtree(folder / "copy")
    return copied


def _flushed(folder: Path) -> None:
    """Until the disk has it."""
    for file in folder.rglob("*.parquet"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["fill", "commit", "revise", "diff", "join", "files", "copy"])
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
        elif given.work == "revise":
            started = time.perf_counter()
            revise(project, given.records)
            said(seconds=time.perf_counter() - started)
        elif given.work == "files":
            started = time.perf_counter()
            written = write_files(project, given.folder)
            said(seconds=time.perf_counter() - started, bytes=written)
        elif given.work == "copy":
            started = time.perf_counter()
            copied = copy_files(given.folder)
            said(seconds=time.perf_counter() - started, bytes=copied)
        else:
            diff(project, feed=given.work == "diff")


if __name__ == "__main__":
    main()
