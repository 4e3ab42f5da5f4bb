"""Which embedder embeds a query for a version: decided here, and nowhere else.

Laws
----
1. A query is embedded with the embedder of the version that it searches, or it is refused (``RefusedError``).
2. Through a map it may be embedded with another one: only where the registry says that this map is in force for that version's
   embedder. Such an answer says that it is bridged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.parts import Parts
from vector_pipeline.release.registry import Registry, Version


class QueryMap(Protocol):
    """From queries of one embedder to vectors of another: a bridge."""

    @property
    def fingerprint(self) -> str:
        """Of the map itself: readers compare it to see that there is another one."""

    @property
    def space(self) -> str:
        """Name of the space whose embedder embeds the query."""

    def map(self, queries: Vectors) -> Vectors:
        """float32[n, dimension there] → float32[n, dimension of the version], of unit length where the version's vectors are."""


@dataclass(frozen=True, slots=True)
class QueryEmbedding:
    """How queries become vectors that a version can be searched with."""

    embedder: Embedder
    map: QueryMap | None = None

    @property
    def bridged(self) -> bool:
        return self.map is not None

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """float32[n, dimension of the version]."""
        found = self.embedder.embed_queries(texts)
        return np.ascontiguousarray(found if self.map is None else self.map.map(found))


def map_in_force(registry: Registry, environment: str, version: Version) -> QueryMap | None:  # noqa: ARG001
    """The map that queries for a version go through here, or None. Asked whenever the registry is asked for the alias."""
    return None


def query_embedding(parts: Parts, version: Version, through: QueryMap | None = None) -> QueryEmbedding:
    """Law 1, or law 2 where there is a map. Loads no weights."""
    if through is not None:
        return QueryEmbedding(parts.embedder(version.dataset, through.space), through)
    parts.query_space(version)
    return QueryEmbedding(parts.embedder(version.dataset, version.space))
