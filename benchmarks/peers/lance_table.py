"""Lance on the same records: a first table, 1% changed by ``merge_insert``, two states joined or told apart by its own ``delta``.

    python -m benchmarks.peers.lance_table WORK FOLDER --records N [--stable] [--round R]

``fill`` writes all records of revision 1, ``--stable`` with the row ids that ``delta`` asks for; ``index`` puts a BTREE on the ids;
``merge`` changes 1% of the records; ``copy`` writes the whole table as Parquet. ``revise`` deletes and merges what
``benchmarks.revised`` says, in two commits; ``diff`` joins the states before and after them on the id and compares hashes;
``delta`` asks for inserted rows, updated rows and the row ids of deleted ones: it has no way to choose columns. The columns are
those of our chunks that a reader needs. The dataset is open when the clock starts.
"""

import argparse
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.files import size
from benchmarks.measuring import said
from benchmarks.revised import OFFSET, REMOVED, STEP, counted, revised

_COMMITS = 2
"""Of ``revise``."""


def records(numbers: Sequence[int], revision: int, dimension: int) -> pa.Table:
    """Records of a revision: id, text, hash, vector."""
    random = np.random.default_rng([revision, numbers[0]])
    vectors = random.standard_normal((len(numbers), dimension), dtype=np.float32)
    texts = [f"document {n} revision {revision} speaks of item{n} and of nothing else" for n in numbers]
    return pa.table(
        {
            "id": pa.array([f"doc-{n:08d}" for n in numbers]),
            "text": pa.array(texts),
            "hash": pa.array([f"{revision:08x}{n:024x}" for n in numbers]),
            "vector": pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), dimension),
        }
    )


def fill(folder: Path, count: int, dimension: int, *, stable: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for start in range(0, count, 50_000):
        part = records(range(start, min(count, start + 50_000)), 1, dimension)
        mode = "create" if start == 0 else "append"
        lance.write_dataset(part, folder, mode=mode, enable_stable_row_ids=stable)
    said(seconds=0)


def merge(folder: Path, count: int, dimension: int, turn: int) -> None:
    changed = records(range(turn % STEP, count, STEP), turn + 2, dimension)
    before = size(folder)
    dataset = lance.dataset(folder)
    started = time.perf_counter()
    updated = _merged(dataset, changed)
    took = time.perf_counter() - started
    said(seconds=took, bytes=size(folder) - before, records=updated)


def index(folder: Path) -> None:
    started = time.perf_counter()
    lance.dataset(folder).create_scalar_index("id", "BTREE")
    said(seconds=time.perf_counter() - started)


def revise(folder: Path, count: int, dimension: int) -> None:
    updated, _, added = revised(count)
    dataset = lance.dataset(folder)
    dataset.delete(f"id LIKE '%{REMOVED:03d}'")
    _merged(dataset, records(np.concatenate([updated, added]).tolist(), OFFSET, dimension))
    said(seconds=0)


def _merged(dataset: lance.LanceDataset, changed: pa.Table) -> int:
    """Rows that were there and were updated, as Lance counts them."""
    done = dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(changed)
    return int(done["num_updated_rows"])


def copy(folder: Path) -> None:
    place = folder.with_suffix(".copy.parquet")
    dataset = lance.dataset(folder)
    started = time.perf_counter()
    copied = 0
    with pq.ParquetWriter(place, dataset.schema) as writer:
        for batch in dataset.to_batches(batch_size=16_384):
            writer.write_batch(batch)
            copied += batch.num_rows
    with place.open("rb") as file:
        os.fsync(file.fileno())
    took = time.perf_counter() - started
    written = place.stat().st_size
    place.unlink()
    said(seconds=took, bytes=written, records=copied)


def diff(folder: Path) -> None:
    newest = lance.dataset(folder)
    older = lance.dataset(folder, version=newest.version - _COMMITS)
    started = time.perf_counter()
    a, b = (one.to_table(columns=["id", "hash"]) for one in (older, newest))
    both = a.join(b, keys="id", join_type="full outer", right_suffix="_new")
    # A hash is never null: where one is, the record is not there. What compares with null is null, and counted by neither.
    new, old = (pc.is_null(both[name]) for name in ("hash", "hash_new"))
    other = pc.fill_null(pc.not_equal(both["hash"], both["hash_new"]), False)
    added, removed, updated = (pc.sum(one).as_py() or 0 for one in (new, old, other))
    said(seconds=time.perf_counter() - started, **counted(added, removed, updated))


def delta(folder: Path) -> None:
    newest = lance.dataset(folder)
    started = time.perf_counter()
    asked = newest.delta(begin_version=newest.version - _COMMITS, end_version=newest.version)
    readers = asked.get_inserted_rows(), asked.get_deleted_row_ids(), asked.get_updated_rows()
    added, removed, updated = (sum(batch.num_rows for batch in reader) for reader in readers)
    said(seconds=time.perf_counter() - started, **counted(added, removed, updated))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["fill", "index", "merge", "revise", "copy", "diff", "delta"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--stable", action="store_true")
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    if given.work == "fill":
        fill(given.folder, given.records, given.dimension, stable=given.stable)
    elif given.work == "index":
        index(given.folder)
    elif given.work == "revise":
        revise(given.folder, given.records, given.dimension)
    elif given.work == "merge":
        merge(given.folder, given.records, given.dimension, given.round)
    elif given.work == "copy":
        copy(given.folder)
    elif given.work == "delta":
        delta(given.folder)
    else:
        diff(given.folder)


if __name__ == "__main__":
    main()
