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
    """Whether both versions take their vectors from one table: same embedder, so a content has one vector."""
    return (
        context.production is not None and context.production.tables.embeddings == context.candidate.tables.embeddings
    )


def _drawn(context: GateContext, side: Side, group: str, limit: int) -> VectorSample:
    # One reading for whoever asks: a sample is the beginning of a larger one, so the largest that is usual is drawn at once.
    size = max(limit, context.gates.embedding_shift.sample)
    of = context.candidate if shares_vectors(context) else side
    drawn = context.once(f"sampling {of.tables.embeddings} {size}", lambda: _read(context, of, size))
    return drawn[group].first(limit)


def _read(context: GateContext, side: Side, limit: int) -> dict[str, VectorSample]:
    """The groups that have vectors in a side's table: all three where both versions share it."""
    other = context.production if side is context.candidate else context.candidate
    mine, theirs = (ADDED, REMOVED) if side is context.candidate else (REMOVED, ADDED)
    groups = (UNCHANGED, mine, theirs) if shares_vectors(context) else (UNCHANGED, mine)
    rows = context.lake.table(
        f"""WITH a AS ({_contents(side)}), b AS ({_contents(other)}),
            contents AS (
                SELECT coalesce(a.content_hash, b.content_hash) AS content_hash,
                       coalesce(a.document_id, b.document_id) AS document_id, coalesce(a.shard, b.shard) AS shard,
                       CASE WHEN b.content_hash IS NULL THEN '{mine}' WHEN a.content_hash IS NULL THEN '{theirs}'
                            ELSE '{UNCHANGED}' END AS change
                FROM a FULL JOIN b ON a.content_hash = b.content_hash),
            picked AS (
                SELECT *, count(*) OVER (PARTITION BY change) AS total,
                       row_number() OVER (PARTITION BY change ORDER BY md5(content_hash)) AS place
                FROM contents QUALIFY place <= {int(limit)})
            SELECT p.*, e.vector
            FROM picked p JOIN {side.tables.embeddings} e ON e.shard = p.shard AND e.content_hash = p.content_hash
            WHERE len(e.vector) = {int(side.version.dimension)} ORDER BY place"""
    )
    return {name: _sample(rows, name, side.version.dimension) for name in groups}


def _contents(side: Side | None) -> str:
    """A version's distinct contents, each with the first document that it stands in. A document is in one shard."""
    if side is None:
        return "SELECT NULL::VARCHAR AS content_hash, NULL::VARCHAR AS document_id, NULL::INTEGER AS shard WHERE false"
    return f"""SELECT content_hash, min(document_id) AS document_id, arg_min(shard, document_id) AS shard
               FROM {side.chunks} GROUP BY content_hash"""


def _sample(rows: pa.Table, group: str, dimension: int) -> VectorSample:
    """The rows of one group. A list column's values lie behind each other: they are the matrix."""
    found = rows.filter(pc.equal(rows["change"], group))
    vectors = found["vector"].combine_chunks()
    flat = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return VectorSample(
        tuple(found["content_hash"].to_pylist()), tuple(found["document_id"].to_pylist()),
        found["shard"].to_numpy().astype(np.int32), flat.reshape(-1, dimension),
        int(found["total"][0].as_py()) if found.num_rows else 0,
    )  # fmt: skip


def _merged(a: VectorSample, b: VectorSample) -> VectorSample:
    """Both in the order of law 1."""
    hashes = a.content_hashes + b.content_hashes
    keys = [hashlib.md5(value.encode(), usedforsecurity=False).digest() for value in hashes]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp)
    both = VectorSample(
        hashes, a.document_ids + b.document_ids, np.concatenate([a.shards, b.shards]),
        np.concatenate([a.vectors, b.vectors]), a.total + b.total,
    )  # fmt: skip
    return both.take(order)


def _empty(dimension: int) -> VectorSample:
    return VectorSample((), (), np.empty(0, np.int32), np.empty((0, dimension), np.float32), 0)
