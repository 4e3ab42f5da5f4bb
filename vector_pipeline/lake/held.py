"""What each shard of a table holds now: how many rows, and a sum over what they are known by.

Laws
----
1. What is told is what reading the table whole would find. It comes of what was described last (``since``) and what changed in this
   table since; where that cannot be told, ids and hashes of the selected shards are read, and never a text or a vector.
2. The state need not be complete, and nothing is kept of it.
"""

from collections.abc import Sequence

from vector_pipeline.lake import since
from vector_pipeline.lake.changes import find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.sums import CONTENT, DOCUMENT, RECORD, Shards, moved, rows_of, sums
from vector_pipeline.lake.tables import DatasetTables, SpaceTables, at, within


def documents_held(lake: Lake, tables: DatasetTables, shards: Sequence[int] | None) -> Shards:
    """Documents of the shards (None: all) that have any, by id and digest."""
    known = since.newest(lake, tables.dataset)
    before = None if known is None else (known.snapshot, known.documents)
    return _held(lake, tables, "documents", ("document_id", "digest"), DOCUMENT, before, shards)


def chunks_held(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> Shards:
    """Chunks of the shards that have any, by record id and metadata: a version's digest is made of these."""
    known = since.described(lake, tables)
    before = None if known is None else (known.snapshot, known.chunks)
    return _held(lake, tables.dataset, tables.chunk_table, ("record_id", "metadata_hash"), RECORD, before, shards)


def vectors_held(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> Shards:
    """Vectors of the shards that have any, by content."""
    known = since.described(lake, tables)
    before = None if known is None else (known.snapshot, known.vectors)
    return _held(lake, tables.dataset, tables.embedding_table, ("content_hash",), CONTENT, before, shards)


def _held(
    lake: Lake,
    dataset: DatasetTables,
    table: str,
    columns: tuple[str, ...],
    known_by: str,
    before: tuple[int, Shards] | None,
    shards: Sequence[int] | None,
) -> Shards:
    """``before``: an earlier lake snapshot, and what the table's shards held then."""
    now = lake.snapshot_id()
    if before is not None:
        then, held = before
        if then <= now and find_changes(
            lake, dataset, table, ("shard", *columns), then, now, "held_since", expected=rows_of(held)
        ):
            found = moved(held, sums(lake, "held_since", "net", known_by))
            return {shard: one for shard, one in found.items() if shards is None or shard in shards}
    return sums(lake, f"(FROM {at(dataset.named(table), now)} t WHERE {within(shards)})", known_by=known_by)
