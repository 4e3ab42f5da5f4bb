"""Reads: listing ids, fetching records, queries.

Laws
----
1. The sentinel is in no answer.
2. A listing says ids alone, ascending, from pages of 100; the next page is under way while one is used.
3. Scores: cosine; inner product; *negative* Euclidean distance (Pinecone says its square). Equal scores are ordered by id; which of
   them are cut at the end of the top k is Pinecone's.
4. What answers nothing at all is looked at once more: a namespace that is gone is an error, not empty.
"""

import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from vector_pipeline.errors import InputError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import MARK_SCHEMA, Match, Vector
from vector_pipeline.targets.filters import Node
from vector_pipeline.targets.pinecone.conditions import both, translate
from vector_pipeline.targets.pinecone.encoding import (
    ADDED_IN,
    REMOVED_IN,
    SENTINEL,
    SENTINEL_KEY,
    TEXT,
    marks_of,
    records_of,
)
from vector_pipeline.targets.pinecone.indexes import Indexes
from vector_pipeline.targets.pinecone.service import Place, Service
from vector_pipeline.targets.pinecone.values import value_of

if TYPE_CHECKING:
    from pinecone import FetchResponse, ListResponse, QueryResponse

_PAGE = 100
_URL_BYTES = 6_000
"""Of the ids in one fetch: they travel in the address."""
_MOST_FETCHED = 100
_SURE_WITH_METADATA = 100
_MOST_WITH_METADATA = 1_000
"""Hits of one query with metadata: an answer has at most 4 MB, and a record's metadata 40 KB. More are fetched by id."""


class Reader:
    """Reads of one target. Safe from several threads."""

    def __init__(self, service: Service, indexes: Indexes) -> None:
        self._service, self._indexes = service, indexes

    def scan(self, place: Place, prefix: str, batch_records: int) -> Iterator[pa.RecordBatch]:
        waiting: list[str] = []
        seen = False
        for page in self._pages(place, prefix):
            seen = True
            waiting += [name for name in page if name != SENTINEL]
            while len(waiting) >= batch_records:
                yield _ids(waiting[:batch_records])
                waiting = waiting[batch_records:]
        if waiting:
            yield _ids(waiting)
        if not seen and not prefix:
            self._still_there(place)

    def _pages(self, place: Place, prefix: str) -> Iterator[list[str]]:
        pool = self._service.pool()
        page = self._list(place, prefix, None)
        while True:
            token = page.pagination.next if page.pagination else None
            coming = pool.submit(self._list, place, prefix, token) if token else None
            if page.vectors:
                yield [one.id for one in page.vectors if one.id is not None]
            if coming is None:
                return
            page = coming.result()

    def _list(self, place: Place, prefix: str, token: str | None) -> "ListResponse":
        self._service.limiter.wait(place.namespace, "list")
        return self._service.data(
            place,
            lambda index: index.list_paginated(
                prefix=prefix or None, limit=_PAGE, pagination_token=token, namespace=place.namespace
            ),
            f"list namespace {place.namespace}",
        )

    def fetch(self, place: Place, ids: Iterable[str], *, vectors: bool) -> pa.Table:
        wanted: list[str] = checks.id_table(ids).column("id").to_pylist()
        # No record has such an id, and the service refuses to look.
        wanted = [name for name in wanted if 1 <= len(name) <= 512 and name.isascii() and "\0" not in name]
        pool = self._service.pool()
        parts = [pool.submit(self._fetch, place, some) for some in _cut(wanted)]
        found = [one for part in parts for one in part.result().vectors.values()]
        if not found:
            self._still_there(place)
        return records_of(found, place.dimension, with_vectors=vectors)

    def _fetch(self, place: Place, ids: list[str]) -> "FetchResponse":
        self._service.limiter.wait(place.namespace, "fetch")
        return self._service.data(
            place,
            lambda index: index.fetch(ids=ids, namespace=place.namespace),
            f"fetch from namespace {place.namespace}",
        )

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
        pool = self._service.pool()
        parts = [pool.submit(self._query, place, vector, top_k, condition) for vector in queries.tolist()]
        answers = [part.result() for part in parts]
        if not any(answer.matches for answer in answers):
            self._still_there(place)
        held = self._held(place, answers) if top_k > _SURE_WITH_METADATA else {}
        return [_matches(answer, held, place.metric, include_text=include_text) for answer in answers]

    def _query(self, place: Place, vector: list[float], top_k: int, condition: dict[str, Any]) -> "QueryResponse":
        ask = partial(self._ask, place, vector, top_k, condition)
        if top_k <= _SURE_WITH_METADATA:
            return ask(True)
        try:
            return ask(top_k <= _MOST_WITH_METADATA)
        except InputError:
            # Perhaps the answer was too large; whatever else it was is said again.
            return ask(False)

    def _ask(
        self, place: Place, vector: list[float], top_k: int, condition: dict[str, Any], with_metadata: bool
    ) -> "QueryResponse":
        self._service.limiter.wait(place.namespace, "query")
        return self._service.data(
            place,
            lambda index: index.query(
                vector=vector,
                top_k=top_k,
                namespace=place.namespace,
                filter=condition,
                include_metadata=with_metadata,
            ),
            f"query namespace {place.namespace}",
        )

    def _held(self, place: Place, answers: "list[QueryResponse]") -> dict[str, dict[str, Any]]:
        """Metadata by id, where the answers have none."""
        ids = list({one.id: None for answer in answers for one in answer.matches if not one.metadata})
        pool = self._service.pool()
        parts = [pool.submit(self._fetch, place, some) for some in _cut(ids)]
        return {one.id: one.metadata or {} for part in parts for one in part.result().vectors.values()}

    def _still_there(self, place: Place) -> None:
        """Law 4."""
        if self._indexes.describe(place) is None and self._indexes.look(place.namespace) is None:
            raise self._indexes.missing(place.namespace)


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


def _ids(names: list[str]) -> pa.RecordBatch:
    nothing = {name: [None] * len(names) for name in MARK_SCHEMA.names}
    return pa.RecordBatch.from_pydict({**nothing, "id": names}, schema=MARK_SCHEMA)


def _cut(ids: list[str]) -> list[list[str]]:
    """Ids for one address each."""
    parts: list[list[str]] = []
    room = 0
    for name in ids:
        size = len(quote(name, safe="")) + 5
        if not parts or room < size or len(parts[-1]) >= _MOST_FETCHED:
            parts.append([])
            room = _URL_BYTES
        parts[-1].append(name)
        room -= size
    return parts


def check_top_k(top_k: int, most: int) -> None:
    if not 1 <= top_k <= most:
        raise InputError(f"top_k must be between 1 and {most}, not {top_k}")
