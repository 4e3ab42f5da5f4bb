"""A map of what moved: both versions on production's two main axes."""

from typing import Any

import numpy as np

from vector_pipeline.verify import sampling
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.sampling import VectorSample
from vector_pipeline.verify.shift.mixed import directed, unit

POINTS = 1_500
"""Most points of a map. What changed gets up to two thirds of it."""
_AXES_FROM = 4_000


def project_map(context: GateContext) -> dict[str, Any]:
    """A chart of kind ``scatter``: points [x, y, document, group], the group being unchanged, added or removed.

    The axes are the two directions along which production's vectors vary most (the candidate's where they are in another space:
    then nothing of production is drawn). No points where there are too few vectors for axes.
    """
    groups = {
        sampling.UNCHANGED: sampling.unchanged(context, POINTS),
        sampling.REMOVED: sampling.removed(context, POINTS // 3),
        sampling.ADDED: sampling.added(context, POINTS if context.production is None else POINTS // 3),
    }
    side = context.production
    if side is None or not sampling.shares_vectors(context):
        side = context.candidate
        groups[sampling.REMOVED] = groups[sampling.REMOVED].first(0)
    changed = sum(len(groups[name]) for name in (sampling.ADDED, sampling.REMOVED))
    groups[sampling.UNCHANGED] = groups[sampling.UNCHANGED].first(POINTS - changed)
    chart: dict[str, Any] = {"kind": "scatter", "title": "What moved", "points": []}
    base = unit(directed(sampling.sample_vectors(context, side, _AXES_FROM)).vectors)
    if len(base) < 3 or base.shape[1] < 2:
        return chart
    middle = base.mean(axis=0)
    axes = np.linalg.eigh(np.cov(base - middle, rowvar=False))[1][:, [-1, -2]].astype(np.float32)
    # An eigenvector's sign is arbitrary: the component of the largest size is made positive, so that maps can be compared.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    for name, sample in groups.items():
        chart["points"] += _points(directed(sample), middle, axes, name)
    return chart


def _points(sample: VectorSample, middle: np.ndarray, axes: np.ndarray, group: str) -> list[list[Any]]:
    if not len(sample):
        return []  # Of another space, perhaps: without vectors, but with its dimension.
    places = np.round((unit(sample.vectors) - middle) @ axes, 4).tolist()
    return [[x, y, document, group] for (x, y), document in zip(places, sample.document_ids, strict=True)]
