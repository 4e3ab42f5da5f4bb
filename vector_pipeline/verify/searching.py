"""Search of one side where it is deployed, as its readers search: through an approximate index where there is one."""

from collections.abc import Sequence

import numpy as np

from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.canaries import Search
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


def live_search(context: GateContext, side: Side) -> Search:
    """Search by words. Embeds with the side's space, or refuses."""
    embedder = context.embedder(side)

    def search(queries: Sequence[str], top_k: int, filter: Filter | None, /) -> list[list[Match]]:
        return search_vectors(context, side, embedder.embed_queries(list(queries)), top_k, filter)

    return search
