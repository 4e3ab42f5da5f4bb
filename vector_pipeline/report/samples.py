"""What a shard holds, for people: counts, a digest and a few rows of the lake's present state.

After a complete version all of it costs what changed since (``lake.held``): no text is read but those that are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vector_pipeline.lake import since
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.held import chunks_held, documents_held, vectors_held
from vector_pipeline.lake.sums import NOTHING, Shards, as_text
from vector_pipeline.lake.tables import DatasetTables, SpaceTables, within

EXCERPT = 90
"""Characters of a text that a sample shows."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """One shard of one table."""

    rows: int
    digest: str
    """32 hex characters over the shard's identities: equal digests mean equal content. Empty: the shard is."""
    counts: dict[str, int] = field(default_factory=dict)


def document_shards(
    lake: Lake, tables: DatasetTables, shards: Sequence[int] | None, quarantined: Mapping[int, int] | None = None
) -> dict[int, ShardFacts]:
    """Documents by shard, with ``quarantined`` (of ``quarantined_shards``); shards that hold nothing are left out."""
    held, aside = documents_held(lake, tables, shards), quarantined or {}
    return {
        shard: ShardFacts(
            held.get(shard, NOTHING).records,
            as_text(held[shard]) if shard in held else "",
            {"quarantined": aside.get(shard, 0)},
        )
        for shard in sorted({*held, *aside})
    }


def quarantined_shards(lake: Lake, tables: DatasetTables, shards: Sequence[int] | None) -> dict[int, int]:
    """Items in quarantine by shard, of shards that have any. Looks at why each item is, or is not: for whoever knows of some."""
    rows = lake.rows(
        f"SELECT shard, count(*) FROM {tables.items} WHERE reason IS NOT NULL AND {within(shards)} GROUP BY shard"
    )
    return {int(shard): int(count) for shard, count in rows}


def chunk_shards(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> dict[int, ShardFacts]:
    """Chunks by shard; the digests are those that a version's digest is made of."""
    return _facts(chunks_held(lake, tables, shards))


def vector_shards(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> dict[int, ShardFacts]:
    """Embeddings by shard. The digest is over the contents that have a vector."""
    return _facts(vectors_held(lake, tables, shards))


def _facts(held: Shards) -> dict[int, ShardFacts]:
    return {shard: ShardFacts(one.records, as_text(one)) for shard, one in sorted(held.items())}


def document_samples(lake: Lake, tables: DatasetTables, limit: int = 5) -> list[dict[str, Any]]:
    """The documents that changed last since the newest version; where these are fewer, some of the others too."""
    known = since.newest(lake, tables.dataset)
    rows = _sample(
        lake, f"document_id, title, length(text), substr(text, 1, {EXCERPT})", tables.documents, known, limit,
        key="document_id", changed="document_id FROM came ORDER BY updated_at DESC, document_id",
        order="updated_at DESC, document_id",
    )  # fmt: skip
    return _named(rows, ("document", "title", "characters", "text"))


def chunk_samples(lake: Lake, tables: SpaceTables, limit: int = 5) -> list[dict[str, Any]]:
    """A few chunks of different documents: of those that changed since the newest version, before others."""
    rows = _sample(
        lake, f"document_id, ordinal, length(text), context, substr(text, 1, {EXCERPT})", tables.chunks,
        since.described(lake, tables), limit,
        key="record_id", changed="min(record_id) FROM came GROUP BY document_id ORDER BY 1",
        order="document_id, ordinal", others="ordinal = 0",
    )  # fmt: skip
    return _named(rows, ("document", "chunk", "characters", "context", "text"))


def _sample(
    lake: Lake,
    shown: str,
    table: str,
    known: since.Described | None,
    limit: int,
    *,
    key: str,
    changed: str,
    order: str,
    others: str = "true",
) -> list[tuple[Any, ...]]:
    """Rows ``shown`` of a table. ``changed``: query of their ``key`` among ``came``, the rows that were written since ``known``.

    Keys are chosen first, and what is shown is read of these alone. ``others``: which of the other rows to fill up with, in the
    order in which they stand.
    """
    after = 0 if known is None else known.snapshot
    came = f"FROM {table} WHERE snapshot_id > {after}"
    rows = lake.rows(
        f"""SELECT {shown} {came} AND {key} IN (WITH came AS ({came}) SELECT {changed} LIMIT {int(limit)})
            ORDER BY {order}"""
    )
    if after and len(rows) < limit:
        rows += lake.rows(
            f"SELECT {shown} FROM {table} WHERE snapshot_id <= {after} AND {others} LIMIT {int(limit) - len(rows)}"
        )
    return rows


def _named(rows: Sequence[Sequence[Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
