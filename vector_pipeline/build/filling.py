"""How far a space is: what each shard of it lacks of the documents that there are now, counted in the lake.

Laws
----
1. Nothing is remembered: what is told is what the tables hold. A table that does not exist yet lacks everything.
2. A document is *done* in a space when its chunks are of its present revision and each has its vector. Else it is *stale* (its
   chunks are of another revision), *missing* (it has none), or *unembedded* (a chunk lacks its vector). Chunks of documents that
   are gone are counted too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from vector_pipeline.lake import since
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.sums import NOTHING
from vector_pipeline.lake.tables import SpaceTables, within


@dataclass(frozen=True, slots=True)
class ShardState:
    """What one shard of a space holds of its documents."""

    shard: int
    documents: int = 0
    missing: int = 0
    """Documents without a chunk."""
    stale: int = 0
    """Documents whose chunks are of another revision."""
    unembedded: int = 0
    """Documents of the present revision with a chunk that has no vector."""
    gone: int = 0
    """Documents that are no more, whose chunks are still there."""
    records: int = 0
    pending: int = 0
    """Records without a vector."""

    @property
    def done(self) -> int:
        """Documents that are whole in the space."""
        return self.documents - self.missing - self.stale - self.unembedded

    @property
    def whole(self) -> bool:
        """Every document is done, and nothing else is there."""
        return not (self.missing or self.stale or self.unembedded or self.gone)


_COUNTED = tuple(field.name for field in fields(ShardState) if field.name != "shard")


def shard_states(lake: Lake, tables: SpaceTables, shards: Sequence[int]) -> list[ShardState]:
    """Law 2 for each of the shards, in order. What was not touched since a complete state is known, and not looked at."""
    held = since.held_now(lake, tables)
    if held is None:
        return _states(lake, tables, shards)
    (touched,) = lake.row("SELECT count(*) FROM touched_documents")
    states = _states(lake, tables, shards, touched=True) if touched else [ShardState(shard) for shard in shards]
    return [
        replace(
            one,
            documents=held.documents.get(one.shard, NOTHING).records,
            records=held.chunks.get(one.shard, NOTHING).records,
        )
        for one in states
    ]


def _states(lake: Lake, tables: SpaceTables, shards: Sequence[int], *, touched: bool = False) -> list[ShardState]:
    """``touched``: looks at ``touched_documents`` alone, after ``held_now``; its totals are of these."""
    dataset = tables.dataset.dataset
    missing = lake.missing(dataset, ("documents", tables.chunk_table, tables.embedding_table))
    if "documents" in missing:
        return [ShardState(shard) for shard in shards]
    where = within(shards)
    nothing = {
        "chunks": "(SELECT NULL::INTEGER AS shard, '' AS document_id, '' AS document_digest, '' AS content_hash WHERE false)",
        "embeddings": "(SELECT NULL::INTEGER AS shard, '' AS content_hash WHERE false)",
    }
    chunks = nothing["chunks"] if tables.chunk_table in missing else tables.chunks
    vectors = nothing["embeddings"] if tables.embedding_table in missing else tables.embeddings
    only = "AND document_id IN (FROM touched_documents)" if touched else ""
    asked = "SEMI JOIN unsure_contents USING (shard, content_hash)" if touched else ""
    if touched and not since.find_unsure(lake):
        # Every chunk has its vector: none is looked for.
        vectors = nothing["embeddings"]
    rows = lake.rows(
        f"""WITH d AS (SELECT shard, document_id, digest FROM {tables.dataset.documents} WHERE {where} {only}),
            c AS (SELECT shard, document_id, document_digest AS digest, content_hash FROM {chunks} t WHERE {where} {only}),
            had AS (SELECT * FROM (SELECT shard, content_hash FROM {vectors} t WHERE {where}) {asked}),
            lacking AS (SELECT * FROM c {asked} ANTI JOIN had USING (shard, content_hash)),
            held AS (SELECT DISTINCT document_id, digest FROM c),
            seen AS (SELECT d.shard, d.document_id, count(h.document_id) AS held_as, bool_or(h.digest = d.digest) AS same
                     FROM d LEFT JOIN held h USING (document_id) GROUP BY d.shard, d.document_id),
            bare AS (SELECT DISTINCT document_id FROM lacking),
            counted AS (
                SELECT shard, count(*) AS documents, count(*) FILTER (held_as = 0) AS missing,
                       count(*) FILTER (held_as > 0 AND NOT same) AS stale,
                       count(*) FILTER (same AND document_id IN (FROM bare)) AS unembedded, 0 AS gone, 0 AS records, 0 AS pending
                FROM seen GROUP BY shard
                UNION ALL
                SELECT shard, 0, 0, 0, 0, count(DISTINCT document_id) FILTER (document_id NOT IN (SELECT document_id FROM d)),
                       count(*), 0 FROM c GROUP BY shard
                UNION ALL SELECT shard, 0, 0, 0, 0, 0, 0, count(*) FROM lacking GROUP BY shard)
            SELECT shard, {", ".join(f"sum({name})::BIGINT" for name in _COUNTED)} FROM counted GROUP BY shard"""
    )
    found = {int(shard): ShardState(int(shard), *(int(value) for value in values)) for shard, *values in rows}
    return [found.get(shard, ShardState(shard)) for shard in shards]


def total(states: Iterable[ShardState]) -> ShardState:
    """The sum of several shards; its ``shard`` is -1."""
    every = list(states)
    return ShardState(-1, *(sum(getattr(one, name) for one in every) for name in _COUNTED))
