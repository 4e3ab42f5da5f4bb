"""One suggested canary, and what makes an answer clear enough to suggest it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.sidebyside import Asked, Found, found_of

SHOWN = 10
"""Documents of each question that are looked at."""
CLEAR = 0.25
"""The first document's lead over the second, as a share of its lead over the last that was looked at."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question and the document that answers it today."""

    query: str
    document: str
    filter: Filter | None
    source: str
    """``log``, ``question``, ``heading``, ``sentence`` or ``title``."""
    why: str
    hits: tuple[Found, ...]
    """The first documents, best first."""

    @property
    def score(self) -> float:
        return self.hits[0].score

    @property
    def margin(self) -> float:
        """Lead over the second document, in the units of the score."""
        return self.hits[0].score - self.hits[1].score if len(self.hits) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query, "document": self.document, "filter": self.filter, "source": self.source, "why": self.why,
            "score": self.score, "margin": self.margin,
            "documents": [{"document": one.document, "score": one.score} for one in self.hits],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suggested:
    """What was proposed, and of which version."""

    asked: Asked
    suggestions: tuple[Suggestion, ...]
    looked_at: int
    """Questions that were tried."""
    again: Callable[[str, Filter | None], tuple[Found, ...]]
    """Asks another question of the same version."""


def clear(hits: Sequence[Match]) -> bool:
    """Whether the first document leads clearly (law 1)."""
    if len(hits) < 2:
        return False
    lead, all_ = hits[0].score - hits[1].score, hits[0].score - hits[-1].score
    return lead > 1e-3 * max(abs(hits[0].score), 1e-9) and lead >= CLEAR * all_


def bare(hits: Sequence[Match]) -> tuple[Found, ...]:
    """Hits by rank."""
    return tuple(found_of(rank, match) for rank, match in enumerate(hits, start=1))


def unit(vectors: Vector) -> Vector:
    """Rows of length one: float32[n, dim]."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
