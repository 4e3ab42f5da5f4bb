"""Search of one side where it is deployed, as its readers search: through an approximate index where there is one."""

import numpy as np

from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.context import GateContext, Side


def search_vectors(
    context: GateContext, side: Side, vectors: Vector, top_k: int, filter: Filter | None = None
) -> list[list[Match]]:
    """Hits of each of float32[n, dim], best first, without texts. ``NotFoundError`` where the side is on no target."""
    target = context.target(side)
    assert side.deployment is not None
    return target.query(
        side.deployment.namespace, np.ascontiguousarray(vectors), top_k=top_k, version=side.version.number, filter=filter,
        exact=not target.capabilities.approximate, include_text=False,
    )  # fmt: skip
