"""Nearest records: Chroma's index proposes, and what it leaves out is looked for without it.

Laws
----
1. Chroma filters while it walks its graph, and a graph can be in pieces: of 3,000 records with one vector it found 12, and none
   of two where thousands had been deleted (chromadb 1.5.9). So what it gives is counted against how many match; where it gives
   too few, the vectors of what matches are fetched in pages and scored here.
2. ``exact``: Chroma is asked for everything that matches. When it gives all of it, the best of that are the best.
3. A filter costs Chroma time with every record that matches. The nearest of all are asked for first, and filtered here; where
   enough of them match, that was all. Not of very many: Chroma asks SQLite for their metadata, which takes so many values.
4. Scores: cosine; inner product; *negative* Euclidean distance. A zero vector has cosine 0 to everything. Ties by id.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.targets.chroma.conditions import Condition, condition
from vector_pipeline.targets.chroma.connection import Connection
from vector_pipeline.targets.chroma.decoding import interval_of, marks_of, metadata_of
from vector_pipeline.targets.chroma.encoding import unit
from vector_pipeline.targets.chroma.places import Place
from vector_pipeline.targets.filters import Node, matches

PAGE = 2_000
"""Records fetched at once: SQLite takes 32,766 values in a query."""
_VECTOR_BYTES = 8_000_000
"""Of vectors fetched at once: a server writes them as decimal numbers, several times as long."""
_LEAST_PROPOSED = 40
_OVERFETCH = 4
_MOST_PROPOSED = 8_000
"""At once, of all queries together: with their metadata, and SQLite takes 32,766 values in a query."""
_FEW = 500
"""So few records are scored here at once, without asking the index."""

Scored = tuple[float, str]
"""Negative score and id: sorts best first, ties by id."""


def pages(ids: Iterable[str], size: int = PAGE) -> Iterator[list[str]]:
    """The ids, some at a time."""
    rest = iter(ids)
    while some := list(islice(rest, size)):
        yield some


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for."""

    top_k: int
    version: int | None
    node: Node | None
    exact: bool

    @property
    def open(self) -> bool:
        """Every record matches."""
        return self.version is None and self.node is None

    def sees(self, native: dict[str, Any] | None) -> bool:
        told = native or {}
        added, removed = interval_of(told)
        if self.version is not None and not added <= self.version < removed:
            return False
        return self.node is None or matches(self.node, metadata_of(told).value)


class Searcher:
    """Searches in one collection."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self._connection, self.place, self._at = connection, place, connection.at

    @property
    def vectors_at_once(self) -> int:
        """Records whose vectors are fetched together."""
        return min(PAGE, max(1, _VECTOR_BYTES // (4 * self.place.spec.dimension)))

    def nearest(self, queries: Vector, search: Search) -> list[list[Scored]]:
        """Hits of each of float32[n, dim] ``queries``."""
        directed = unit(queries) if self.place.spec.metric == "cosine" else queries
        found: dict[int, list[Scored]] = {}
        if not search.exact:
            found = self._proposed(directed, search)
        rest = [number for number in range(len(queries)) if number not in found]
        if rest:
            found.update(zip(rest, self._matching(directed[rest], search), strict=True))
        return [found[number] for number in range(len(queries))]

    def matches_of(self, hits: list[list[Scored]], *, include_text: bool) -> list[list[Match]]:
        """The hits' records. What was deleted since is left out."""
        include = ["metadatas", "documents"] if include_text else ["metadatas"]
        told: dict[str, tuple[dict[str, Any], str | None]] = {}
        for ids in pages(dict.fromkeys(name for some in hits for _, name in some)):
            got = self.get(include, ids=ids)
            texts = got["documents"] if include_text else [None] * len(got["ids"])
            told.update(zip(got["ids"], zip(got["metadatas"], texts, strict=True), strict=True))
        return [[_match(name, -score, *told[name]) for score, name in some if name in told] for some in hits]

    def _proposed(self, queries: Vector, search: Search) -> dict[int, list[Scored]]:
        """Law 3: hits of the queries whose nearest neighbours match often enough, by number."""
        count = max(_LEAST_PROPOSED, _OVERFETCH * search.top_k)
        if count > _MOST_PROPOSED and not search.open:
            return {}
        together = max(1, _MOST_PROPOSED // count)
        found = {}
        for start in range(0, len(queries), together):
            got = self._query(queries[start : start + together], count, None, metadata=not search.open)
            for number, ids in enumerate(got["ids"]):
                scored = self._scored(got, number)
                if not search.open:
                    natives = dict(zip(ids, got["metadatas"][number], strict=True))
                    scored = [one for one in scored if search.sees(natives[one[1]])]
                if len(scored) >= search.top_k:
                    found[start + number] = scored[: search.top_k]
        return found

    def _matching(self, queries: Vector, search: Search) -> list[list[Scored]]:
        """Hits among everything that matches, which is told first."""
        asked = condition(search.node, search.version)
        if asked.where is False:
            return [[] for _ in queries]
        allowed = self._allowed(asked, search)
        if len(allowed) > _FEW and asked.exact:
            wanted = len(allowed) if search.exact else min(search.top_k, len(allowed))
            where = asked.where if isinstance(asked.where, dict) else None
            found = []
            for number in range(len(queries)):  # one by one: each may bring back everything
                got = self._query(queries[number : number + 1], wanted, where, metadata=False)
                found.append(self._scored(got, 0))
            if all(len(some) >= wanted for some in found):
                return [some[: search.top_k] for some in found]
        return self._compared(queries, allowed, search.top_k)

    def _allowed(self, asked: Condition, search: Search) -> list[str]:
        """Ids of what matches."""
        where = asked.where if isinstance(asked.where, dict) else None
        ids: list[str] = self.get([], where=where)["ids"]
        if asked.exact:
            return ids
        return [name for some in pages(ids) for name in self._seen(some, search)]

    def _seen(self, ids: Sequence[str], search: Search) -> Iterator[str]:
        got = self.get(["metadatas"], ids=ids)
        return (name for name, native in zip(got["ids"], got["metadatas"], strict=True) if search.sees(native))

    def _compared(self, queries: Vector, ids: Iterable[str], top_k: int) -> list[list[Scored]]:
        """The best of these records, by their vectors, a page at a time."""
        best: list[list[Scored]] = [[] for _ in queries]
        for some in pages(ids, self.vectors_at_once):
            got = self.get(["embeddings"], ids=some)
            if not got["ids"]:
                continue
            scores = self._scores(np.asarray(got["embeddings"], dtype=np.float32), queries)
            for number, row in enumerate(scores):
                best[number] = sorted([*best[number], *zip((-row).tolist(), got["ids"], strict=True)])[:top_k]
        return best

    def _scores(self, vectors: Vector, queries: Vector) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        wide, asked = vectors.astype(np.float64), queries.astype(np.float64)
        if self.place.spec.metric != "euclidean":
            return np.asarray(asked @ wide.T)
        return np.stack([-np.linalg.norm(wide - one, axis=1) for one in asked])

    def _scored(self, got: Any, number: int) -> list[Scored]:
        """Chroma's distances of one query: 1 - product, or the squared distance."""
        distances = np.asarray(got["distances"][number], dtype=np.float64)
        negative = np.sqrt(np.maximum(distances, 0)) if self.place.spec.metric == "euclidean" else distances - 1
        return sorted(zip(negative.tolist(), got["ids"][number], strict=True))

    def _query(self, queries: Vector, count: int, where: Any, *, metadata: bool) -> Any:
        include: Any = ["distances", "metadatas"] if metadata else ["distances"]
        return self._connection.call(
            lambda api: api._query(
                self.place.id, list(queries), n_results=count, where=where, include=include, **self._at
            )
        )

    def get(self, include: Any, **selection: Any) -> Any:
        """Chroma's own answer."""
        return self._connection.call(lambda api: api._get(self.place.id, include=include, **selection, **self._at))


def _match(name: str, score: float, native: dict[str, Any] | None, text: str | None) -> Match:
    metadata = metadata_of(native or {})
    marks = marks_of(native or {}, metadata)
    told = {key: marks[key] for key in ("document_id", "content_hash", "added_in", "removed_in")}
    return Match(name, score + 0.0, text=text, metadata=metadata.value, **told)
