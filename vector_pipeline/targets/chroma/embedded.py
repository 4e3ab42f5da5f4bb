"""A Chroma in this process, over a folder.

chromadb keeps vectors in the memory of each process that opens a folder: one that stays open does not see what another wrote, and
fails on it. So:

Laws
----
1. One operation at a time on a folder, from whatever process or thread: a lock file beside Chroma's own says whose turn it is.
2. An operation that finds the folder otherwise than this process left it opens Chroma anew (about 20 ms and reading the index)
   before it does anything. ``stamp`` says so: the last sequence number of Chroma's log, and its collections.
3. All targets of one process share one Chroma a folder; it is closed with the last of them.
4. A folder that holds no Chroma is not made by reading.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any
from uuid import UUID

import filelock

from vector_pipeline.errors import CorruptError, UnavailableError
from vector_pipeline.targets.chroma.connection import At, Call, Connection, T, settings
from vector_pipeline.targets.chroma.failures import Failures

if TYPE_CHECKING:
    from chromadb.api import ServerAPI

_FILE = "chroma.sqlite3"
_LOCK = ".vector-pipeline.lock"
_SEGMENT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FULL_TEXT = "embedding_fulltext_search"
_FOLDERS: "dict[Path, _Folder]" = {}
_GUARD = Lock()


class Embedded(Connection):
    """One target's part in a folder."""

    def __init__(self, name: str, path: Path, failures: Failures, at: At, lock_timeout_s: float = 120.0) -> None:
        super().__init__(failures, at, retry_s=0.0)
        self.path = path
        self._name, self._lock_timeout_s = name, lock_timeout_s
        self._folder: _Folder | None = None
        self._closed = False

    def exists(self) -> bool:
        return (self.path / _FILE).exists()

    @contextmanager
    def session(self) -> Iterator[None]:
        with self._shared().turn(self._lock_timeout_s):
            yield

    def counter(self, collection: UUID) -> int | None:
        with self._shared().turn(self._lock_timeout_s) as folder:
            return folder.counter(collection)

    def _once(self, call: Call[T]) -> T:
        with self._shared().turn(self._lock_timeout_s) as folder:
            return call(folder.api())

    def _shared(self) -> "_Folder":
        with _GUARD:
            if self._closed:
                raise UnavailableError(f"target {self._name} is closed")
            if self._folder is None:
                key = self.path.resolve()
                self._folder = _FOLDERS.setdefault(key, _Folder(key))
                self._folder.users += 1
            return self._folder

    def vacuum(self) -> None:
        with self._shared().turn(self._lock_timeout_s) as folder:
            folder.vacuum()

    def close(self) -> None:
        with _GUARD:
            self._closed = True
            folder, self._folder = self._folder, None
            if folder is None:
                return
            folder.users -= 1
            if folder.users:
                return
            del _FOLDERS[folder.path]
        folder.release()


class _Folder:
    """One open Chroma, and whose turn it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.users = 0
        self._turn = RLock()
        self._depth = 0
        self._file = filelock.FileLock(
            path / _LOCK, thread_local=False, preserve_lock_file=True, fallback_to_soft=False
        )
        self._system: Any = None
        self._api: ServerAPI | None = None
        self._stamp: tuple[int, str] | None = None

    @contextmanager
    def turn(self, timeout_s: float) -> "Iterator[_Folder]":
        """Nobody else works on the folder meanwhile. ``UnavailableError`` where somebody does not end."""
        if not self._turn.acquire(timeout=timeout_s):
            raise UnavailableError(f"{self.path} has been in use by this process for {timeout_s:g} s")
        try:
            if self._depth == 0:
                self._take(timeout_s)
            self._depth += 1
            try:
                yield self
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._give()
        finally:
            self._turn.release()

    def _take(self, timeout_s: float) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._file.acquire(timeout=timeout_s)
        except filelock.Timeout as error:
            raise UnavailableError(
                f"{self.path} has been in use by another process for {timeout_s:g} s",
                fix="Wait for it, or run a Chroma server: chroma run --path FOLDER",
            ) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UnavailableError(f"{self.path}: {reason}", fix="Check the folder and its permissions") from error
        if self._api is not None and (self._stamp is None or self._read_stamp() != self._stamp):
            self.release()

    def _give(self) -> None:
        try:
            self._stamp = self._read_stamp() if self._api is not None else None
        finally:
            self._file.release()

    def api(self) -> "ServerAPI":
        """The open Chroma; only for whose turn it is."""
        if self._api is None:
            from chromadb.api import ServerAPI
            from chromadb.config import System

            system = System(settings(is_persistent=True, persist_directory=str(self.path)))
            api: ServerAPI = system.instance(ServerAPI)  # type: ignore[type-abstract]
            system.start()
            self._api, self._system = api, system
        return self._api

    def release(self) -> None:
        """Close Chroma, its files and threads."""
        self._api = None
        system, self._system = self._system, None
        if system is not None:
            system.stop()

    def counter(self, collection: UUID) -> int:
        """The last sequence number of the log that the collection's records show."""
        found = self._look(
            "SELECT max(m.seq_id) FROM max_seq_id m JOIN segments s ON s.id = m.segment_id"
            " WHERE s.collection = ? AND s.scope = 'METADATA'", (str(collection),),
        )  # fmt: skip
        return int(found[0][0] or 0)

    def vacuum(self) -> None:
        """Rewrite Chroma's database, and delete indexes that it has forgotten, while Chroma is closed."""
        self.release()
        known = {str(row[0]) for row in self._look("SELECT id FROM segments")}
        for folder in self.path.iterdir():
            if folder.is_dir() and _SEGMENT.fullmatch(folder.name) and folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        try:
            with closing(sqlite3.connect(self.path / _FILE, timeout=30.0, isolation_level=None)) as connection:
                connection.execute(f"INSERT INTO {_FULL_TEXT} ({_FULL_TEXT}) VALUES ('optimize')")
                connection.execute("VACUUM")
        except sqlite3.DatabaseError as error:
            raise UnavailableError(f"{self.path / _FILE} was not rewritten: {error}") from error

    def _read_stamp(self) -> tuple[int, str] | None:
        """None where it cannot be read: then Chroma is opened anew, and says why."""
        with suppress(UnavailableError, CorruptError):
            last = self._look("SELECT max(seq_id) FROM embeddings_queue")[0][0] or 0
            return int(last), " ".join(row[0] for row in self._look("SELECT id FROM collections ORDER BY id"))
        return None

    def _look(self, query: str, parameters: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            uri = f"{(self.path / _FILE).as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=30.0, check_same_thread=False)) as connection:
                return connection.execute(query, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            message = f"{self.path / _FILE}: {error}"
            if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
                raise UnavailableError(message) from error
            raise CorruptError(message, fix="chromadb 1.5 writes this file; see which program else does") from error
