"""Queries: the nearest records that a version and a filter let through.

Laws
----
1. Version and filter are part of the request: Pinecone applies both before it takes the top k. The sentinel is in no answer.
2. Scores: cosine; inner product; *negative* Euclidean distance (Pinecone says its square). Equal scores are ordered by id; which of
   them are cut at the end of the top k is Pinecone's.
3. An answer has at most 4 MB. Where metadata might be more, hits alone are asked for, and fetched by id.
"""

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from vector_pipeline.errors import InputError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.targets.filters import Node
from vector_pipeline.targets.pinecone.asking import Asking, cut
from vector_pipeline.targets.pinecone.conditions import both, translate
from vector_pipeline.targets.pinecone.encoding import ADDED_IN, REMOVED_IN, SENTINEL, SENTINEL_KEY, TEXT, marks_of
from vector_pipeline.targets.pinecone.service import Place
from vector_pipeline.targets.pinecone.values import value_of

if TYPE_CHECKING:
    from pinecone import QueryResponse

_SURE_WITH_METADATA, _MOST_WITH_METADATA = 100, 1_000
"""Hits of one query with metadata, of which a record has at most 40 KB (law 3)."""


class Searcher:
    """Queries of one target. Safe from several threads."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def query(
        self, place: Place, vectors: Vector, top_k: int, version: int | None, node: Node | None, *, include_text: bool
    ) -> list[list[Match]]:
        queries = checks.check_queries(vectors, place.dimension)
        condition = both(
            [
                # A filter by version passes over the sentinel too: it has no interval.
                {SENTINEL_KEY: {"$exists": False}} if version is None else True,
                True if version is None else {ADDED_IN: {"$lte": version}},
                True if version is None else {REMOVED_IN: {"$gt": version}},
                True if node is None else translate(node),
            ]
        )
        if condition is False or not len(queries):
            return [[] for _ in queries]
        assert isinstance(condition, dict)
        pool = self._asking.service.pool()
        parts = [pool.submit(self._query, place, vector, top_k, condition) for vector in queries.tolist()]
        answers = [part.result() for part in parts]
        if not any(answer.matches for answer in answers):
            self._asking.require(place)
        held = self._held(place, answers) if top_k > _SURE_WITH_METADATA else {}
        return [_matches(answer, held, place.metric, include_text=include_text) for answer in answers]

    def _query(self, place: Place, vector: list[float], top_k: int, condition: dict[str, Any]) -> "QueryResponse":
        ask = partial(self._asking.query, place, vector, top_k, condition)
        if top_k <= _SURE_WITH_METADATA:
            return ask(True)
        try:
            return ask(top_k <= _MOST_WITH_METADATA)
        except InputError:
            # Perhaps the answer was too large; whatever else it was is said again.
            return ask(False)

    def _held(self, place: Place, answers: "list[QueryResponse]") -> dict[str, dict[str, Any]]:
        """Metadata by id, where the answers have none."""
        ids = list({one.id: None for answer in answers for one in answer.matches if not one.metadata})
        pool = self._asking.service.pool()
        parts = [pool.submit(self._asking.fetch, place, some) for some in cut(ids)]
        return {one.id: one.metadata or {} for part in parts for one in part.result().vectors.values()}


def _matches(
    answer: "QueryResponse", held: dict[str, dict[str, Any]], metric: str, *, include_text: bool
) -> list[Match]:
    found = []
    for one in answer.matches:
        if one.id == SENTINEL:
            continue
        metadata = one.metadata or held.get(one.id, {})
        marks, text = marks_of(metadata), metadata.get(TEXT)
        found.append(
            Match(
                one.id,
                -math.sqrt(max(0.0, one.score)) if metric == "euclidean" else one.score,
                marks["document_id"],
                marks["content_hash"],
                marks["added_in"],
                marks["removed_in"],
                text if include_text else None,
                value_of(metadata),
            )
        )
    return sorted(found, key=lambda match: (-match.score, match.id))


def check_top_k(top_k: int, most: int) -> None:
    if not 1 <= top_k <= most:
        raise InputError(f"top_k must be between 1 and {most}, not {top_k}")
