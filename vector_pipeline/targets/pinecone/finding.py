"""Which index of a target holds a namespace.

Laws
----
1. A namespace's name is unique over the indexes. Where one is, is remembered until it is not found there, or nobody answers there:
   then it is looked for again (``again``). What is remembered of one that is gone, or is elsewhere, is forgotten (``on_gone``).
2. ``<index>`` itself belongs to the target too, where somebody made it.
"""

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.targets.pinecone.failures import UnreachableError
from vector_pipeline.targets.pinecone.families import classic, place_of
from vector_pipeline.targets.pinecone.service import Place, Service

if TYPE_CHECKING:
    from pinecone.models.namespaces.models import NamespaceDescription

T = TypeVar("T")
_DEFAULT = "__default__"


class Finding:
    """Namespaces of one target. Safe from several threads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        index = re.escape(service.config.index)
        self._ours = re.compile(rf"{index}(-[0-9a-f]{{8}})?")
        self._places: dict[str, Place] = {}
        self._lock = threading.Lock()
        self.on_gone: list[Callable[[str], None]] = []
        """Called with a namespace that is not where it was."""

    def all(self) -> list[Place]:
        """Every index that can hold namespaces (``namespace`` is empty), by name."""
        models = self._service.control(lambda control: list(control.indexes.list()), "list indexes")
        ours = [model for model in models if self._ours.fullmatch(model.name) and classic(model) and model.host]
        return [place_of("", model) for model in sorted(ours, key=lambda model: model.name)]

    def place(self, namespace: str) -> Place:
        """Where a namespace is, or ``NotFoundError``."""
        found = self.known(namespace) or self.look(namespace)
        if found is None:
            raise self.missing(namespace)
        return found

    def missing(self, namespace: str) -> NotFoundError:
        return NotFoundError(
            f"target {self._service.name} has no namespace {namespace}",
            fix="If it was deleted, or its index was, push again: it is written anew from the lake",
        )

    def known(self, namespace: str) -> Place | None:
        """Where a namespace was when it was last seen."""
        with self._lock:
            return self._places.get(namespace)

    def forget(self, namespace: str) -> None:
        """It is gone, or elsewhere, and its numbers with it."""
        with self._lock:
            self._places.pop(namespace, None)
        for forget in self.on_gone:
            forget(namespace)

    def look(self, namespace: str) -> Place | None:
        """Look for a namespace in every index."""
        before, found = self.known(namespace), self._found(namespace)
        if before is not None and before != found:
            self.forget(namespace)
        return None if found is None else self.keep(found)

    def _found(self, namespace: str) -> Place | None:
        if not namespace or not namespace.isascii() or "\0" in namespace or len(namespace) > 512:
            return None
        for index in self.all():
            place = Place(namespace, index.index, index.host, index.dimension, index.metric, index.space)
            if self.describe(place) is not None:
                return place
        return None

    def again(self, place: Place, use: Callable[[Place], T]) -> T:
        """What ``use`` gives for a place; where that is gone, or nobody answers there, for the place where the namespace is now.

        ``use`` must have done nothing where it raises ``NotFoundError`` or ``UnreachableError``.
        """
        try:
            return use(place)
        except NotFoundError:
            there = self.look(place.namespace)
        except UnreachableError as error:
            # An index that is where it was is away for the moment; so is everything where nobody else answers either.
            if self._served(place.host):
                raise error from None
            there = self.look(place.namespace)
        if there is None:
            raise self.missing(place.namespace)
        return use(there)

    def _served(self, host: str) -> bool:
        """Whether an index is said to be there, or nothing is said."""
        try:
            return any(index.host == host for index in self.all())
        except UnavailableError:
            return True

    def describe(self, place: Place) -> "NamespaceDescription | None":
        """What the service says of a namespace; None where it is not there."""
        try:
            return self._service.data(
                place,
                lambda index: index.describe_namespace(name=place.namespace),
                f"describe namespace {place.namespace}",
            )
        except NotFoundError:
            return None

    def names(self, index: Place) -> list[str]:
        """Namespaces of one index."""
        found: list[str] = []
        token: str | None = None
        while True:
            page = self._service.data(
                index,
                lambda client, token=token: client.list_namespaces_paginated(limit=100, pagination_token=token),  # type: ignore[misc]
                f"list namespaces of {index.index}",
            )
            found += [one.name for one in page.namespaces if one.name and (one.name != _DEFAULT or one.record_count)]
            token = page.pagination.next if page.pagination else None
            if not token:
                return found

    def keep(self, place: Place) -> Place:
        with self._lock:
            self._places[place.namespace] = place
        return place
