"""Processes for ``test_duckdb_crash``: ``python duckdb_processes.py write|read ROOT``."""

import itertools
import os
import sys
import threading
from collections import Counter
from pathlib import Path

import pyarrow as pa

from vector_pipeline.targets.base import LIVE
from vector_pipeline.targets.duckdb import DuckDBTarget
from vector_pipeline.testing.target_records import make_records, unit_vectors

BATCH = 20


def write(root: Path) -> None:
    """Batches for ever: insert one, replace one whole, close one whole, delete one whole."""
    target = DuckDBTarget("writer", root)
    for number in itertools.count():
        batch = f"{os.getpid()}-{number}"
        ids = [f"{batch}#{index:02d}" for index in range(BATCH)]
        target.upsert("ns", make_records(ids, added_in=number + 1))
        if number % 3 == 1:
            target.upsert("ns", make_records(ids, added_in=number + 1, content="again"))
        if number % 3 == 2:
            target.set_removed("ns", pa.array(ids), number + 2)
        if number % 5 == 4:
            target.delete("ns", pa.array(ids))
        sys.stdout.write(f"landed {batch}\n")
        sys.stdout.flush()


def read(root: Path) -> None:
    """Read in a loop until a line comes in; every batch must be seen whole, in one state."""
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), done.set()), daemon=True).start()
    target = DuckDBTarget("reader", root, read_only=True)
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    reads, batches = 0, 0
    while not done.is_set():
        rows = [row for batch in target.scan("ns") for row in batch.to_pylist()]
        seen = Counter(row["id"].partition("#")[0] for row in rows)
        states = {(row["id"].partition("#")[0], row["removed_in"] == LIVE, row["content_hash"][0]) for row in rows}
        if set(seen.values()) - {BATCH} or len(states) != len(seen):
            sys.exit(f"half a batch: {seen} {states}")
        batches = len(seen)
        hits = target.query("ns", unit_vectors(3), top_k=BATCH)
        if batches and any(len(found) != BATCH for found in hits):
            sys.exit(f"{[len(found) for found in hits]} hits over {batches} batches")
        reads += 1
    sys.stdout.write(f"{reads} {batches}\n")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
