"""Fit a map from texts that both models embedded: a rotation, and a rotation with a correction of some rank. The better is taken.

Laws
----
1. Texts that a map is fitted on choose none of its settings, and texts that choose them are not those that it is measured on
   (``measure``): each of the three is another part of the sample.
2. Better is what keeps more of the old model's neighbours: overlap of the first ``k`` among the sample's own old vectors.
3. A rotation is recovered where there is one. A correction is a ridge regression of what the rotation leaves: of few texts it
   learns little, instead of something wrong. Where dimensions differ it is the best map whose rows, or columns, are orthonormal:
   what zeros beside the smaller one give.
4. Work is done on sums of products, float64[d, d]: memory is the sample's own, and nothing is looped over rows.

Sources: P. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31 (1966); A. Mukherjee,
J. Zhu, "Reduced rank ridge regression and its kernel extensions", Statistical Analysis and Data Mining 4 (2011).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.bridge.map import BridgeMap, Kind, scaled
from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Vector

RIDGES = (0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Tried: in units of the mean variance of the new model's components."""
RANKS = (0.125, 0.25, 0.5, 1.0)
"""Tried, of the correction: shares of the smaller dimension."""
LEAST_PAIRS = 20
_BLOCK = 256
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The same texts, as both models embed them."""

    new: Vector
    """float32[n, d_new]."""
    old: Vector
    """float32[n, d_old]."""

    def __post_init__(self) -> None:
        if self.new.ndim != 2 or self.old.ndim != 2 or len(self.new) != len(self.old):
            raise InputError(f"no pairs: {self.new.shape} and {self.old.shape}")

    def __len__(self) -> int:
        return len(self.new)

    def take(self, rows: npt.NDArray[np.intp]) -> "Pairs":
        """Some of them, by position."""
        return Pairs(self.new[rows], self.old[rows])

    def beside(self, other: "Pairs") -> "Pairs":
        """These, and others behind them."""
        return Pairs(np.concatenate([self.new, other.new]), np.concatenate([self.old, other.old]))


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What settings are chosen by: questions that no map was fitted on, and old vectors to look for among."""

    questions: Pairs
    among: Vector
    """float32[m, d_old]."""
    k: int
    metric: str = "cosine"
    """Of the old space."""

    def recall(self, bridge: BridgeMap) -> float:
        """Share of the old model's first ``k`` that the mapped questions find."""
        cosine, far = self.metric == "cosine", self.metric == "euclidean"
        corpus = scaled(self.among) if cosine else self.among
        # Of a distance what the query has no part in.
        less = (corpus**2).sum(axis=1) / 2 if far else np.zeros(len(corpus), np.float32)
        kept: list[Vector] = []
        for begin in range(0, len(self.questions), _BLOCK):
            some = slice(begin, begin + _BLOCK)
            true = _first(self.questions.old[some] @ corpus.T - less, self.k)
            found = _first(bridge.apply(self.questions.new[some]) @ corpus.T - less, self.k)
            kept.append((true[:, :, None] == found[:, None, :]).any(axis=2).mean(axis=1, dtype=np.float32))
        return float(np.concatenate(kept).mean()) if kept else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The best map of each kind, the better one first."""

    maps: tuple[BridgeMap, ...]
    recalls: tuple[float, ...]
    """Of the trial, by map."""
    settings: tuple[dict[str, float | int | bool], ...]
    """What was chosen of each."""


def fit(pairs: Pairs, trial: Trial, *, normalise: bool) -> Fitted:
    """Both kinds. ``normalise``: whether the old embedder's vectors have length one. ``InputError`` for too few pairs."""
    if len(pairs) < LEAST_PAIRS:
        raise InputError(f"{len(pairs)} pairs fit no bridge", fix=f"It takes {LEAST_PAIRS} texts at least")
    sums = _Sums.of(pairs)
    found = [_best(_rotations(pairs, sums, normalise), trial), _best_affine(sums, trial, normalise)]
    found.sort(key=lambda one: -one[0])
    return Fitted(*(tuple(one[place] for one in found) for place in (1, 0, 2)))  # type: ignore[arg-type]


Tried = tuple[BridgeMap, dict[str, float | int | bool]]
Best = tuple[float, BridgeMap, dict[str, float | int | bool]]


def procrustes(new: Vector, old: Vector) -> Vector:
    """float32[d_new, d_old]: the map with orthonormal rows or columns that brings ``new`` nearest to ``old``."""
    left, _, right = np.linalg.svd(new.astype(np.float64).T @ old.astype(np.float64), full_matrices=False)
    return np.asarray(left @ right, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What regressions need of the pairs."""

    mean_new: Matrix
    mean_old: Matrix
    within: Matrix
    """float64[d_new, d_new]: products of the new vectors, from their middle."""
    across: Matrix
    """float64[d_new, d_old]: of new and old ones."""
    rotation: Matrix
    """float64[d_new, d_old]: the best one about the middle."""

    @classmethod
    def of(cls, pairs: Pairs) -> "_Sums":
        new, old = pairs.new.mean(axis=0, dtype=np.float64), pairs.old.mean(axis=0, dtype=np.float64)
        within, across = np.zeros((len(new), len(new))), np.zeros((len(new), len(old)))
        for begin in range(0, len(pairs), 4_096):
            x, y = pairs.new[begin : begin + 4_096] - new, pairs.old[begin : begin + 4_096] - old
            within += x.T @ x
            across += x.T @ y
        left, _, right = np.linalg.svd(across, full_matrices=False)
        return cls(new, old, within, across, left @ right)

    def map(self, kind: Kind, matrix: npt.NDArray[np.floating], normalise: bool) -> BridgeMap:
        """As it is kept: a map of the middle to the middle."""
        offset = self.mean_old - self.mean_new @ matrix
        return BridgeMap(
            kind,
            np.ascontiguousarray(matrix, dtype=np.float32), offset.astype(np.float32), normalise,
        )  # fmt: skip


def _rotations(pairs: Pairs, sums: _Sums, normalise: bool) -> Iterator[Tried]:
    """About the origin, and about the middle of the vectors."""
    plain = procrustes(pairs.new, pairs.old)
    yield BridgeMap("procrustes", plain, np.zeros(plain.shape[1], np.float32), normalise), {"centred": False}
    yield sums.map("procrustes", sums.rotation, normalise), {"centred": True}
    spread = float(np.trace(sums.within))
    if not normalise and spread > 0:
        # Where lengths mean something, those of the new model are other ones.
        scale = float((sums.rotation * sums.across).sum()) / spread
        yield sums.map("procrustes", sums.rotation * scale, normalise), {"centred": True, "scale": scale}


def _best_affine(sums: _Sums, trial: Trial, normalise: bool) -> Best:
    """The ridge first, at full rank; then the rank."""
    full = min(sums.across.shape)
    best = _best(((_affine(sums, ridge, full, normalise), {"ridge": ridge, "rank": full}) for ridge in RIDGES), trial)
    ridge = float(best[2]["ridge"])
    lower = sorted({max(1, round(share * full)) for share in RANKS} - {full})
    tried = ((_affine(sums, ridge, rank, normalise), {"ridge": ridge, "rank": rank}) for rank in lower)
    return max(best, _best(tried, trial), key=lambda one: one[0]) if lower else best


def _affine(sums: _Sums, ridge: float, rank: int, normalise: bool) -> BridgeMap:
    """The rotation, and a ridge regression of what it leaves, cut to a rank where it loses least of what it predicts."""
    size = len(sums.within)
    held = sums.within + np.eye(size) * max(ridge * float(np.trace(sums.within)) / size, 1e-12)
    correction = np.linalg.solve(held, sums.across - sums.within @ sums.rotation)
    if rank < min(sums.across.shape):
        _, vectors = np.linalg.eigh(correction.T @ held @ correction)
        kept = vectors[:, -rank:]
        correction = correction @ kept @ kept.T
    return sums.map("affine", sums.rotation + correction, normalise)


def _best(tried: Iterable[Tried], trial: Trial) -> Best:
    """The first one of the best."""
    return max(((trial.recall(bridge), bridge, settings) for bridge, settings in tried), key=lambda one: one[0])


def _first(scores: Vector, k: int) -> npt.NDArray[np.intp]:
    """int[n, k]: places of the highest, in no order."""
    k = min(k, scores.shape[1])
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]
