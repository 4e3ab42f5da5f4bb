"""One index: its namespaces by name, and small documents (aliases, imports) that other modules keep."""

import threading
from collections.abc import Callable
from typing import Any

from vector_pipeline.testing.pinecone_server.disk import Disk
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.namespace import Description, Namespace
from vector_pipeline.testing.pinecone_server.records import Records, VectorShape

DEFAULT_NAMESPACE = "__default__"
"""What ``""`` names too."""

ALIAS = "alias"
"""Kind of an index's documents ``{alias: {"name", "target_namespace", …}}``."""


def canonical(namespace: str) -> str:
    """One name for a namespace: that of the default one is ``__default__``."""
    return namespace or DEFAULT_NAMESPACE


class IndexStore:
    """One index: its namespaces, and small documents (aliases, imports) by kind and key. Safe from several threads.

    ``shape`` is None for a document index: it exists, and holds no vectors.
    """

    def __init__(
        self, name: str, shape: VectorShape | None, disk: Disk, clock: Callable[[], float], lag: Callable[[], float]
    ) -> None:
        self.name = name
        self.shape = shape
        self._disk = disk
        self._clock = clock
        self._lag = lag
        self._lock = threading.RLock()
        self._namespaces: dict[str, Namespace] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        if shape is not None:
            for number, called, lsn, present, fields in disk.namespaces():
                namespace = self._namespaces[called] = self._new(called, number, lsn, shape)
                if present:
                    namespace.restore(fields)

    def close(self) -> None:
        self._disk.close()

    def known(self, namespace: str) -> Namespace | None:
        """The namespace, also one that was dropped; None for one that never was. Its ``exists`` and ``look`` tell more."""
        with self._lock:
            return self._namespaces.get(canonical(namespace))

    def namespace(self, namespace: str) -> Namespace:
        """The namespace, made known where it never was; it exists with its first write."""
        name = canonical(namespace)
        with self._lock:
            found = self._namespaces.get(name)
            if found is None:
                if self.shape is None:
                    raise ApiError(
                        "INVALID_ARGUMENT",
                        f"Index {self.name} is a document index: vector operations are not supported",
                    )
                found = self._namespaces[name] = self._new(name, self._disk.add_namespace(name), 0, self.shape)
            return found

    def describe(self, prefix: str = "") -> list[Description]:
        """Every visible namespace whose name has the prefix, ascending."""
        with self._lock:
            known = sorted(self._namespaces.items())
        seen = [namespace.look()[0] for name, namespace in known if name.startswith(prefix)]
        return [description for description in seen if description is not None]

    def resolve(self, namespace: str) -> str:
        """The namespace that a name means to a reader: an alias means its target."""
        alias = self.documents(ALIAS).get(namespace)
        return canonical(alias["target_namespace"] if alias else namespace)

    def refuse_alias(self, namespace: str, *, upsert: bool = False) -> None:
        """``ApiError`` where a writer names an alias: 409 for an upsert, which would make a namespace; 400 for others."""
        if namespace in self.documents(ALIAS):
            code, reason = (
                ("ALREADY_EXISTS", "NAME_IN_USE_BY_ALIAS") if upsert else ("INVALID_ARGUMENT", "WRITE_TO_ALIAS")
            )
            text = f"'{namespace}' is a namespace alias: write to its target namespace"
            raise ApiError(code, text, reason=reason, metadata={"alias": namespace})

    def upsert(self, namespace: str, records: Records) -> int:
        """Write records and answer the LSN; makes the namespace, unless an alias took its name meanwhile."""
        found = self.known(namespace)
        if found is not None and found.exists:
            return found.upsert(records)
        with self._lock:
            self.refuse_alias(namespace, upsert=True)
            return self.namespace(namespace).upsert(records)

    def documents(self, kind: str) -> dict[str, Any]:
        """Documents of a kind by key: a copy of the mapping, not of its values."""
        with self._lock:
            if kind not in self._documents:
                self._documents[kind] = self._disk.documents(kind)
            return dict(self._documents[kind])

    def put_document(self, kind: str, key: str, body: Any) -> None:
        """Keep a JSON document."""
        with self._lock:
            self.documents(kind)
            self._disk.put_document(kind, key, body)
            self._documents[kind][key] = body

    def drop_document(self, kind: str, key: str) -> None:
        """Forget a document; no error where there is none."""
        with self._lock:
            self.documents(kind)
            self._disk.drop_document(kind, key)
            self._documents[kind].pop(key, None)

    @property
    def lock(self) -> threading.RLock:
        """Held by whoever must see and change several documents at once."""
        return self._lock

    def _new(self, name: str, number: int, lsn: int, shape: VectorShape) -> Namespace:
        return Namespace(name, number, lsn, shape, self._disk, clock=self._clock, lag=self._lag)
