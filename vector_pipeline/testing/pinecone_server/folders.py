"""What keeps the server from using its folder, as one line: the system refuses it, or what lies in it is not the server's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vector_pipeline.errors import CorruptError, UnavailableError

_FIX = "give another folder or delete it"
_REFUSED = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH,
    }
)  # fmt: skip


@contextmanager
def using(path: Path | None) -> Iterator[None]:
    """A file or folder of the server's: ``UnavailableError`` where the system refuses it, ``CorruptError`` where it is broken."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"{path} cannot be used: {error.strerror or error}", fix=_FIX) from error
    except sqlite3.Error as error:
        # The lowest byte is the kind, those above it say more.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _REFUSED:
            raise UnavailableError(f"{path} cannot be used: {error}", fix=_FIX) from error
        raise broken(path, str(error)) from error


def broken(path: Path | None, reason: str) -> CorruptError:
    """What a file of the server's holds is not what the server wrote."""
    return CorruptError(f"{path} is no file of a Pinecone-protocol server: {reason}", fix=_FIX)
