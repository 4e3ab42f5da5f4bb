"""Vectors of both versions, sampled: what gates and reports look at instead of millions of rows.

Laws
----
1. A sample is a function of its version's contents: they are ordered by a hash of their content hash, and the first ones are
   taken. Neither shards nor the order of rows nor chance have a say, and a smaller sample is the beginning of a larger one.
2. A content counts once, in however many documents and shards it stands. It is named by the first of them.
3. Memory is bounded by the limit; vectors go from the lake to numpy without passing Python. One verification reads them once.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.arrow import as_one
from vector_pipeline.verify.context import GateContext, Side

ADDED, REMOVED, UNCHANGED = "added", "removed", "unchanged"


@dataclass(frozen=True, slots=True, eq=False)
class VectorSample:
    """Distinct contents and their vectors, in the order of law 1."""

    content_hashes: tuple[str, ...]
    document_ids: tuple[str, ...]
    """A document that each stands in."""
    shards: npt.NDArray[np.int32]
    """int32[n]: the shard of that document."""
    vectors: npt.NDArray[np.float32]
    """float32[n, dim], as they are stored: not normalised. NaN where a component is null."""
    total: int
    """Contents there are, of which these were drawn. Vectors of another dimension than the version's are not drawn."""

    def __len__(self) -> int:
        return len(self.content_hashes)

    def take(self, rows: npt.NDArray[np.intp]) -> "VectorSample":
        """Some of it, by position."""
        return VectorSample(
            tuple(self.content_hashes[row] for row in rows.tolist()), tuple(self.document_ids[row] for row in rows.tolist()),
            self.shards[rows], self.vectors[rows], self.total,
        )  # fmt: skip

    def first(self, limit: int) -> "VectorSample":
        """The sample that a smaller limit gives."""
        if len(self) <= limit:
            return self
        return VectorSample(
            self.content_hashes[:limit],
            self.document_ids[:limit],
            self.shards[:limit],
            self.vectors[:limit],
            self.total,
        )


def sample_vectors(context: GateContext, side: Side, limit: int) -> VectorSample:
    """At most ``limit`` of a version's contents."""
    if side is context.candidate:
        same, other = unchanged(context, limit, side), added(context, limit)
    else:
        same, other = unchanged(context, limit, side), removed(context, limit)
    return _merged(same, other).first(limit)


def sample_change(context: GateContext, limit: int) -> VectorSample:
    """At most ``limit`` of the candidate's contents, half of them of what production has not, where there are as many."""
    new, old = added(context, limit), unchanged(context, limit)
    count = of_change(len(new), len(old), limit)
    return _merged(new.first(count), old.first(limit - count))


def of_change(new: int, old: int, limit: int) -> int:
    """How many of ``limit`` are drawn from what is new: half, unless there are fewer, or fewer old ones."""
    return min(new, max((limit + 1) // 2, limit - old))


def added(context: GateContext, limit: int) -> VectorSample:
    """At most ``limit`` contents of the candidate that production has not: all of them at a first release."""
    return _drawn(context, context.candidate, ADDED, limit)


def removed(context: GateContext, limit: int) -> VectorSample:
    """At most ``limit`` contents of production that the candidate has not, with production's vectors."""
    side = context.production
    return _empty(context.version.dimension) if side is None else _drawn(context, side, REMOVED, limit)


def unchanged(context: GateContext, limit: int, side: Side | None = None) -> VectorSample:
    """At most ``limit`` contents of both, with the vectors of ``side`` (default: the candidate).

    Both sides' vectors are the same rows unless the embedder changed.
    """
    side = side or context.candidate
    return _empty(side.version.dimension) if context.production is None else _drawn(context, side, UNCHANGED, limit)


def shares_vectors(context: GateContext) -> bool:
    """Whether both versions have the same embedder, so that a content has one vector. (A preview has it in a table of its own.)"""
    other = context.production
    return other is not None and other.tables.embedding_table == context.candidate.tables.embedding_table


def _one_table(context: GateContext) -> bool:
    return (
        context.production is not None and context.production.tables.embeddings == context.candidate.tables.embeddings
    )


def _drawn(context: GateContext, side: Side, group: str, limit: int) -> VectorSample:
    # One reading for whoever asks: a sample is the beginning of a larger one, so the largest that is usual is drawn at once.
    size = max(limit, context.gates.embedding_shift.sample)
    of = context.candidate if _one_table(context) else side
    drawn = context.once(f"sampling {of.tables.embeddings} {size}", lambda: _read(context, of, size))
    return drawn[group].first(limit)


def _read(context: GateContext, side: Side, limit: int) -> dict[str, VectorSample]:
    """The groups that have vectors in a side's table: all three where both versions share it."""
    other = context.production if side is context.candidate else context.candidate
    mine, theirs = (ADDED, REMOVED) if side is context.candidate else (REMOVED, ADDED)
    groups = (UNCHANGED, mine, theirs) if _one_table(context) else (UNCHANGED, mine)
    lake = context.lake
    # Eight bytes a content tell the groups apart and order them: names are read of those that were drawn.
    names = lake.table(
        f"""WITH keyed AS ({_keys(side, 1)} UNION ALL {_keys(other, 2)}),
            contents AS (
                SELECT key, CASE bit_or(side) WHEN 1 THEN '{mine}' WHEN 2 THEN '{theirs}' ELSE '{UNCHANGED}' END AS change
                FROM keyed GROUP BY key),
            picked AS (
                SELECT change, count(*) AS total, unnest(min(key, {int(limit)})) AS key FROM contents GROUP BY change)
            {_named(side, f"change <> '{theirs}'")} UNION ALL {_named(other, f"change = '{theirs}'")}"""
    )
    # A statement of its own: the planner knows that it is these that are few, and not the vectors.
    with lake.registered("drawn_contents", names):
        rows = lake.table(
            f"""SELECT n.*, e.vector
                FROM drawn_contents n JOIN {side.tables.embeddings} e USING (shard, content_hash)
                WHERE len(e.vector) = {int(side.version.dimension)} ORDER BY n.key, n.content_hash"""
        )
    return {name: _sample(rows, name, side.version.dimension) for name in groups}


def _keys(side: Side | None, number: int) -> str:
    """Where each content of a version stands in the order of law 1, with the number of the side."""
    if side is None:
        return f"SELECT NULL::UBIGINT AS key, {number} AS side WHERE false"
    return f"SELECT md5_number_upper(content_hash) AS key, {number} AS side FROM {side.chunks}"


def _named(side: Side | None, condition: str) -> str:
    """Those contents that were picked of a version, each with the first document that it stands in. A document is in one shard."""
    chunks = (
        side.chunks
        if side
        else "(SELECT NULL AS content_hash, NULL AS document_id, NULL::INTEGER AS shard WHERE false)"
    )
    return f"""SELECT p.key, c.content_hash, any_value(p.change) AS change, any_value(p.total) AS total,
                      min(c.document_id) AS document_id, arg_min(c.shard, c.document_id) AS shard
               FROM {chunks} c JOIN picked p ON md5_number_upper(c.content_hash) = p.key
               WHERE {condition} GROUP BY p.key, c.content_hash"""


def _sample(rows: pa.Table, group: str, dimension: int) -> VectorSample:
    """The rows of one group. A list column's values lie behind each other: they are the matrix."""
    found = rows.filter(pc.equal(rows["change"], group))
    vectors = as_one(found["vector"])
    flat = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return VectorSample(
        tuple(found["content_hash"].to_pylist()), tuple(found["document_id"].to_pylist()),
        found["shard"].to_numpy().astype(np.int32), flat.reshape(-1, dimension),
        int(found["total"][0].as_py()) if found.num_rows else 0,
    )  # fmt: skip


def _merged(a: VectorSample, b: VectorSample) -> VectorSample:
    """Both in the order of law 1."""
    hashes = a.content_hashes + b.content_hashes
    order = np.array(sorted(range(len(hashes)), key=lambda row: (_key(hashes[row]), hashes[row])), dtype=np.intp)
    both = VectorSample(
        hashes, a.document_ids + b.document_ids, np.concatenate([a.shards, b.shards]),
        np.concatenate([a.vectors, b.vectors]), a.total + b.total,
    )  # fmt: skip
    return both.take(order)


def _key(content_hash: str) -> int:
    """DuckDB's ``md5_number_upper``: the first eight bytes, the least significant first."""
    return int.from_bytes(hashlib.md5(content_hash.encode(), usedforsecurity=False).digest()[:8], "little")


def _empty(dimension: int) -> VectorSample:
    return VectorSample((), (), np.empty(0, np.int32), np.empty((0, dimension), np.float32), 0)
