"""All state of the server: indexes, their namespaces and records, and documents that other modules keep.

With a folder every acknowledged write survives a killed process; without one all is gone with the ``Store``. A folder is one
server's at a time. Layout: ``catalog.sqlite`` (models of indexes), ``indexes/<number>.sqlite`` (one an index), ``lock``.
A folder that cannot be used is ``UnavailableError``; one whose files are broken, or somebody else's, ``CorruptError``.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vector_pipeline.errors import ConflictError
from vector_pipeline.testing.pinecone_server.disk import Disk
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.folders import using
from vector_pipeline.testing.pinecone_server.index_store import ALIAS, DEFAULT_NAMESPACE, IndexStore, canonical
from vector_pipeline.testing.pinecone_server.records import VectorShape

__all__ = ["ALIAS", "DEFAULT_NAMESPACE", "IndexStore", "Store", "canonical"]


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
        self._open: dict[str, IndexStore] = {}
        path = None if root is None else root / "catalog.sqlite"
        with ExitStack() as undo:
            self._held = None if root is None else _hold(root)
            if self._held is not None:
                undo.callback(self._held.release)
            self._catalog = Disk(path)
            undo.callback(self._catalog.close)
            with using(path):
                self._entries = self._catalog.documents("index")
            undo.pop_all()

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
            with ExitStack() as undo, using(path):
                disk = Disk(path)
                undo.callback(disk.close)
                found = self._open[name] = IndexStore(name, shape, disk, self._clock, self._lag)
                undo.pop_all()
        return found

    def _save(self, name: str, entry: dict[str, Any]) -> None:
        self._catalog.put_document("index", name, entry)
        self._entries[name] = entry


def _hold(root: Path) -> FileLock:
    """The folder, for this process alone; the system lets go of it when the process ends, however it does."""
    lock = FileLock(root / "lock", timeout=0)
    with using(root):
        (root / "indexes").mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise ConflictError(
                f"another Pinecone-protocol server uses {root}", fix="Stop it, or give another folder"
            ) from error
    return lock
