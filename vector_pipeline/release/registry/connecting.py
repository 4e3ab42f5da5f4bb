"""How the registry's database is connected to: what a connection that went silent costs, at most.

Laws
----
1. A dead network is noticed by the system: keepalives while nobody asks, ``tcp_user_timeout`` while something is on its way. What
   the URL says of these itself is left as it is.
2. Who only reads waits ``SILENCE_S`` seconds at most for a server that takes what it is sent and says nothing: then the connection
   is cut, and the reader hears ``UnavailableError``. The server itself ends a reader's statement after ``STATEMENT_S``.
3. Who writes is not cut: a migration takes as long as it takes.
"""

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

CONNECT_S = 10
SILENCE_S = 15.0
STATEMENT_S = 10.0
_LIBPQ: dict[str, Any] = {
    "connect_timeout": CONNECT_S,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Of libpq: seconds, the last in milliseconds. A system that does not know one leaves it out; so does a Unix socket."""


def libpq(url: URL) -> dict[str, Any]:
    """What a connection to PostgreSQL is opened with beside what its URL says (law 1)."""
    return {name: value for name, value in _LIBPQ.items() if name not in url.query}


def speak_sqlite(engine: Engine) -> None:
    """SQLAlchemy's recipe for true transactions in SQLite: the driver begins nothing, ``begin`` below does."""

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("vp_write"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


class Wait:
    """Of one thread, for one answer."""

    def __init__(self) -> None:
        self.connection: Any = None
        self.until = 0.0
        self.cut = False


class Silence:
    """Cuts the connections of readers whom nobody answers (law 2). One thread watches, while there is anything to watch."""

    def __init__(self, engine: Engine) -> None:
        self._here = threading.local()
        self._changed = threading.Condition()
        self._waits: set[Wait] = set()
        self._watching = False
        self._process = os.getpid()
        # First of all: SQLAlchemy itself asks something of a first connection.
        event.listen(engine, "connect", self._connected, insert=True)
        event.listen(engine, "checkout", lambda connection, *_: self._taken(connection))

    @contextmanager
    def bounded(self) -> Iterator[Wait]:
        """What is asked of the database within the block is answered in time, or cut: the wait says so then."""
        wait = self._here.wait = Wait()
        try:
            yield wait
        finally:
            self._here.wait = None
            with self._changed:
                self._waits.discard(wait)

    def cut_all(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            for wait in self._waits:
                wait.until = 0.0
            self._changed.notify_all()

    def _connected(self, connection: Any, _: object) -> None:
        self._taken(connection)
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {int(STATEMENT_S * 1000)}")
        connection.commit()

    def _taken(self, connection: Any) -> None:
        """The present thread waits on this connection from now on."""
        wait: Wait | None = getattr(self._here, "wait", None)
        if wait is None:
            return
        if self._process != os.getpid():  # Neither threads nor what they waited for survive a fork.
            self._changed, self._waits, self._watching = threading.Condition(), set(), False
            self._process = os.getpid()
        with self._changed:
            wait.connection, wait.until = connection, time.monotonic() + SILENCE_S
            self._waits.add(wait)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="vector-pipeline-silence", daemon=True).start()

    def _watch(self) -> None:
        with self._changed:
            quiet_since = time.monotonic()
            while self._waits or time.monotonic() - quiet_since < SILENCE_S:
                now = time.monotonic()
                for wait in [one for one in self._waits if one.until <= now]:
                    wait.cut = True
                    self._waits.discard(wait)
                    _cut(wait.connection)
                if self._waits:
                    quiet_since = now
                # Waits only ever begin later than those that are known: the next look is soon enough for them.
                self._changed.wait(max(0.01, min([one.until for one in self._waits], default=now + SILENCE_S) - now))
            self._watching = False


def _cut(connection: Any) -> None:
    """End a connection below its driver: the thread that reads from it sees its end. No driver lets another thread close it."""
    import psycopg

    # It may be closed already.
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
