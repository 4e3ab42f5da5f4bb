"""Which vectors may be among the ``top_k`` nearest of each of many questions, from products in another order than DuckDB's. No I/O.

Laws
----
1. Scores here are of the metric's order and not of its scale: of a question ``q`` and a vector ``r`` the cosine, the inner product
   divided by the length of ``q``, or what a squared distance leaves without the square of ``q``. A larger one is nearer.
2. Sums of ``n`` products in 32 bits are off by at most ``n u`` of the lengths' product (``u = 2**-24``), in whatever order they
   are added up (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). With the two lengths of a cosine, ours and DuckDB's,
   that makes ``4 n u``; with the sums of a distance, ``4 n u`` of the squares. ``width`` is that, and a little for single steps.
3. So what lies below the ``top_k`` best by more than the two widths is not among them, nor tied with them: it is left out, and
   nothing else is.
4. Lengths whose squares and their products leave the range of 32-bit floats say nothing: such a vector is always a candidate, and
   such a question is ``undecided``. So is a question with more candidates than are worth listing (of all alike, all are).
5. Distances are taken from the questions' middle: far from the origin the squares are large, and their differences are not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vector_pipeline.targets.base import Vector

Rows = NDArray[np.int64]
_SHORTEST, _LONGEST = 1e-9, 1e9
_TINY = 1e-34
"""What squares that underflow may add up to."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Of one search, as they are multiplied."""

    metric: str
    matrix: Vector
    """float32[m, dim]."""
    centre: Vector
    """float32[dim]: of distances; zero else."""
    slack: Vector
    """float32[m]: twice the part of the width that is the question's own."""
    odd: NDArray[np.bool_]
    """bool[m]: law 4, and zero where everything is as near to it."""

    @property
    def rounding(self) -> np.float32:
        """Law 2, for lengths of one."""
        return np.float32(_rounding(self.matrix.shape[1]))


def questions(queries: Vector, metric: str) -> Questions:
    """Of float32[m, dim] ``queries``, which are finite."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(queries, axis=1).astype(np.float32)
    odd = _odd(lengths)
    if metric == "euclidean":
        middle = np.zeros(queries.shape[1]) if odd.all() else queries[~odd].mean(axis=0, dtype=np.float64)
        centre = middle.astype(np.float32)
        moved = np.where(odd[:, None], 0, queries - centre).astype(np.float32)
        slack = 2 * (_rounding(queries.shape[1]) * np.einsum("ij,ij->i", moved, moved, dtype=np.float64) + _TINY)
        return Questions(metric, 2 * moved, centre, slack.astype(np.float32), odd)
    odd |= lengths == 0
    units = np.where(odd[:, None], 0, queries / np.where(odd, 1, lengths)[:, None]).astype(np.float32)
    return Questions(metric, units, np.zeros(queries.shape[1], np.float32), np.zeros(len(queries), np.float32), odd)


def bounds(asked: Questions, vectors: Vector, lengths: Vector) -> tuple[Vector, Vector]:
    """Greatest scores, float32[m, n], of float32[n, dim] vectors and their lengths; and float32[n]: their part of the width."""
    odd = _odd(lengths)
    with np.errstate(over="ignore", invalid="ignore"):
        if asked.metric == "euclidean":
            moved = vectors - asked.centre
            squares = np.einsum("ij,ij->i", moved, moved)
            width = asked.rounding * squares
            scores: Vector = asked.matrix @ moved.T
            scores += width - squares
        elif asked.metric == "dotproduct":
            width = asked.rounding * np.maximum(lengths, np.float32(_SHORTEST))
            scores = asked.matrix @ vectors.T
            scores += width
        else:
            width = np.full(len(vectors), asked.rounding, np.float32)
            scores = asked.matrix @ vectors.T
            scores *= np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
            scores += width
    if odd.any():
        scores[:, odd], width[odd] = np.inf, np.inf
    return scores, width


def _rounding(dimension: int) -> float:
    """Law 2."""
    return 4 * (dimension + 16) / 2**24


def _odd(lengths: Vector) -> NDArray[np.bool_]:
    """Law 4."""
    told: NDArray[np.bool_] = (lengths == 0) | ((lengths > _SHORTEST) & (lengths < _LONGEST))
    return ~told


class Candidates:
    """Rows of each question that may be among its ``top_k`` nearest, over blocks of scores."""

    def __init__(self, asked: Questions, top_k: int, most: int) -> None:
        """``most``: candidates of one question; with more of them it is undecided."""
        self._slack, self._top_k, self._most = asked.slack, top_k, max(most, top_k)
        # Not a number: nothing is above it any more.
        self._floor = np.where(asked.odd, np.float32(np.nan), np.float32(-np.inf))
        self._query, self._row = np.empty(0, np.int64), np.empty(0, np.int64)
        self._upper, self._lower = np.empty(0, np.float32), np.empty(0, np.float32)
        self._settled = 0

    @property
    def undecided(self) -> NDArray[np.bool_]:
        """bool[m]."""
        return np.isnan(self._floor)

    def add(self, upper: Vector, width: Vector, rows: Rows) -> None:
        """``bounds`` of a block, and the rows int64[n] that it is of."""
        passing = upper >= self._floor[:, None]
        for number in np.flatnonzero(np.count_nonzero(passing, axis=1) > 2 * self._top_k):
            some = np.flatnonzero(passing[number])
            lower = np.partition(_least(upper[number, some], width[some]), -self._top_k)[-self._top_k]
            self._floor[number] = np.maximum(self._floor[number], lower - self._slack[number])
            passing[number, some] = upper[number, some] >= self._floor[number]
            if np.count_nonzero(passing[number]) > self._most:
                self._floor[number], passing[number] = np.nan, False
        # Flat: several times as fast as looking for pairs.
        found = np.flatnonzero(passing)
        query, column = np.divmod(found, upper.shape[1])
        best = upper.reshape(-1)[found]
        self._query, self._row = np.concatenate([self._query, query]), np.concatenate([self._row, rows[column]])
        self._upper = np.concatenate([self._upper, best])
        self._lower = np.concatenate([self._lower, _least(best, width[column])])
        # Every time would sort what hardly changes.
        if len(self._query) - self._settled > len(self._floor) * self._top_k // 4:
            self._settle()

    def _settle(self) -> None:
        """Leave out what the ``top_k`` best of all blocks so far leave out."""
        order = np.lexsort((-self._lower, self._query))
        count = np.bincount(self._query, minlength=len(self._floor))
        enough = np.flatnonzero(count >= self._top_k)
        last = order[(np.cumsum(count) - count)[enough] + self._top_k - 1]
        self._floor[enough] = np.maximum(self._floor[enough], self._lower[last] - self._slack[enough])
        self._keep(self._upper >= self._floor[self._query])
        many = np.bincount(self._query, minlength=len(self._floor)) > self._most
        if many.any():
            self._floor[many] = np.nan
            self._keep(~many[self._query])
        self._settled = len(self._query)

    def _keep(self, some: NDArray[np.bool_]) -> None:
        self._query, self._row = self._query[some], self._row[some]
        self._upper, self._lower = self._upper[some], self._lower[some]

    def listed(self) -> tuple[Rows, Rows]:
        """Question and row of each candidate of those that are not undecided: int64[c] twice."""
        self._settle()
        return self._query, self._row


def _least(upper: Vector, width: Vector) -> Vector:
    """Least scores. Of an infinite width: the least there is."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(width), np.float32(-np.inf), upper - 2 * width)
