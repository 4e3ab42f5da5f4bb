"""SQLite files of the server: a catalog, and one file an index. In WAL mode, so what was committed survives a killed process.

One connection a file, behind a lock. Vectors are float32 blobs, metadata JSON. ``None`` as path keeps everything in memory.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.folders import using
from vector_pipeline.testing.pinecone_server.lsn import Change
from vector_pipeline.testing.pinecone_server.records import Records

_TABLES = """
CREATE TABLE IF NOT EXISTS documents (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS namespaces (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, lsn INTEGER NOT NULL, present INTEGER NOT NULL, fields TEXT);
CREATE TABLE IF NOT EXISTS records (
  namespace INTEGER NOT NULL, id TEXT NOT NULL, vector BLOB NOT NULL, metadata BLOB, UNIQUE (namespace, id));
"""
_PUT = """
INSERT INTO records VALUES (?, ?, ?, ?)
ON CONFLICT (namespace, id) DO UPDATE SET vector = excluded.vector, metadata = excluded.metadata
"""


class Disk:
    """One SQLite file."""

    def __init__(self, path: Path | None) -> None:
        """Open it, made where it is not there; ``UnavailableError`` or ``CorruptError`` where it cannot be used."""
        self._lock = threading.RLock()
        with using(path):
            self._open = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            try:
                self._open.execute("PRAGMA journal_mode = WAL")
                self._open.execute("PRAGMA synchronous = NORMAL")
                self._open.execute("PRAGMA wal_autocheckpoint = 8000")
                self._open.executescript(_TABLES)
            except sqlite3.Error:
                self._open.close()
                raise

    def close(self) -> None:
        with self._lock:
            self._open.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._open.execute("BEGIN IMMEDIATE")
                try:
                    yield self._open
                    self._open.execute("COMMIT")
                except BaseException:
                    self._open.execute("ROLLBACK")
                    raise
            except sqlite3.ProgrammingError as error:  # closed under a request that was still running
                raise ApiError("NOT_FOUND", "the index was deleted") from error
            except sqlite3.Error as error:
                raise ApiError("INTERNAL", f"the server cannot write its files: {error}") from error

    def documents(self, kind: str) -> dict[str, Any]:
        """All documents of a kind, by key, ascending."""
        with self._lock:
            rows = self._open.execute("SELECT key, body FROM documents WHERE kind = ? ORDER BY key", (kind,)).fetchall()
        return {key: orjson.loads(body) for key, body in rows}

    def put_document(self, kind: str, key: str, body: Any) -> None:
        with self._transaction() as con:
            con.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, orjson.dumps(body).decode()))

    def drop_document(self, kind: str, key: str) -> None:
        with self._transaction() as con:
            con.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))

    def namespaces(self) -> list[tuple[int, str, int, bool, Any]]:
        """Number, name, last LSN, whether it exists, and its schema, of every namespace that ever was."""
        with self._lock:
            rows = self._open.execute("SELECT number, name, lsn, present, fields FROM namespaces").fetchall()
        return [
            (number, name, lsn, bool(there), fields and orjson.loads(fields))
            for number, name, lsn, there, fields in rows
        ]

    def add_namespace(self, name: str) -> int:
        """A number for a name that never was; it exists with its first change."""
        with self._transaction() as con:
            return int(con.execute("INSERT INTO namespaces VALUES (NULL, ?, 0, 0, NULL)", (name,)).lastrowid or 0)

    def load(self, number: int, dimension: int) -> Iterator[Records]:
        """All records of a namespace, in pieces."""
        after = ""
        while True:
            with self._lock:
                rows = self._open.execute(
                    "SELECT id, vector, metadata FROM records WHERE namespace = ? AND id > ? ORDER BY id LIMIT 10000",
                    (number, after),
                ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), dimension)
            metadata = [None if row[2] is None else orjson.loads(row[2]) for row in rows]
            yield Records([row[0] for row in rows], vectors, metadata, [row[2] for row in rows])

    def commit(self, number: int, change: Change) -> None:
        """A change and the namespace's new LSN, in one transaction."""
        with self._transaction() as con:
            if change.wipe:
                con.execute("DELETE FROM records WHERE namespace = ?", (number,))
            if change.removed:
                pairs = [(number, name) for name in change.removed]
                con.executemany("DELETE FROM records WHERE namespace = ? AND id = ?", pairs)
            if change.put is not None:
                put = change.put
                rows = zip(put.ids, put.vectors, put.encoded, strict=True)
                con.executemany(_PUT, ((number, name, vector.tobytes(), data) for name, vector, data in rows))
            fields = None if change.fields is None else orjson.dumps(change.fields).decode()
            con.execute(
                "UPDATE namespaces SET lsn = ?, present = ?, fields = ? WHERE number = ?",
                (change.lsn, change.present, fields, number),
            )
