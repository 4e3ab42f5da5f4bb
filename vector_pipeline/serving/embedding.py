"""Which embedder embeds a query for a version: decided here, and nowhere else.

Laws
----
1. A query is embedded with the embedder of the version that it searches, or it is refused (``RefusedError``).
2. Through a bridge it may be embedded with another one: where the reader asked for that space by name, and as ``bridge.crossing``
   says. Such an answer says that it is bridged.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from vector_pipeline.bridge.crossing import Crossing, Crossings
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.parts import Parts
from vector_pipeline.release.registry import Version

_KEPT = 16
"""Versions whose embedders are remembered: more than a reader meets between two cut-overs."""


@dataclass(frozen=True, slots=True)
class QueryEmbedding:
    """How queries become vectors that a version can be searched with."""

    embedder: Embedder
    map: Crossing | None = None

    @property
    def bridged(self) -> bool:
        return self.map is not None

    @property
    def bridge(self) -> str | None:
        """Fingerprint of the bridge."""
        return self.map.fingerprint if self.map is not None else None

    @property
    def recall(self) -> float | None:
        """That the bridge was measured to have."""
        return self.map.recall if self.map is not None else None

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """float32[n, dimension of the version]."""
        found = self.embedder.embed_queries(texts)
        return np.ascontiguousarray(found if self.map is None else self.map.map(found))


def query_embedding(parts: Parts, version: Version, crossings: Crossings | None = None) -> QueryEmbedding:
    """Law 1, or law 2 for a reader that asks in another space by name. Loads no weights."""
    return _through(parts, version, crossings.to(version) if crossings is not None else None)


class Embeddings:
    """``query_embedding`` of a reader, which asks at every query: what was found is kept while it holds. Thread-safe."""

    def __init__(self, parts: Parts, crossings: Crossings | None = None) -> None:
        self._parts = parts
        self._crossings = crossings
        self._known: dict[tuple[int, str, int | None], QueryEmbedding] = {}

    def model(self, version: Version) -> Hashable:
        """Equal for versions whose queries the same model embeds. Reads nothing."""
        if self._crossings is not None:
            return self._crossings.space
        return version.space, version.embedder_fingerprint, version.dimension, version.metric

    def of(self, version: Version) -> QueryEmbedding:
        """How queries for a version are embedded now. ``RefusedError`` where they cannot be."""
        through = self._crossings.to(version) if self._crossings is not None else None
        key = (version.number, version.fingerprint, through.bridge.id if through is not None else None)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[key] = _through(self._parts, version, through)
        return found


def _through(parts: Parts, version: Version, through: Crossing | None) -> QueryEmbedding:
    if through is not None:
        return QueryEmbedding(parts.embedder(version.dataset, through.space), through)
    parts.query_space(version)
    return QueryEmbedding(parts.embedder(version.dataset, version.space))
