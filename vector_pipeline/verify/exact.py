"""Exact search over versions in the lake: what an index ought to answer, whatever target holds it.

Laws
----
1. Every vector of a version is compared with every query, in float32; the result is the ``k`` nearest records, best first, ties by
   record id. Scores are the targets' own: the cosine (0 beside a vector of zeros), the inner product, the negative distance.
   Distances are taken from the queries' middle: far from the origin float32 has no digits left for them.
2. Scores are told to 20 bits: what differs by less is a tie, because a matrix product adds up in the order of its blocks. Of ties
   at the end those stay whose content hashes come first: the same version gives the same answer.
3. Memory is bounded by the block, not by the version. Versions that take their vectors from one table are read in one pass.
4. A vector that is not finite is never found. One of another dimension than the version's is ``CorruptError``.
5. A filter means what it means on every target (``targets.filters``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.errors import CorruptError, InputError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake.tables import within
from vector_pipeline.targets.base import Filter, Vector
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.filtering import condition
from vector_pipeline.verify.nearest import Nearest
from vector_pipeline.verify.scores import centre_of, distances, prepared, products

BLOCK_BYTES = 32_000_000
"""Of one block: its vectors and its scores."""
_JOINED = 32_768
"""Records of the shards that one statement joins to their vectors."""


class Hit(NamedTuple):
    """One record of an exact answer."""

    record_id: str
    document_id: str
    score: float
    """Higher is better, whatever the metric."""
    content_hash: str


Answers = list[list[Hit]]
"""Of each query its nearest records, best first."""


@dataclass(eq=False)
class _View:
    """One side under one filter, and the queries that are asked of it."""

    side: Side
    filter: Filter | None
    numbers: list[int]
    """Rows of the side's queries."""
    rows: slice = field(default_factory=lambda: slice(0))
    """Rows of the pass's stacked queries."""


def exact_top(
    context: GateContext, side: Side, queries: Vector, k: int, filters: Sequence[Filter | None] | None = None
) -> Answers:
    """The ``k`` nearest records of each of float32[q, dim] ``queries``. ``filters``: one a query."""
    return exact_tops(context, [side], [queries], k, filters)[0]


def exact_tops(
    context: GateContext,
    sides: Sequence[Side],
    queries: Sequence[Vector],
    k: int,
    filters: Sequence[Filter | None] | None = None,
) -> list[Answers]:
    """The same for several sides: one float32[q, dim] of each (the same object where they share a space)."""
    answers: list[Answers] = [[[] for _ in asked] for asked in queries]
    passes: dict[tuple[str, str, int], list[tuple[int, _View]]] = {}
    for number, (side, asked) in enumerate(zip(sides, queries, strict=True)):
        version = side.version
        if asked.ndim != 2 or asked.shape[1] != version.dimension:
            raise InputError(f"queries of shape {asked.shape}, where {version.dimension} dimensions are searched")
        key = (side.tables.embeddings, version.metric, version.dimension)
        passes.setdefault(key, []).extend((number, view) for view in _views(side, len(asked), filters))
    for (table, metric, _), views in passes.items():
        if not views:
            continue
        blocks = [(queries[number], view) for number, view in views]
        for (number, view), found in zip(views, _search(context, table, metric, blocks, k), strict=True):
            for row, hits in zip(view.numbers, found, strict=True):
                answers[number][row] = hits
    return answers


def _views(side: Side, count: int, filters: Sequence[Filter | None] | None) -> list[_View]:
    groups: dict[str, _View] = {}
    for number, restriction in enumerate(filters or [None] * count):
        groups.setdefault(canonical_json(restriction), _View(side, restriction, [])).numbers.append(number)
    return list(groups.values())


def _search(
    context: GateContext, table: str, metric: str, asked: Sequence[tuple[Vector, _View]], k: int
) -> list[Answers]:
    """One pass over a table of vectors; of each view its answers."""
    views = [view for _, view in asked]
    stacked = _stack(asked)
    dimension = stacked.shape[1]
    nearest = [Nearest(view.rows.stop - view.rows.start, k) for view in views]
    matrix = prepared(stacked, metric)
    centre = centre_of(stacked)
    rows = int(np.clip(BLOCK_BYTES // (4 * (dimension + len(stacked))), 1_024, 65_536))
    for batch in _blocks(context, table, views, rows):
        vectors = as_matrix(batch["vector"], dimension, table)
        scores = distances(matrix, vectors, centre) if metric == "euclidean" else products(matrix, vectors, metric)
        contents = batch.select(["shard", "content_hash"])
        for number, view in enumerate(views):
            seen = batch[f"m{number}"].to_numpy(zero_copy_only=False)
            some = slice(None) if seen.all() else np.flatnonzero(seen)
            if len(seen) and seen.any():
                nearest[number].add(scores[view.rows, some], contents, np.arange(len(seen))[some])
    return [_told(context, view, found, k) for view, found in zip(views, nearest, strict=True)]


def _stack(asked: Sequence[tuple[Vector, _View]]) -> Vector:
    """Queries of all views, one below the other; what two views both ask stands there once. Sets ``rows``."""
    parts: list[Vector] = []
    known: dict[tuple[int, tuple[int, ...]], slice] = {}
    total = 0
    for queries, view in asked:
        key = (id(queries), tuple(view.numbers))
        if key not in known:
            known[key] = slice(total, total + len(view.numbers))
            parts.append(np.asarray(queries[view.numbers], dtype=np.float32))
            total += len(view.numbers)
        view.rows = known[key]
    return np.ascontiguousarray(np.concatenate(parts))


def as_matrix(column: pa.Array, dimension: int, table: str) -> Vector:
    """float32[n, dim] of a column of lists, without passing Python. ``CorruptError`` where one has another length."""
    lengths = np.diff(column.offsets.to_numpy())
    if column.null_count or (lengths != dimension).any():
        raise CorruptError(
            f"{table} holds a vector of another dimension than {dimension}", fix="Build the dataset again"
        )
    flat = column.flatten()
    values: npt.NDArray[np.float32] = flat.to_numpy(zero_copy_only=not flat.null_count)
    return values.reshape(len(column), dimension).astype(np.float32, copy=False)


def _blocks(context: GateContext, table: str, views: Sequence[_View], rows: int) -> Iterator[pa.RecordBatch]:
    """Distinct vectors with their contents, and of each view whether it has them (``m0``, ``m1``, …)."""
    conditions = [condition(view.filter, f"v{number}") for number, view in enumerate(views)]
    parameters: dict[str, Any] = {}
    for one in conditions:
        parameters.update(one.parameters)
    has = ", ".join(f"bool_or(m{number}) AS m{number}" for number in range(len(views)))
    any_ = " OR ".join(f"m{number}" for number in range(len(views)))
    for shards in _shard_groups(context, views):
        parts = []
        for side in {id(view.side): view.side for view in views}.values():
            marks = ", ".join(
                f"{conditions[number].sql if view.side is side else 'false'} AS m{number}"
                for number, view in enumerate(views)
            )
            parts.append(f"SELECT shard, content_hash, {marks} FROM {side.chunks} c WHERE {within(shards)}")
        yield from context.lake.stream(
            f"""WITH wanted AS (SELECT shard, content_hash, {has} FROM ({" UNION ALL ".join(parts)})
                    GROUP BY shard, content_hash HAVING {any_})
                SELECT w.*, e.vector FROM (SELECT * FROM {table} WHERE {within(shards)}) e
                JOIN wanted w USING (shard, content_hash)""",
            parameters,
            rows=rows,
        )


def _shard_groups(context: GateContext, views: Sequence[_View]) -> Iterator[list[int]]:
    """Shards that are joined together: a hash table of a million contents is not needed at once."""
    sides = {id(view.side): view.side for view in views}.values()
    counted = " UNION ALL ".join(f"SELECT shard FROM {side.chunks} c" for side in sides)
    group: list[int] = []
    size = 0
    for shard, records in context.lake.rows(f"SELECT shard, count(*) FROM ({counted}) GROUP BY shard ORDER BY shard"):
        if group and size + records > _JOINED * len(sides):
            yield group
            group, size = [], 0
        group.append(int(shard))
        size += int(records)
    if group:
        yield group


def _told(context: GateContext, view: _View, found: Nearest, k: int) -> Answers:
    """Contents as the records that they stand in: at most ``k`` of each are looked at."""
    contents = found.contents()
    restriction = condition(view.filter, "v")
    records: dict[tuple[int, str], list[tuple[str, str]]] = {}
    batches = context.lake.stream(
        f"""SELECT shard, content_hash, record_id, document_id
            FROM {view.side.chunks} c SEMI JOIN exact_found USING (shard, content_hash) WHERE {restriction.sql}
            QUALIFY row_number() OVER (PARTITION BY shard, content_hash ORDER BY record_id) <= {int(k)}
            ORDER BY shard, content_hash, record_id""",
        dict(restriction.parameters),
        given={"exact_found": contents},
    )
    for batch in batches:
        for shard, content, record, document in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            records.setdefault((shard, content), []).append((record, document))
    return [
        sorted(
            (Hit(*both, score, name[1]) for name, score in answer for both in records.get(name, ())),
            key=lambda hit: (-hit.score, hit.record_id),
        )[:k]
        for answer in found.answers()
    ]
