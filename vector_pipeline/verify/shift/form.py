"""What vectors look like, whatever they mean: lengths, resting axes, rounding, variety. Topics move none of these; a lost
normalisation, another model, 8-bit rounding and a collapsed model each move one.

Laws
----
1. What is expected is how production's own vectors are: a space that is rounded, or not normalised, stays so unhindered.
2. A finding says how many of the group's vectors show it; whether so many are an accident is the caller's to judge.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.verify.shift.mixed import LEAST, Floats, unit

Rows = npt.NDArray[np.bool_]

_WINDOW = 384
"""Components in which equal values are counted: the more are looked at, the more are equal by chance."""
_ROUNDED = 0.9
"""Share of distinct values in a vector below which it was rounded: float32 has 1.0, float16 0.97, 8 bits 0.2 to 0.5."""
_PAIRS = 400


@dataclass(frozen=True, slots=True)
class Odd:
    """What is odd about some vectors of a group."""

    key: str
    says: str
    rows: Rows
    """bool[n]: which of the group."""


@dataclass(frozen=True, slots=True)
class Form:
    """Numbers of a group."""

    mean_norm: float
    spread_of_norms: float
    mean_cosine: float
    """Of pairs of different contents."""
    effective_rank: float
    """Participation ratio of the covariance's eigenvalues."""
    distinct_values: float
    """Median share of distinct values in a vector."""


def norms(vectors: Floats) -> npt.NDArray[np.float64]:
    """float64[n]: Euclidean lengths; infinite or NaN where components are."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: npt.NDArray[np.float64] = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))
        return lengths


def distinct(vectors: Floats) -> npt.NDArray[np.float64]:
    """float64[n]: share of distinct absolute values among a vector's components that are not zero."""
    ordered = np.sort(np.abs(vectors[:, :_WINDOW]), axis=1)
    there = (ordered > 0).sum(axis=1)
    steps = ((np.diff(ordered, axis=1) > 0) & (ordered[:, 1:] > 0)).sum(axis=1) + (ordered[:, 0] > 0)
    return np.where(there > 0, steps / np.maximum(there, 1), 1.0)


def form_of(vectors: Floats) -> Form:
    """Of finite float32[n, dim], n > 1."""
    lengths, straight = norms(vectors), unit(vectors[:2_000])
    count = len(straight)
    total = straight.sum(axis=0, dtype=np.float64)
    pairs = (float(total @ total) - float(np.square(straight, dtype=np.float64).sum())) / (count * (count - 1))
    centred = vectors[:2_000] - vectors[:2_000].mean(axis=0)
    # Of the smaller Gram matrix: trace squared over the sum of its squares is the participation ratio.
    gram = centred @ centred.T if count < centred.shape[1] else centred.T @ centred
    squares = float(np.square(gram, dtype=np.float64).sum())
    rank = float(np.trace(gram, dtype=np.float64)) ** 2 / squares if squares > 0 else 0.0
    values = float(np.median(distinct(vectors[:2_000])))
    return Form(float(lengths.mean()), float(lengths.std()), pairs, rank, values)


def odd_lengths(group: Floats, base: Floats) -> Odd:
    """Lengths that none of the base has. A tenth of the base's range is added to it, and 1%."""
    known, seen = norms(base), norms(group)
    low, high = (float(value) for value in np.quantile(known, [0.001, 0.999]))
    slack = 0.1 * (high - low) + 0.01 * high
    rows = ~((seen >= low - slack) & (seen <= high + slack))
    found = seen[rows & np.isfinite(seen)]
    reach = f"{found.min():.3g} to {found.max():.3g}" if found.size else "no number"
    return Odd("norms", f"lengths of {reach} where production has {low:.3g} to {high:.3g}", rows)


def odd_axes(group: Floats, base: Floats) -> Odd:
    """Vectors that move along axes along which the base rests."""
    middle, spread = np.median(base, axis=0), base.max(axis=0) - base.min(axis=0)
    typical = float(np.median(spread))
    still = (spread < 1e-6 * typical) if len(base) >= 10 * LEAST and typical > 0 else np.zeros(base.shape[1], bool)
    moved = np.maximum(1e-4 * typical, 100 * spread[still])
    rows = (np.abs(group[:, still] - middle[still]) > moved).any(axis=1)
    return Odd("axes", f"vectors that move along {int(still.sum())} axes along which production's rest", rows)


def odd_rounding(group: Floats, base: Floats) -> Odd:
    """Vectors of few distinct values, where the base's have many."""
    rows = distinct(group) < _ROUNDED
    if float(np.quantile(distinct(base[:2_000]), 0.01)) < (1 + _ROUNDED) / 2:
        rows[:] = False
    return Odd("rounding", "vectors rounded to few values, where production's are not", rows)


def odd_copies(group: Floats, base: Floats | None) -> Odd:
    """Vectors equal to another of the group although their texts differ; none, where the base has as many."""
    if len(group) < 2:
        return Odd("copies", "", np.zeros(len(group), bool))
    rows = _repeated(group)
    known = float(_repeated(base).mean()) if base is not None and len(base) else 0.0
    if float(rows.mean()) <= 2 * known:
        rows[:] = False
    return Odd("copies", "vectors that are those of other texts too", rows)


def _repeated(vectors: Floats) -> Rows:
    """Which are equal to another, but for rounding."""
    _, places, counts = np.unique(np.round(unit(vectors), 5) + 0.0, axis=0, return_inverse=True, return_counts=True)
    rows: Rows = counts[places] > 1
    return rows


def cosines(vectors: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Cosine of each of the first vectors with the next one, and their positions: pairs as good as random."""
    count = min(len(vectors), _PAIRS)
    straight = unit(vectors[:count])
    return (straight * np.roll(straight, -1, axis=0)).sum(axis=1, dtype=np.float64), np.arange(count)
