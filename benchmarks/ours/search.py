"""Our side of searches: the DuckDB target's ``query``, version filter and metadata filter on (off with ``--plain``).

    python -m benchmarks.ours.search WORK FOLDER --data FOLDER [--plain] [--hnsw] [--memory 2GB] [--batch N] [--round R]

``fill`` pushes the vectors as records into a new namespace and merges its files. ``exact`` and ``near`` search for all queries, one
by one or ``--batch`` at once; what a process does once (opening files, reading vectors into memory) comes before the clock, and is
counted as ``first_s``. A target holds vectors in memory where half of ``--memory`` is enough for them, and reads its files where it
is not; ``--hnsw`` (the target's ``hnsw: true``) has a graph of each big file propose what is looked at then, in ``near`` alone.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import pyarrow as pa

from benchmarks import vectors
from benchmarks.measuring import said
from benchmarks.vectors import KINDS, TOP_K, VERSION, Data, unfiltered
from vector_pipeline.targets.base import NamespaceSpec, record_schema
from vector_pipeline.targets.duckdb import DuckDBTarget

SPACE = "0123456789abcdef"
SPEC = NamespaceSpec("search", vectors.DIMENSION, "cosine", SPACE)
FILTER = {"kind": KINDS[vectors.KIND]}
_STEP = 50_000


def records(data: Data, start: int) -> pa.Table:
    """The records from ``start``, at most a write's worth."""
    rows = data.vectors[start : start + _STEP]
    numbers = range(start, start + len(rows))
    ids = [vectors.record_id(number) for number in numbers]
    described = [
        json.dumps({"kind": KINDS[kind], "page": number % 97})
        for number, kind in zip(numbers, data.kinds[start:], strict=False)
    ]
    columns = {
        "id": ids,
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), vectors.DIMENSION),
        "document_id": [name[:8] for name in ids],
        "content_hash": [name[1:] for name in ids],
        "metadata_hash": ids,
        "space": [SPACE] * len(ids),
        "added_in": data.added[start : start + len(rows)],
        "removed_in": data.removed[start : start + len(rows)],
        "text": [f"What record {number} says, in a sentence or two of its own." for number in numbers],
        "metadata": described,
    }
    schema = record_schema(vectors.DIMENSION)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def fill(target: DuckDBTarget, data: Data) -> None:
    started = time.perf_counter()
    target.drop_namespace(SPEC.name)
    target.ensure_namespace(SPEC)
    for start in range(0, len(data.vectors), _STEP):
        target.upsert(SPEC.name, records(data, start))
    target.purge(SPEC.name)
    said(seconds=time.perf_counter() - started)


def search(target: DuckDBTarget, data: Data, batch: int, count: int, *, exact: bool, plain: bool) -> None:
    """Seconds of a query: the median over batches, divided by their size."""
    version, where = (None, None) if plain else (VERSION, FILTER)

    def ask(start: int) -> list[list[int]]:
        asked = data.queries[start : start + batch]
        hits = target.query(SPEC.name, asked, top_k=TOP_K, version=version, filter=where, exact=exact)
        return [[int(hit.id[1:8]) for hit in found] for found in hits]

    started = time.perf_counter()
    held = target.hold(SPEC.name)
    for start in (-2 * batch, -3 * batch):  # not those that are measured
        ask(start)
    first = time.perf_counter() - started
    found: list[list[int]] = []
    took = []
    for start in range(0, count - batch + 1, batch):
        started = time.perf_counter()
        found += ask(start)
        took.append((time.perf_counter() - started) / batch)
    known = unfiltered(data) if plain else data
    said(seconds=statistics.median(took), recall=known.recall(found), first_s=first, held=held, slowest_s=max(took))


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["fill", "exact", "near"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--hnsw", action="store_true")
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--queries", type=int, default=128)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    data = vectors.load(given.data)
    target = DuckDBTarget("local", given.folder, memory_limit=given.memory, hnsw=given.hnsw)
    try:
        if given.work == "fill":
            fill(target, data)
        else:
            search(target, data, given.batch, given.queries, exact=given.work == "exact", plain=given.plain)
    finally:
        target.close()


if __name__ == "__main__":
    main()
