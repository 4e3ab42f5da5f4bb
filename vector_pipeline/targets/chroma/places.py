"""Namespaces as collections of Chroma: found, made, told and dropped.

Laws
----
1. A collection is ours where its metadata says which namespace it is, and in which space: no other is listed, read or written.
2. ``mark`` changes with every write. Embedded it is the incarnation and the last sequence number of Chroma's log that the
   collection shows: it counts everybody's writes. A server tells no such number: there the mark is a random word in the
   collection's metadata, set before each of our writes and after it, so that neither a look in between nor a killed writer
   leaves an old mark on new records.
3. A collection that was set aside while its copy takes its place is the namespace's until the copy has.
"""

import secrets
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import RESERVED_PREFIX, NamespaceSpec, NamespaceState
from vector_pipeline.targets.chroma.connection import Connection
from vector_pipeline.targets.chroma.encoding import SPACES
from vector_pipeline.targets.chroma.names import aside_name, collection_name

if TYPE_CHECKING:
    from chromadb.types import Collection

_NAMESPACE, _SPACE = f"{RESERVED_PREFIX}namespace", f"{RESERVED_PREFIX}space"
_OWNER = f"{RESERVED_PREFIX}owner"
_DIMENSION, _METRIC = f"{RESERVED_PREFIX}dimension", f"{RESERVED_PREFIX}metric"
_INCARNATION, _MARK, _BASE = f"{RESERVED_PREFIX}incarnation", f"{RESERVED_PREFIX}mark", f"{RESERVED_PREFIX}base"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace's collection."""

    id: UUID
    name: str
    """The collection's."""
    spec: NamespaceSpec
    incarnation: str
    """Another one each time the namespace is made."""
    word: str = ""
    """The mark that the collection's metadata holds."""
    base: int = 0
    """What is added to the sequence number: a copy goes on where the first one stood."""

    def metadata(self) -> dict[str, Any]:
        """What the collection's metadata says of all this."""
        told = {_NAMESPACE: self.spec.name, _SPACE: self.spec.space, _DIMENSION: self.spec.dimension}
        told |= {_METRIC: self.spec.metric, _INCARNATION: self.incarnation, _MARK: self.word, _BASE: self.base}
        told |= {_OWNER: self.spec.owner} if self.spec.owner else {}
        # Here and not in a configuration: that would name an embedding function that nobody has, of which clients warn.
        return {"hnsw:space": SPACES[self.spec.metric], **told}


class Places:
    """The collections of one database."""

    def __init__(self, name: str, connection: Connection) -> None:
        self._name, self._connection, self._at = name, connection, connection.at

    def find(self, namespace: str) -> Place | None:
        found = self._collection(namespace)
        return None if found is None else _place(found)

    def get(self, namespace: str) -> Place:
        place = self.find(namespace) if self._connection.exists() else None
        if place is None:
            raise NotFoundError(f"target {self._name} has no namespace {namespace}")
        return place

    def names(self) -> list[str]:
        names: list[str] = []
        while True:
            start = len(names)
            page = self._connection.call(lambda api, at=start: api.list_collections(_PAGE, at, **self._at))  # type: ignore[misc]
            names += [place.spec.name if (place := _place(one)) is not None else "" for one in page]
            if len(page) < _PAGE:
                return sorted({name for name in names if name})

    def ensure(self, spec: NamespaceSpec) -> Place:
        """The collection, made where there is none. ``RefusedError`` where it is another's, or another."""
        found = self._collection(spec.name)
        if found is None:
            try:
                found = self._make(spec)
            except ConflictError:  # somebody was faster
                found = self._collection(spec.name)
        place = None if found is None else _place(found)
        if place is None:
            raise RefusedError(
                f"target {self._name} has a collection {collection_name(spec.name)} that this project has not made",
                fix="Use another database of Chroma, or delete the collection",
            )
        if different := checks.difference(spec, place.spec):
            raise RefusedError(f"namespace {spec.name} exists: {different}", fix="Use another namespace or drop it")
        if spec.owner and not place.spec.owner:
            place = self._modified(replace(place, spec=replace(place.spec, owner=spec.owner)), Counter())
        return place

    def drop(self, namespace: str) -> None:
        while (place := self.find(namespace)) is not None:
            self.delete(place.name)

    def delete(self, name: str) -> None:
        """Delete a collection, if it is there."""
        with suppress(NotFoundError):
            self._connection.call(lambda api: api.delete_collection(name, **self._at), write=True)

    def state(self, place: Place) -> NamespaceState:
        records = self._connection.call(lambda api: api._count(place.id, **self._at))
        # Vectors alone: Chroma does not tell what the rest takes.
        return NamespaceState(place.spec, records, records * place.spec.dimension * 4, self.mark(place))

    def mark(self, place: Place) -> str:
        """The mark as it is; after ``_count``, which makes Chroma apply its log."""
        counter = self._connection.counter(place.id)
        return f"{place.incarnation}:{place.word if counter is None else counter + place.base}"

    def touch(self, place: Place, retried: Counter[str]) -> Place:
        """Give the collection another mark, where Chroma does not count by itself."""
        if self._connection.counter(place.id) is not None:
            return place
        return self._modified(replace(place, word=secrets.token_hex(8)), retried)

    def _modified(self, new: Place, retried: Counter[str]) -> Place:
        # The same words twice are as good as once: this write may be repeated.
        self._connection.call(lambda api: api._modify(new.id, new_metadata=new.metadata(), **self._at), retried=retried)
        return new

    def _collection(self, namespace: str) -> "Collection | None":
        if not self._connection.exists():
            return None
        own = collection_name(namespace)
        for name in (own, aside_name(namespace), own):  # once more: it may have been aside, and be back since
            with suppress(NotFoundError):
                return self._get(name)
        return None

    def _get(self, name: str) -> "Collection":
        return self._connection.call(lambda api: api.get_collection(name, **self._at))

    def _make(self, spec: NamespaceSpec) -> "Collection":
        name = collection_name(spec.name)
        new = Place(uuid4(), name, spec, incarnation=secrets.token_hex(8)).metadata()
        return self._connection.call(lambda api: api.create_collection(name, metadata=new, **self._at), write=True)


def _place(found: "Collection") -> Place | None:
    """None for a collection that is not ours."""
    told = found.metadata or {}
    name, space, dimension, metric = (told.get(key) for key in (_NAMESPACE, _SPACE, _DIMENSION, _METRIC))
    if not (
        isinstance(name, str) and isinstance(space, str) and isinstance(dimension, int) and isinstance(metric, str)
    ):
        return None
    if found.name not in (collection_name(name), aside_name(name)):
        return None
    spec, base = NamespaceSpec(name, dimension, metric, space, str(told.get(_OWNER, ""))), told.get(_BASE)
    incarnation, word = str(told.get(_INCARNATION, "")), str(told.get(_MARK, ""))
    return Place(found.id, found.name, spec, incarnation, word, base if isinstance(base, int) else 0)
