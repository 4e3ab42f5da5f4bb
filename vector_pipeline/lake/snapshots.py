"""A dataset's state in one space, as a snapshot: complete or refused, named by its content, read back for ever.

Laws
----
1. A snapshot is complete: every document has its chunks, every chunk its vector, and no key stands twice. What is not so is not
   described.
2. The digest is a function of the set of (record id, metadata hash) alone: not of order, shards, files, times or the run.
   Per shard it is a sha256 over the sorted rows; over shards a sha256 of those. Vectors are not read: content names them.
3. A described state is read back by its lake snapshot number, whatever was committed since.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from vector_pipeline.errors import CorruptError, RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.since import Changes, fill_changed_documents, removed_vectors, written_vectors
from vector_pipeline.lake.tables import SpaceTables, at, within

_IDENTITIES = pa.schema([("record_id", pa.string()), ("metadata_hash", pa.string())])


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a complete state is."""

    digest: str
    """32 hex characters."""
    lake_snapshot: int
    documents: int
    records: int


def describe_snapshot(
    lake: Lake, tables: SpaceTables, changes: Changes | None = None, digest: str | None = None
) -> SnapshotFacts:
    """Facts of the present state. ``RefusedError`` when documents lack chunks or chunks lack vectors.

    ``changes``: since a complete state and up to now, where they are known: law 1 is asked of them alone. ``digest``: of the state,
    where it is known.
    """
    snapshot = lake.snapshot_id() if changes is None else changes.until
    _fill_looked_at(lake, tables, snapshot, changes)
    _require_complete(lake, tables, snapshot)
    _require_unique(lake, tables, snapshot, changes)
    # Each document once, and none without a record: so much is known now.
    documents, records = lake.row(
        f"""SELECT (SELECT count(*) FROM {at(tables.dataset.documents, snapshot)} d),
                   (SELECT count(*) FROM {at(tables.chunks, snapshot)} c)"""
    )
    known = digest if digest is not None else describe_digest(lake, tables, snapshot)
    return SnapshotFacts(known, snapshot, int(documents), int(records))


def describe_digest(lake: Lake, tables: SpaceTables, snapshot: int | None) -> str:
    """Digest of a state as it reads back now: equal to the one it was made with, or something is corrupt."""
    shards = shard_digests(lake, tables, snapshot)
    lines = "".join(f"{shard}:{value}\n" for shard, value in sorted(shards.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:32]


def shard_digests(lake: Lake, tables: SpaceTables, snapshot: int | None) -> dict[int, str]:
    """Digest of each shard that holds a record: of its rows, sorted, with a line end between two."""
    digests: dict[int, hashlib._Hash] = {}
    lines = lake.stream(
        f"""SELECT shard, chr(10) || record_id || metadata_hash AS line FROM {at(tables.chunks, snapshot)} c
            ORDER BY shard, record_id""",
        rows=65_536,
    )
    for batch in lines:
        shards, column = (
            batch.column("shard").to_numpy(zero_copy_only=False),
            batch.column("line").cast(pa.large_string()),
        )
        _, offsets, data = column.buffers()
        if data is None:
            continue
        ends = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        borders = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]
        for first, last in pairwise(borders):
            start, end = int(ends[first]), int(ends[last])
            found = digests.get(int(shards[first]))
            if found is None:  # Before the first row of a shard there is no line end.
                found, start = digests.setdefault(int(shards[first]), hashlib.sha256()), start + 1
            found.update(memoryview(data)[start:end])
    return {shard: found.hexdigest()[:32] for shard, found in digests.items()}


def _fill_looked_at(lake: Lake, tables: SpaceTables, snapshot: int, changes: Changes | None) -> None:
    """Temporary tables of documents, chunks and contents of chunks that law 1 is asked of."""
    only, lost = "", ""
    if changes is not None:
        fill_changed_documents(lake, tables, changes)
        only = "WHERE document_id IN (FROM changed_documents)"
        if changes.embeddings:
            lost = f"""UNION SELECT shard, content_hash FROM {at(tables.chunks, snapshot)} c
                       SEMI JOIN {removed_vectors(tables, changes)} gone USING (shard, content_hash)"""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE looked_documents AS
            SELECT document_id, digest FROM {at(tables.dataset.documents, snapshot)} d {only}"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE looked_chunks AS
            SELECT shard, document_id, document_digest, content_hash, record_id FROM {at(tables.chunks, snapshot)} c {only}"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE looked_contents AS
            SELECT DISTINCT shard, content_hash FROM looked_chunks {lost}"""
    )


def _require_complete(lake: Lake, tables: SpaceTables, snapshot: int) -> None:
    unchunked, orphaned, unembedded = lake.row(
        f"""SELECT (SELECT count(*) FROM looked_documents d WHERE NOT EXISTS
                       (FROM looked_chunks c WHERE c.document_id = d.document_id AND c.document_digest = d.digest)),
                   (SELECT count(DISTINCT document_id) FROM looked_chunks ANTI JOIN looked_documents USING (document_id)),
                   (SELECT count(*) FROM looked_contents n
                       ANTI JOIN {at(tables.embeddings, snapshot)} e USING (shard, content_hash))"""
    )
    if unchunked or orphaned or unembedded:
        raise RefusedError(
            f"{tables.dataset.dataset}: no version can be made: {unchunked} documents without their chunks, "
            f"{orphaned} removed documents with chunks, {unembedded} chunks without a vector",
            fix="Materialise every shard of chunks and embeddings: vector-pipeline build",
        )


def _require_unique(lake: Lake, tables: SpaceTables, snapshot: int, changes: Changes | None) -> None:
    every = f"SELECT shard, content_hash FROM {at(tables.embeddings, snapshot)} e"
    written = (
        every
        if changes is None
        else f"{every} SEMI JOIN {written_vectors(tables, changes)} w USING (shard, content_hash)"
    )
    documents, records, vectors = lake.row(
        f"""SELECT (SELECT count(*) - count(DISTINCT document_id) FROM looked_documents),
                   (SELECT count(*) - count(DISTINCT record_id) FROM looked_chunks),
                   (SELECT count(*) - count(DISTINCT (shard, content_hash)) FROM ({written}))"""
    )
    if documents or records or vectors:
        raise CorruptError(
            f"{tables.dataset.dataset}: {documents} documents, {records} chunks and {vectors} vectors stand twice in the lake",
            fix="Two writers without a common registry? Build under another dataset name, and report this",
        )


def read_vectors(lake: Lake, tables: SpaceTables, snapshot: int | None, wanted: pa.Table) -> pa.Table:
    """Whole records of ``wanted`` [shard, record_id, id, added_in, removed_in]: what it says, with text, metadata and vector.

    Only the shards that ``wanted`` names are read: give it rows ordered by shard, and a batch costs its shards.
    """
    with lake.registered("wanted_records", wanted):
        shards = within([row[0] for row in lake.rows("SELECT DISTINCT shard FROM wanted_records")])
        return lake.table(
            f"""SELECT w.id, w.added_in, w.removed_in, c.record_id, c.document_id, c.content_hash, c.metadata_hash, c.text,
                       c.metadata, e.vector
                FROM (SELECT * FROM {at(tables.chunks, snapshot)} WHERE {shards}) c
                JOIN wanted_records w ON w.record_id = c.record_id
                JOIN (SELECT * FROM {tables.embeddings} WHERE {shards}) e
                  ON e.shard = c.shard AND e.content_hash = c.content_hash"""
        )


def read_identities(lake: Lake, tables: SpaceTables, snapshot: int | None) -> pa.RecordBatchReader:
    """Record id and metadata hash of every record at a lake snapshot, read once: what proves an index complete."""
    batches = lake.stream(f"SELECT record_id, metadata_hash FROM {at(tables.chunks, snapshot)}", rows=65_536)
    return pa.RecordBatchReader.from_batches(_IDENTITIES, batches)
