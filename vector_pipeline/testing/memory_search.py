"""Exact search over a ``State`` in memory: what a query may find, and which of it is nearest."""

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.targets.filters import Node, matches
from vector_pipeline.testing.memory_store import State

Matrix = npt.NDArray[np.float64]


def visible(state: State, version: int | None, filter: Node | None) -> list[int]:
    """Places in ``state.ordered`` of the records that a query may find, ascending."""
    return [
        index
        for index, record in enumerate(state.ordered)
        if (version is None or record.added_in <= version < record.removed_in)
        and (filter is None or matches(filter, state.described_by[index]))
    ]


def nearest(state: State, chosen: Sequence[int], query: Vector, top_k: int, *, include_text: bool) -> list[Match]:
    """Best of ``chosen`` for float32[dim] ``query``; places follow ids, so that ties end by id."""
    scores = _scores(state.spec.metric, state.matrix[chosen], query.astype(np.float64))
    best = heapq.nsmallest(top_k, zip(-scores, chosen, strict=True))
    return [_match(state, index, -negative, include_text=include_text) for negative, index in best]


def _scores(metric: str, rows: Matrix, query: Matrix) -> Matrix:
    """float64[n] for float64[n, dim] and float64[dim]; the same row has the same score wherever it stands."""
    if metric == "euclidean":
        return np.asarray(-np.sqrt(np.square(rows - query).sum(axis=1)))
    products = (rows * query).sum(axis=1)
    if metric == "dotproduct":
        return np.asarray(products)
    lengths = np.sqrt(np.square(rows).sum(axis=1)) * np.sqrt(np.square(query).sum())
    return np.asarray(np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0))


def _match(state: State, index: int, score: float, *, include_text: bool) -> Match:
    record = state.ordered[index]
    return Match(
        id=record.id,
        score=float(score),
        document_id=record.document_id,
        content_hash=record.content_hash,
        added_in=record.added_in,
        removed_in=record.removed_in,
        text=record.text if include_text else None,
        metadata=dict(state.described_by[index]),
    )
