"""All state of the server: indexes, their namespaces and records, and documents that other modules keep.

With a folder every acknowledged write survives a killed process; without one all is gone with the ``Store``. A folder is one
server's at a time. Layout: ``catalog.sqlite`` (models of indexes), ``indexes/<number>.sqlite`` (one an index), ``lock``.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vector_pipeline.errors import ConflictError
from vector_pipeline.testing.pinecone_server.disk import Disk
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.namespace import Description, Namespace
from vector_pipeline.testing.pinecone_server.records import VectorShape

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

    def writable(self, namespace: str) -> Namespace:
        """The namespace for a writer; ``ApiError`` 400 for an alias."""
        if namespace in self.documents(ALIAS):
            raise ApiError(
                "INVALID_ARGUMENT",
                f"'{namespace}' is a namespace alias: write to its target namespace",
                reason="WRITE_TO_ALIAS",
                metadata={"alias": namespace},
            )
        return self.namespace(namespace)

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


class Store:
    """All indexes, by name. ``lag`` is asked at every read: seconds until reads see a write."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        lag: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._clock = clock
        self._lag = lag
        self._lock = threading.RLock()
        self._held = None if root is None else _hold(root)
        self._catalog = Disk(root / "catalog.sqlite" if root else None)
        self._entries = self._catalog.documents("index")
        self._open: dict[str, IndexStore] = {}

    def close(self) -> None:
        """Close all files. The store is of no use afterwards."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()
            self._catalog.close()
            if self._held is not None:
                self._held.release()

    def names(self) -> list[str]:
        """Ascending."""
        with self._lock:
            return sorted(self._entries)

    def model(self, name: str) -> dict[str, Any] | None:
        """What ``create_index`` or ``set_model`` was given; None where there is no such index."""
        with self._lock:
            entry = self._entries.get(name)
            return None if entry is None else dict(entry["model"])

    def set_model(self, name: str, model: Mapping[str, Any]) -> None:
        """Replace the model of an index; its shape stays. ``KeyError`` where there is none."""
        with self._lock:
            self._save(name, {**self._entries[name], "model": dict(model)})

    def create_index(self, name: str, model: Mapping[str, Any], shape: VectorShape | None) -> IndexStore:
        """A new, empty index; ``shape`` None for a document index. ``ApiError`` 409 where there is one of that name."""
        with self._lock:
            if name in self._entries:
                raise ApiError("ALREADY_EXISTS", "Resource already exists.")
            number = 1 + int(self._catalog.documents("count").get("index", 0))
            self._catalog.put_document("count", "index", number)
            self._save(name, {"number": number, "shape": shape and asdict(shape), "model": dict(model)})
            return self._opened(name)

    def delete_index(self, name: str) -> None:
        """Delete an index and all of its data; ``KeyError`` where there is none."""
        with self._lock:
            entry = self._entries.pop(name)
            self._catalog.drop_document("index", name)
            index = self._open.pop(name, None)
            if index is not None:
                index.close()
            if self._root is not None:
                for file in (self._root / "indexes").glob(f"{entry['number']}.sqlite*"):
                    file.unlink(missing_ok=True)

    def index(self, name: str) -> IndexStore | None:
        """An index, loaded where it was not; None where there is none."""
        with self._lock:
            return self._opened(name) if name in self._entries else None

    def _opened(self, name: str) -> IndexStore:
        found = self._open.get(name)
        if found is None:
            entry = self._entries[name]
            path = None if self._root is None else self._root / "indexes" / f"{entry['number']}.sqlite"
            shape = entry["shape"] and VectorShape(**entry["shape"])
            found = self._open[name] = IndexStore(name, shape, Disk(path), self._clock, self._lag)
        return found

    def _save(self, name: str, entry: dict[str, Any]) -> None:
        self._catalog.put_document("index", name, entry)
        self._entries[name] = entry


def _hold(root: Path) -> FileLock:
    """The folder, for this process alone; the system lets go of it when the process ends, however it does."""
    (root / "indexes").mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"another Pinecone-protocol server uses {root}", fix="Stop it, or give another folder"
        ) from error
    return lock
