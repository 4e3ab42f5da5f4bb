"""Whole records, from the lake to a target's schema: in batches within the target's limits, so that memory holds one batch."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import pyarrow as pa

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.snapshots import read_vectors
from vector_pipeline.lake.tables import at, within
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import Capabilities, record_schema

WANTED_SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("record_id", pa.string()),
        ("id", pa.string()),
        ("added_in", pa.int64()),
        ("removed_in", pa.int64()),
    ]
)
"""Records to make: the lake's record id, the id to write it under, and its interval. Order by shard: a batch reads its shards."""

_PAGE_BYTES = 64_000_000
"""About what is read from the lake at once."""
_FIRST = 5
"""The first page is a fraction of the others: sending begins sooner."""


class Batches:
    """Records of ``wanted`` (``WANTED_SCHEMA``) as they stand in a version (``record_schema``), in batches within the limits.

    Reading begins with construction, page by page, in a thread of its own: while one page is being sent the next is read, so two
    are in memory. ``close`` it where it is not read to its end.
    """

    def __init__(self, lake: Lake, version: Version, wanted: pa.Table, limits: Capabilities) -> None:
        typical = 4 * version.dimension + 2_000
        self._limits = limits
        self._rows = min(limits.max_batch_records, max(1, limits.max_batch_bytes // typical))
        # Small batches are cut from a page: reading costs the shards of what is read, however little of them is wanted.
        page = max(self._rows, _PAGE_BYTES // typical)
        first = max(self._rows, page // _FIRST)
        ends = range(first, wanted.num_rows + page, page)
        bounds = zip((0, *ends), ends, strict=False)
        self._unread = deque(wanted.slice(begin, end - begin) for begin, end in bounds if begin < wanted.num_rows)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._version, self._lake = version, lake
        self._read: deque[Future[pa.Table]] = deque()
        # The first page is small: the second must not be waited for when it is sent.
        self._ahead(2)

    def _ahead(self, pages: int) -> None:
        while self._unread and len(self._read) < pages:
            self._read.append(self._pool.submit(records, self._lake, self._version, self._unread.popleft()))

    def __iter__(self) -> Iterator[pa.Table]:
        with self:
            while self._read:
                found = self._read.popleft().result()
                self._ahead(1)
                for begin in range(0, found.num_rows, self._rows):
                    # The row count is a guess from typical texts: what turns out too large is halved.
                    yield from _fitting(found.slice(begin, self._rows), self._limits.max_batch_bytes)

    def close(self) -> None:
        """Read no further. May be called twice."""
        self._unread.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def changes(lake: Lake, version: Version, wanted: pa.Table, limits: Capabilities) -> Iterator[pa.Table]:
    """Rows of ``wanted`` (shard, record_id and more columns) with the record's metadata, no vector: in batches."""
    rows = min(limits.max_batch_records, max(1, limits.max_batch_bytes // 2_000))
    for begin in range(0, wanted.num_rows, rows):
        some = wanted.slice(begin, rows)
        with lake.registered("wanted_records", some):
            shards = within([row[0] for row in lake.rows("SELECT DISTINCT shard FROM wanted_records")])
            found = lake.table(
                f"""SELECT w.*, c.metadata_hash, c.metadata FROM wanted_records w
                    JOIN (SELECT record_id, metadata_hash, metadata
                          FROM {at(tables_of(version).chunks, version.lake_snapshot)} WHERE {shards}) c USING (record_id)"""
            )
        if found.num_rows != some.num_rows:
            raise _lacking(version, some.num_rows - found.num_rows)
        yield from _fitting(found, limits.max_batch_bytes)


def _lacking(version: Version, count: int) -> RefusedError:
    return RefusedError(
        f"version {version.number} of {version.dataset} lacks {count} records or vectors in the lake",
        fix=f"Was it expired? See: vector-pipeline versions. What is in quarantine is made anew by: vector-pipeline build "
        f"{version.dataset}",
    )


def records(lake: Lake, version: Version, wanted: pa.Table) -> pa.Table:
    """Whole records of ``wanted``: all of them, or ``RefusedError``."""
    found = read_vectors(lake, tables_of(version), version.lake_snapshot, wanted)
    if found.num_rows != wanted.num_rows:
        raise _lacking(version, wanted.num_rows - found.num_rows)
    vectors = found["vector"].combine_chunks()
    return pa.table(
        [
            found["id"],
            pa.FixedSizeListArray.from_arrays(vectors.flatten(), version.dimension),
            found["document_id"],
            found["content_hash"],
            found["metadata_hash"],
            pa.repeat(pa.scalar(version.fingerprint), found.num_rows),
            found["added_in"],
            found["removed_in"],
            found["text"],
            found["metadata"],
        ],
        schema=record_schema(version.dimension),
    )


def _fitting(batch: pa.Table, limit: int) -> Iterator[pa.Table]:
    if batch.num_rows > 1 and batch.nbytes > limit:
        half = batch.num_rows // 2
        yield from _fitting(batch.slice(0, half), limit)
        yield from _fitting(batch.slice(half), limit)
    else:
        yield batch
