"""Neighbourhoods of unchanged contents under two embedders: the one comparison across spaces that means something."""

from typing import Any

import numpy as np

from vector_pipeline.verify import sampling
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.shift.mixed import LEAST, Floats, unit

_SAMPLE, _NEIGHBOURS = 1_500, 10


def overlap(old: Floats, new: Floats, k: int) -> np.ndarray:
    """float64[n]: share of each row's k nearest rows that are the same in float32[n, a] and float32[n, b]."""
    return np.array([len(np.intersect1d(a, b)) / k for a, b in zip(_nearest(old, k), _nearest(new, k), strict=True)])


def _nearest(vectors: Floats, k: int) -> np.ndarray:
    like = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(like, -2)
    return np.argpartition(-like, k - 1, axis=1)[:, :k]


def preserved(context: GateContext, detail: dict[str, Any]) -> str:
    """Adds what was found to ``detail``; returns it in a line. Two embedders may differ: nothing fails here."""
    said = "production is in another space: distributions are not compared"
    new, old = sampling.unchanged(context, _SAMPLE), sampling.unchanged(context, _SAMPLE, context.production)
    _, left, right = np.intersect1d(np.array(new.content_hashes), np.array(old.content_hashes), return_indices=True)
    if len(left) < 5 * LEAST:
        return f"{said}; {len(left)} unchanged contents are too few for neighbourhoods"
    shares = overlap(old.vectors[right], new.vectors[left], _NEIGHBOURS)
    mean, half = float(shares.mean()), 1.96 * float(shares.std(ddof=1)) / len(shares) ** 0.5
    detail |= {"neighbours_kept": mean, "neighbours_low": mean - half, "neighbours_high": mean + half}
    return f"{said}; unchanged contents keep {mean:.0%} (±{half:.1%}) of their {_NEIGHBOURS} nearest neighbours"
