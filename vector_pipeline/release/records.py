"""Whole records, from the lake to a target's schema: in batches within the target's limits, so that memory holds one batch."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import Self

import pyarrow as pa

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.between import stream_placed
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.spool import spooled
from vector_pipeline.lake.tables import at, within
from vector_pipeline.lake.whole_records import read_records, stream_records
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
"""Records to make: the lake's record id, the id to write it under, and its interval. In groups of whole shards, in their order."""

Tables = Generator[pa.Table, None, None]
"""Made one after the other, from a file that is there until they end, or are closed."""
_PAGE_BYTES = 64_000_000
"""About what is read from the lake before it is sent: two of these are in memory."""
_PAGES_AHEAD = 2


class Batches:
    """Records of ``wanted`` (groups of ``WANTED_SCHEMA``) as they stand in a version (``record_schema``), in batches within limits.

    Reading begins with construction, in a thread of its own: while one page is being sent the next is read. ``close`` it where it
    is not read to its end. ``RefusedError`` at the end where the lake lacks some of them.
    """

    def __init__(self, lake: Lake, version: Version, wanted: Iterable[pa.Table], limits: Capabilities) -> None:
        typical = 4 * version.dimension + 2_000
        self._limits = limits
        self._rows = min(limits.max_batch_records, max(1, limits.max_batch_bytes // typical))
        self._page = max(self._rows, min(16_384, _PAGE_BYTES // typical))
        self._version, self._lake, self._wanted = version, lake, wanted
        self._read: queue.Queue[pa.Table | BaseException | None] = queue.Queue(_PAGES_AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._reading, name="read", daemon=True)
        self._thread.start()

    def _reading(self) -> None:
        end: BaseException | None = None
        try:
            for page in records_of(self._lake, self._version, self._wanted, self._page):
                self._read.put(page)
                if self._closed.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 (raised again by whoever reads)
            end = error
        self._read.put(end)

    def __iter__(self) -> Iterator[pa.Table]:
        with self:
            while (found := self._read.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                for begin in range(0, found.num_rows, self._rows):
                    # The row count is a guess from typical texts: what turns out too large is halved.
                    yield from _fitting(found.slice(begin, self._rows), self._limits.max_batch_bytes)

    def close(self) -> None:
        """Read no further. May be called twice."""
        self._closed.set()
        while self._thread.is_alive():
            # It may be waiting for room: one place is enough for it to see that nobody reads.
            with suppress(queue.Empty):
                self._read.get_nowait()
            self._thread.join(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def whole_records(lake: Lake, version: Version, query: str, limits: Capabilities) -> Tables:
    """Records of a query (``WANTED_SCHEMA``, ordered by shard) that sees this thread's temporary tables: as ``Batches``."""
    with spooled(lake, query) as wanted, Batches(lake, version, wanted, limits) as batches:
        yield from batches


def changed_records(lake: Lake, version: Version, query: str, limits: Capabilities) -> Tables:
    """The same without vectors: the query's columns, with the record's metadata."""
    with spooled(lake, query) as wanted:
        for group in wanted:
            yield from _changed(lake, version, group, limits)


def _changed(lake: Lake, version: Version, wanted: pa.Table, limits: Capabilities) -> Iterator[pa.Table]:
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


def records_of(lake: Lake, version: Version, wanted: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Whole records of ``wanted`` (groups of whole shards), in tables of at most so many; ``RefusedError`` unless all came."""
    lacking = 0
    for group in wanted:
        # Whoever knows where they stand says so.
        stream = stream_placed if "vector_place" in group.schema.names else stream_records
        lacking += group.num_rows
        for found in stream(lake, tables_of(version), version.lake_snapshot, group, version.dimension, rows=rows):
            lacking -= found.num_rows
            yield _as_record(found, version)
    if lacking:
        raise _lacking(version, lacking)


def records(lake: Lake, version: Version, wanted: pa.Table) -> pa.Table:
    """Whole records of ``wanted``: all of them, or ``RefusedError``."""
    found = read_records(lake, tables_of(version), version.lake_snapshot, wanted, version.dimension)
    came = 0 if found is None else found.num_rows
    if came != wanted.num_rows:
        raise _lacking(version, wanted.num_rows - came)
    return record_schema(version.dimension).empty_table() if found is None else _as_record(found, version)


def _as_record(found: pa.Table, version: Version) -> pa.Table:
    return pa.table(
        [
            found["id"],
            found["vector"],
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
