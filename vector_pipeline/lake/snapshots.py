"""A dataset's state in one space, as a snapshot: complete or refused, named by its content, read back for ever.

Laws
----
1. A snapshot is complete: every document has its chunks, every chunk its vector, and no key stands twice. What is not so is not
   described.
2. The digest is a function of the set of (record id, metadata hash) alone: not of order, shards, files, times or the run. Of a
   shard it is the sum of its rows' hashes (``sums``); over shards a sha256 of those. Vectors are not read: content names them.
3. A described state is read back by its lake snapshot number, whatever was committed since.
4. What was described last is kept in the lake's own catalog. A state after it is described by what changed since (``lake.since``),
   and from nothing where that cannot be told: both find the same.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.errors import CorruptError, RefusedError
from vector_pipeline.lake import since
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.sums import CONTENT, DOCUMENT, Sum, as_text, rows_of, sums
from vector_pipeline.lake.tables import SpaceTables, at

_IDENTITIES = pa.schema([("record_id", pa.string()), ("metadata_hash", pa.string())])


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a complete state is."""

    digest: str
    """32 hex characters."""
    shard_digests: dict[int, str]
    lake_snapshot: int
    documents: int
    records: int


def describe_snapshot(lake: Lake, tables: SpaceTables) -> SnapshotFacts:
    """Facts of the present state. ``RefusedError`` when documents lack chunks or chunks lack vectors."""
    snapshot = lake.snapshot_id()
    known = since.described(lake, tables)
    found = None if known is None else since.advanced(lake, tables, known, snapshot)
    if found is None:
        _require_complete(lake, tables, snapshot)
        _require_unique(lake, tables, snapshot)
        found = since.Described(
            snapshot,
            sums(lake, at(tables.dataset.documents, snapshot), known_by=DOCUMENT),
            sums(lake, at(tables.chunks, snapshot)),
            sums(lake, at(tables.embeddings, snapshot), known_by=CONTENT),
        )
    if found != known:
        since.keep(lake, tables, found)
    return SnapshotFacts(
        combined(found.chunks), _digests(found.chunks), snapshot,
        documents=rows_of(found.documents), records=rows_of(found.chunks),
    )  # fmt: skip


def describe_digest(lake: Lake, tables: SpaceTables, snapshot: int | None) -> str:
    """Digest of a state as it reads back now: equal to the one it was made with, or something is corrupt."""
    return combined(sums(lake, at(tables.chunks, snapshot)))


def shard_digests(lake: Lake, tables: SpaceTables, snapshot: int | None) -> dict[int, str]:
    """Digest of each shard that holds a record."""
    return _digests(sums(lake, at(tables.chunks, snapshot)))


def _digests(shards: Mapping[int, Sum]) -> dict[int, str]:
    return {shard: as_text(one) for shard, one in sorted(shards.items())}


def combined(shards: Mapping[int, Sum]) -> str:
    """Law 2's digest."""
    lines = "".join(f"{shard}:{value}\n" for shard, value in _digests(shards).items())
    return hashlib.sha256(lines.encode()).hexdigest()[:32]


def _require_complete(lake: Lake, tables: SpaceTables, snapshot: int) -> None:
    unchunked, orphaned, unembedded = lake.row(
        f"""WITH d AS (SELECT document_id, digest FROM {at(tables.dataset.documents, snapshot)}),
            c AS (SELECT shard, document_id, document_digest, content_hash FROM {at(tables.chunks, snapshot)})
            SELECT (SELECT count(*) FROM d WHERE NOT EXISTS
                       (FROM c WHERE c.document_id = d.document_id AND c.document_digest = d.digest)),
                   (SELECT count(DISTINCT document_id) FROM c ANTI JOIN d USING (document_id)),
                   (SELECT count(*) FROM (SELECT DISTINCT shard, content_hash FROM c) n
                       ANTI JOIN {at(tables.embeddings, snapshot)} e USING (shard, content_hash))"""
    )
    if unchunked or orphaned or unembedded:
        raise RefusedError(
            f"{tables.dataset.dataset}: no version can be made: {unchunked} documents without their chunks, "
            f"{orphaned} removed documents with chunks, {unembedded} chunks without a vector",
            fix="Materialise every shard of chunks and embeddings: vector-pipeline build",
        )


def _require_unique(lake: Lake, tables: SpaceTables, snapshot: int) -> None:
    documents, records, vectors = lake.row(
        f"""SELECT (SELECT count(*) - count(DISTINCT document_id) FROM {at(tables.dataset.documents, snapshot)} d),
                   (SELECT count(*) - count(DISTINCT record_id) FROM {at(tables.chunks, snapshot)} c),
                   (SELECT count(*) - count(DISTINCT (shard, content_hash)) FROM {at(tables.embeddings, snapshot)} e)"""
    )
    if documents or records or vectors:
        raise CorruptError(
            f"{tables.dataset.dataset}: {documents} documents, {records} chunks and {vectors} vectors stand twice in the lake",
            fix="Two writers without a common registry? Build under another dataset name, and report this",
        )


def read_identities(lake: Lake, tables: SpaceTables, snapshot: int | None) -> pa.RecordBatchReader:
    """Record id and metadata hash of every record at a lake snapshot, read once: what proves an index complete."""
    batches = lake.stream(f"SELECT record_id, metadata_hash FROM {at(tables.chunks, snapshot)}", rows=65_536)
    return pa.RecordBatchReader.from_batches(_IDENTITIES, batches)
