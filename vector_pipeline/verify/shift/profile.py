"""How far the whole has moved: one version's sample against the other's, in effect and in significance."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from vector_pipeline.verify.shift.mixed import Floats

_DIRECTIONS = 16
"""Main directions of production that are tested beside the axes, and as many random ones."""
_ENERGY = 600


@dataclass(frozen=True, slots=True)
class Profile:
    """Candidate against production."""

    centroid_distance: float
    """In units of production's spread (root of its total variance); what sampling adds is taken off."""
    centroid_low: float
    centroid_high: float
    max_ks: float
    """Largest Kolmogorov-Smirnov distance over the tested directions."""
    mean_ks: float
    ks_p: float
    """Its probability, corrected for the number of directions."""
    tested: int
    energy: float
    """Energy distance in units of the spread: 0 for equal distributions."""


def profile(candidate: Floats, production: Floats, alpha: float) -> Profile:
    """Of float32[n, dim] and float32[m, dim], both finite and n, m > 1. The interval is for ``1 - alpha``."""
    distance, low, high, spread = _centroids(candidate, production, alpha)
    tests = _ks(candidate, production)
    most = float(tests.max())
    count = 1 / (1 / len(candidate) + 1 / len(production))
    p = min(1.0, 2 * math.exp(-2 * count * most * most) * len(tests))
    return Profile(
        distance, low, high, most, float(tests.mean()), p, len(tests), _energy(candidate, production) / spread
    )


def _centroids(a: Floats, b: Floats, alpha: float) -> tuple[float, float, float, float]:
    """Distance, its interval and the unit. The square of a distance of means is too large by the variance of the means."""
    spread_a, spread_b = float(a.var(axis=0, dtype=np.float64).sum()), float(b.var(axis=0, dtype=np.float64).sum())
    spread = max(spread_b, 1e-12)
    shift = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    square = float(shift @ shift)
    noise = spread_a / len(a) + spread_b / len(b)
    # Delta method: along the shift the means vary as the vectors do; without a shift, as the noise itself.
    direction = shift / max(math.sqrt(square), 1e-12)
    along = float(((a @ direction).var() / len(a)) + ((b @ direction).var() / len(b)))
    half = NormalDist().inv_cdf(1 - alpha / 2) * (2 * math.sqrt(square * along) + noise / math.sqrt(len(shift)))
    found, low, high = (
        math.sqrt(max(value, 0.0) / spread) for value in (square - noise, square - noise - half, square - noise + half)
    )
    return found, low, high, math.sqrt(spread)


def _ks(a: Floats, b: Floats) -> npt.NDArray[np.float64]:
    """float64[axes + directions]: two-sample distances along the axes, production's main directions and random ones."""
    rng = np.random.default_rng(0)
    count = min(_DIRECTIONS, b.shape[1], len(b) - 1)
    main = np.linalg.eigh(np.cov(b[:2_000], rowvar=False))[1][:, -count:].T.astype(np.float32)
    random = rng.normal(size=(count, b.shape[1])).astype(np.float32)
    first, second = np.sort(_along(a, main, random), axis=0), np.sort(_along(b, main, random), axis=0)
    return np.array([_distance(first[:, column], second[:, column]) for column in range(first.shape[1])])


def _along(vectors: Floats, main: Floats, random: Floats) -> Floats:
    return np.concatenate([vectors, vectors @ main.T, vectors @ random.T], axis=1)


def _distance(a: Floats, b: Floats) -> float:
    both = np.concatenate([a, b])
    below_a = np.searchsorted(a, both, side="right") / len(a)
    below_b = np.searchsorted(b, both, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())


def _energy(a: Floats, b: Floats) -> float:
    """Energy distance (Székely and Rizzo): root of 2 E|a - b| - E|a - a'| - E|b - b'|, unbiased, at least 0."""
    a, b = a[:_ENERGY], b[:_ENERGY]
    between, inside_a, inside_b = _distances(a, b).mean(), _distances(a, a), _distances(b, b)
    within = inside_a.sum() / (len(a) * (len(a) - 1)) + inside_b.sum() / (len(b) * (len(b) - 1))
    return math.sqrt(max(0.0, float(2 * between - within)))


def _distances(a: Floats, b: Floats) -> npt.NDArray[np.float64]:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * (a @ b.T)
    found: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0), dtype=np.float64)
    return found
