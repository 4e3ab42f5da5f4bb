"""The requests that reads are made of: each paced, tried again where it fails, sent to where its namespace is by now, and of a size
that the service takes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from vector_pipeline.targets.pinecone.finding import Finding
from vector_pipeline.targets.pinecone.service import Place, Service

if TYPE_CHECKING:
    from pinecone import FetchResponse, ListResponse, QueryResponse
    from pinecone.index import Index

T = TypeVar("T")
MOST_FETCHED = 100
_PAGE = 100
_URL_BYTES = 6_000
"""Of the ids in one fetch: they travel in the address."""


class Asking:
    """Requests of one target. Safe from several threads."""

    def __init__(self, service: Service, finding: Finding) -> None:
        self.service, self._finding = service, finding

    def page(self, place: Place, prefix: str, token: str | None) -> "ListResponse":
        return self._ask(
            place,
            "list",
            lambda index: index.list_paginated(
                prefix=prefix or None, limit=_PAGE, pagination_token=token, namespace=place.namespace
            ),
        )

    def fetch(self, place: Place, ids: list[str]) -> "FetchResponse":
        return self._ask(place, "fetch", lambda index: index.fetch(ids=ids, namespace=place.namespace))

    def query(
        self, place: Place, vector: list[float], top_k: int, condition: dict[str, Any], with_metadata: bool
    ) -> "QueryResponse":
        return self._ask(
            place,
            "query",
            lambda index: index.query(
                vector=vector,
                top_k=top_k,
                namespace=place.namespace,
                filter=condition,
                include_metadata=with_metadata,
            ),
        )

    def _ask(self, place: Place, verb: str, request: "Callable[[Index], T]") -> T:
        def ask(where: Place) -> T:
            return self.service.data(where, request, f"{verb} in namespace {where.namespace}", verb=verb)

        return self._finding.again(place, ask)

    def require(self, place: Place) -> None:
        """After an answer that held nothing: a namespace that is gone is ``NotFoundError``, not empty."""
        if self._finding.describe(place) is None and self._finding.look(place.namespace) is None:
            raise self._finding.missing(place.namespace)


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
