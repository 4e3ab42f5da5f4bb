"""Lance on the same records: a first table, 1% changed by ``merge_insert``, two versions joined.

    python -m benchmarks.peers.lance_table WORK FOLDER --records N [--round R]

``fill`` writes all records of revision 1, ``merge`` changes 1% of them, ``copy`` writes the whole table as Parquet, ``diff`` joins
the last two versions on id and hash. The columns are those of our chunks that a reader needs.
"""

import argparse
import os
import shutil
import time
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import said

STEP = 100


def records(numbers: range, revision: int, dimension: int) -> pa.Table:
    """Records of a revision: id, text, hash, vector."""
    random = np.random.default_rng([revision, numbers.start])
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


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def fill(folder: Path, count: int, dimension: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for start in range(0, count, 50_000):
        part = records(range(start, min(count, start + 50_000)), 1, dimension)
        lance.write_dataset(part, folder, mode="create" if start == 0 else "append")
    said(seconds=0)


def merge(folder: Path, count: int, dimension: int, turn: int) -> None:
    changed = records(range(turn % STEP, count, STEP), turn + 2, dimension)
    before = size(folder)
    started = time.perf_counter()
    dataset = lance.dataset(folder)
    dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(changed)
    took = time.perf_counter() - started
    said(seconds=took, bytes=size(folder) - before, records=changed.num_rows)


def copy(folder: Path) -> None:
    place = folder.with_suffix(".copy.parquet")
    started = time.perf_counter()
    dataset = lance.dataset(folder)
    with pq.ParquetWriter(place, dataset.schema) as writer:
        for batch in dataset.to_batches(batch_size=16_384):
            writer.write_batch(batch)
    with place.open("rb") as file:
        os.fsync(file.fileno())
    took = time.perf_counter() - started
    written = place.stat().st_size
    place.unlink()
    said(seconds=took, bytes=written)


def diff(folder: Path) -> None:
    started = time.perf_counter()
    newest = lance.dataset(folder)
    older = lance.dataset(folder, version=newest.version - 1)
    a, b = (one.to_table(columns=["id", "hash"]) for one in (older, newest))
    both = a.join(b, keys="id", join_type="full outer", right_suffix="_new")
    changed = both.filter(pa.compute.not_equal(both["hash"], both["hash_new"])).num_rows
    said(seconds=time.perf_counter() - started, changed=changed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["fill", "merge", "copy", "diff"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    if given.work == "fill":
        fill(given.folder, given.records, given.dimension)
    elif given.work == "merge":
        merge(given.folder, given.records, given.dimension, given.round)
    elif given.work == "copy":
        copy(given.folder)
    else:
        diff(given.folder)


if __name__ == "__main__":
    main()
