"""Our side of ``update``: source to version without Dagster, in a process of its own.

``--revision N`` puts that revision of the source before us and then starts the clock; ``--again`` writes what was read last once
more; without either the source stays as it was, down to its time. The clock covers ``Project.load`` to the version: lake and
registry are opened within it.
"""

import argparse
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

# Arrow and DuckDB import these with the first table that they are given. Every side has its libraries before its clock starts.
import pandas as pd  # noqa: F401
import pyarrow.dataset  # noqa: F401

from benchmarks.measuring import said
from benchmarks.update_source import SOURCE, show
from vector_pipeline.config import RecordSourceConfig
from vector_pipeline.corpus.records import RecordSource
from vector_pipeline.lake.connection import CATALOG
from vector_pipeline.project import Project

_DATASET = "bench"
_CONFIG = f"""
environments:
  dev:
    lake: {{memory_limit: 4GB}}
    targets:
      local: {{kind: duckdb, path: index.duckdb}}
datasets:
  {_DATASET}:
    source: {{kind: jsonl, path: {SOURCE}, metadata: [topic]}}
    spaces:
      hashed:
        embedder: {{kind: deterministic, model: synthetic}}
        chunker: {{kind: whole}}
    target: local
"""


def _read(project: Project) -> int:
    """Rows of the source, read and thrown away: what a changed file costs before anything is compared."""
    source = project.dataset(_DATASET).source
    assert isinstance(source, RecordSourceConfig)
    return sum(batch.num_rows for batch in RecordSource(source, project.base).batches())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True, help="folder of revisions: 0.jsonl, 1.jsonl, …")
    parser.add_argument("--revision", type=int, default=None)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--listing", action="store_true", help="read the source once more, alone, after the clock")
    parser.add_argument("--round", type=int, default=0)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vector_pipeline.yaml").write_text(_CONFIG, encoding="utf-8")
    if arguments.revision is not None:
        show(folder, arguments.sources / f"{arguments.revision + arguments.round}.jsonl")
    if arguments.again:
        # A file of its own: the one that is there is everybody's.
        again = folder / "again"
        shutil.copyfile(folder / SOURCE, again)
        again.replace(folder / SOURCE)

    began, started = datetime.now(UTC), time.perf_counter()
    with Project.load(folder / "vector_pipeline.yaml") as project:
        loaded = time.perf_counter()
        counts = project.sync(_DATASET)
        synced = time.perf_counter()
        project.chunk(_DATASET)
        chunked = time.perf_counter()
        embedded = project.embed(_DATASET)
        given = time.perf_counter()
        made = project.snapshot(_DATASET)
        ended = time.perf_counter()
        commits = project.lake().row(f"SELECT count(*) FROM {CATALOG}.snapshots() WHERE snapshot_time >= ?", [began])[0]
        listing: float | None = None
        if arguments.listing:
            listing = time.perf_counter()
            _read(project)
            listing = time.perf_counter() - listing
    said(
        seconds=ended - started, changed=counts.touched, embedded=embedded.embedded, version=made.version.number, commits=commits,
        open_s=loaded - started, sync_s=synced - loaded, chunk_s=chunked - synced, embed_s=given - chunked, version_s=ended - given,
        **({"listing_s": listing} if listing is not None else {}),
    )  # fmt: skip


if __name__ == "__main__":
    main()
