"""What a shard holds, for people: counts, a digest and a few rows. Reads the lake's present state, never a vector."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.sums import Sum, added_up, as_text
from vector_pipeline.lake.tables import DatasetTables, SpaceTables, within

EXCERPT = 90
"""Characters of a text that a sample shows."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """One shard of one table."""

    rows: int
    digest: str
    """32 hex characters over the shard's identities: equal digests mean equal content."""
    counts: dict[str, int] = field(default_factory=dict)


def document_shards(lake: Lake, tables: DatasetTables, shards: Sequence[int] | None) -> dict[int, ShardFacts]:
    """Documents by shard, with ``characters`` and ``quarantined``; shards that hold nothing are left out."""
    rows = lake.rows(
        f"""SELECT shard, count(*) FILTER (digest IS NOT NULL), sum(characters)::BIGINT, count(*) FILTER (reason IS NOT NULL),
                   {added_up("md5_number(document_id || digest)")}
            FROM (SELECT shard, document_id, digest, length(text) AS characters, NULL AS reason FROM {tables.documents}
                  UNION ALL
                  SELECT shard, document_id, NULL, 0, reason FROM {tables.items} WHERE reason IS NOT NULL)
            WHERE {within(shards)} GROUP BY shard"""
    )
    return {
        int(shard): ShardFacts(
            int(count), _digest(*halves), {"characters": int(characters), "quarantined": int(quarantined)}
        )
        for shard, count, characters, quarantined, *halves in rows
    }


def chunk_shards(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> dict[int, ShardFacts]:
    """Chunks by shard, with ``documents``; the digests are those that a version's digest is made of."""
    rows = lake.rows(
        f"""SELECT shard, count(*), count(DISTINCT document_id),
                   {added_up("md5_number(record_id || metadata_hash)")}
            FROM {tables.chunks} WHERE {within(shards)} GROUP BY shard"""
    )
    return {
        int(shard): ShardFacts(int(count), _digest(*halves), {"documents": int(documents)})
        for shard, count, documents, *halves in rows
    }


def vector_shards(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> dict[int, ShardFacts]:
    """Embeddings by shard. The digest is over the contents that have a vector."""
    rows = lake.rows(
        f"""SELECT shard, count(*), {added_up("md5_number(content_hash)")}
            FROM {tables.embeddings} WHERE {within(shards)} GROUP BY shard"""
    )
    return {int(shard): ShardFacts(int(count), _digest(*halves)) for shard, count, *halves in rows}


def _digest(high: int | None, low: int | None) -> str:
    return as_text(Sum(0, int(high or 0) % 2**64, int(low or 0) % 2**64))


def document_samples(lake: Lake, tables: DatasetTables, limit: int = 5) -> list[dict[str, Any]]:
    """The documents that changed last."""
    rows = lake.rows(
        f"""SELECT document_id, title, length(text), substr(text, 1, {EXCERPT}) FROM {tables.documents}
            ORDER BY updated_at DESC, document_id LIMIT {int(limit)}"""
    )
    return _named(rows, ("document", "title", "characters", "text"))


def chunk_samples(lake: Lake, tables: SpaceTables, limit: int = 5) -> list[dict[str, Any]]:
    """A few chunks of different documents."""
    rows = lake.rows(
        f"""SELECT document_id, ordinal, length(text), context, substr(text, 1, {EXCERPT}) FROM {tables.chunks}
            WHERE record_id IN (SELECT min(record_id) FROM {tables.chunks} GROUP BY document_id
                                ORDER BY 1 LIMIT {int(limit)})
            ORDER BY 1, 2"""
    )
    return _named(rows, ("document", "chunk", "characters", "context", "text"))


def _named(rows: Sequence[Sequence[Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
