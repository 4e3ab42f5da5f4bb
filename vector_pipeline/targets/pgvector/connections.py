"""Connections to one database: opened at need, a few kept, and cut where the server stops answering.

Laws
----
1. Nothing is opened before the first use. References in the URL are resolved when a connection is opened, and not kept.
2. A connection that is lost says nothing good of the idle ones: they are closed with it.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from vector_pipeline.config import PgvectorTargetConfig
from vector_pipeline.config.secrets import scrub
from vector_pipeline.errors import ConfigError, UnavailableError
from vector_pipeline.targets.pgvector.failures import Border, letting_in

Connection = psycopg.Connection[Any]

GRACE_S = 5.0
"""After ``timeout_s``, within which the server itself should have cancelled a statement."""
_KEPT = 4
"""Idle connections."""


class Connections:
    """A small pool. Thread-safe."""

    def __init__(self, name: str, config: PgvectorTargetConfig) -> None:
        self.name, self.config = name, config
        self.patience_s = config.timeout_s + GRACE_S
        self.answered = False
        """Whether the server ever did."""
        self.extension: str | None = None
        """Version of pgvector; None before the first connection, or where it is not installed."""
        self.path = (config.db_schema, "public")
        """Schemas of our tables, and of pgvector's types and operators."""
        self.user: str = ""
        self.owner: str | None = None
        """Who we are there, and who made the tables."""
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @property
    def border(self) -> Border:
        reading = self.letting_in(self.owner, self.user) if self.user else ""
        return Border(self.name, self.where, self.config.url, self.config.timeout_s, reading)

    def letting_in(self, owner: str | None, reader: str) -> str:
        """Statements that let ``reader`` read what ``owner`` has made and will make."""
        return scrub(letting_in(self.config.db_schema, owner, reader), self.config.url)

    @property
    def where(self) -> str:
        """Host, port and database; the template where it cannot be resolved."""
        try:
            parts = conninfo_to_dict(self._url())
        except (ConfigError, psycopg.Error):
            return scrub(str(self.config.url), self.config.url)
        host, database = parts.get("host") or "localhost", parts.get("dbname") or parts.get("user") or ""
        return scrub(f"{host}:{parts.get('port') or 5432}/{database}", self.config.url)

    @contextmanager
    def lease(self) -> Iterator[Connection]:
        """A connection for one operation; what it left open is rolled back."""
        connection = self.take()
        try:
            yield connection
        except BaseException:
            self.roll_back(connection)
            raise
        finally:
            self.give(connection)

    def take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise UnavailableError(f"target {self.name} is closed")
            if self._idle:
                return self._idle.pop()
        connection = psycopg.connect(
            make_conninfo(
                self._url(),
                client_encoding="utf8",
                connect_timeout=max(2, min(10, round(self.config.timeout_s))),
                tcp_user_timeout=int(self.patience_s * 1000),
                keepalives_idle=30,
                fallback_application_name="vector-pipeline",
            ),
            autocommit=True,
            prepare_threshold=None,
        )
        self.answered = True
        try:
            self._look(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def give(self, connection: Connection) -> None:
        with self._lock:
            sound = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
            if sound and not self._closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def roll_back(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            try:
                with watched(connection, GRACE_S):
                    connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()
        if connection.closed:
            self.forget()

    def forget(self) -> None:
        """Close the idle ones: the next look at the database is a fresh one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close every connection. Closing twice is no error."""
        self._closed = True
        self.forget()

    def _look(self, connection: Connection) -> None:
        """Where pgvector is: the search path finds its types and operators."""
        with watched(connection, self.patience_s):
            found = connection.execute(
                "SELECT n.nspname, e.extversion, current_setting('server_encoding'), current_user::text,"
                # By name: looking a table up wants rights on its schema.
                " (SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace"
                " WHERE s.nspname = %s AND c.relname = 'namespaces') FROM (SELECT) one"
                " LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace",
                [self.config.db_schema],
            ).fetchone()
        schema, self.extension, encoding, self.user, self.owner = found or (None, None, "", "", None)
        if encoding != "UTF8":
            raise ConfigError(
                f"{self.border}: the database's encoding is {encoding}", fix="Make one with ENCODING 'UTF8'"
            )
        self.path = (self.config.db_schema, schema or "public")

    def _url(self) -> str:
        scheme, mark, rest = self.config.url.resolve_url().partition("://")
        if not mark or scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise ConfigError(
                f"target {self.name}: `url` is no address of PostgreSQL", fix="Write postgresql://user@host/database"
            )
        url = f"postgresql://{rest}"
        try:
            conninfo_to_dict(url)
        except psycopg.Error:
            # What the library says is not repeated: it may quote a password.
            raise ConfigError(
                f"target {self.name}: `url` cannot be read", fix="Write postgresql://user:${env:PASSWORD}@host/database"
            ) from None
        return url


@contextmanager
def watched(connection: Connection, seconds: float | None) -> Iterator[None]:
    """Cut the connection when the block takes longer: psycopg itself would wait for ever."""
    if seconds is None or connection.closed:
        yield
        return
    # A descriptor of its own: the connection's may be closed, and its number somebody else's, when time is up.
    was_cut = threading.Event()
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = threading.Timer(seconds, _cut, (line, was_cut))
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.OperationalError as error:
            if was_cut.is_set():
                raise psycopg.OperationalError(f"no answer for {seconds:g} s") from error
            raise
        finally:
            timer.cancel()
            timer.join()


def _cut(line: socket.socket, was_cut: threading.Event) -> None:
    was_cut.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
