"""The requests that reads are made of: each paced, tried again where it fails, and of a size that the service takes."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vector_pipeline.targets.pinecone.indexes import Indexes
from vector_pipeline.targets.pinecone.service import Place, Service

if TYPE_CHECKING:
    from pinecone import FetchResponse, ListResponse, QueryResponse

MOST_FETCHED = 100
_PAGE = 100
_URL_BYTES = 6_000
"""Of the ids in one fetch: they travel in the address."""


class Asking:
    """Requests of one target. Safe from several threads."""

    def __init__(self, service: Service, indexes: Indexes) -> None:
        self.service, self._indexes = service, indexes

    def page(self, place: Place, prefix: str, token: str | None) -> "ListResponse":
        self.service.limiter.wait(place.namespace, "list")
        return self.service.data(
            place,
            lambda index: index.list_paginated(
                prefix=prefix or None, limit=_PAGE, pagination_token=token, namespace=place.namespace
            ),
            f"list namespace {place.namespace}",
        )

    def fetch(self, place: Place, ids: list[str]) -> "FetchResponse":
        self.service.limiter.wait(place.namespace, "fetch")
        return self.service.data(
            place,
            lambda index: index.fetch(ids=ids, namespace=place.namespace),
            f"fetch from namespace {place.namespace}",
        )

    def query(
        self, place: Place, vector: list[float], top_k: int, condition: dict[str, Any], with_metadata: bool
    ) -> "QueryResponse":
        self.service.limiter.wait(place.namespace, "query")
        return self.service.data(
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

    def require(self, place: Place) -> None:
        """After an answer that held nothing: a namespace that is gone is ``NotFoundError``, not empty."""
        if self._indexes.describe(place) is None and self._indexes.look(place.namespace) is None:
            raise self._indexes.missing(place.namespace)


def cut(ids: list[str]) -> list[list[str]]:
    """Ids for one address each."""
    parts: list[list[str]] = []
    room = 0
    for name in ids:
        size = len(quote(name, safe="")) + 5
        if not parts or room < size or len(parts[-1]) >= MOST_FETCHED:
            parts.append([])
            room = _URL_BYTES
        parts[-1].append(name)
        room -= size
    return parts
