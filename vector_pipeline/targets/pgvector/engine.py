"""Connections and transactions: who retries, how long, and what a failed COMMIT means.

Laws
----
1. Every operation is one transaction: of its own snapshot where it reads, all or nothing where it writes.
2. Whatever fails before COMMIT was sent did not land: it is tried again where that can help, for ``timeout_s`` at most.
3. A COMMIT whose answer is lost is ``UnknownOutcomeError``, and never tried again here.
4. Session settings are set in each transaction, so that a pooler between here and the server does no harm. Nothing is prepared.
5. A server that stops answering is given up a little after ``timeout_s``, when it should itself have cancelled the statement.
"""

import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from vector_pipeline.config import PgvectorTargetConfig
from vector_pipeline.config.secrets import scrub
from vector_pipeline.errors import ConfigError, UnavailableError, UnknownOutcomeError
from vector_pipeline.targets.pgvector.failures import Border, is_definite, reason_to_retry

T = TypeVar("T")
Statement = sql.SQL | sql.Composed
Parameters = Mapping[str, Any] | None

_KEPT = 4
"""Idle connections."""
_FIRST_ATTEMPTS = 3
"""Of a server that has never answered: its address may be wrong."""
_GRACE_S = 5.0
_CHUNK = 1 << 20
_READ = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "ISOLATION LEVEL READ COMMITTED READ WRITE"


@dataclass(slots=True)
class Session:
    """One transaction's view of a connection."""

    connection: "psycopg.Connection[Any]"
    patience_s: float | None
    retried: Counter[str] = field(default_factory=Counter)

    def run(self, statement: Statement, parameters: Parameters = None) -> "psycopg.Cursor[tuple[Any, ...]]":
        """Execute one statement; rows come in binary form where parameters, or an empty mapping, are given."""
        with _watched(self.connection, self.patience_s):
            return self.connection.execute(statement, parameters, binary=parameters is not None)

    def rows(self, statement: Statement, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        return self.run(statement, {} if parameters is None else parameters).fetchall()

    def row(self, statement: Statement, parameters: Parameters = None) -> tuple[Any, ...] | None:
        return self.run(statement, {} if parameters is None else parameters).fetchone()

    def copy(self, statement: Statement, parts: Iterable[memoryview | bytes]) -> None:
        """Send a COPY … FROM STDIN."""
        with _watched(self.connection, self.patience_s), self.connection.cursor().copy(statement) as copy:
            for part in parts:
                view = memoryview(part)
                for start in range(0, len(view), _CHUNK):
                    copy.write(view[start : start + _CHUNK])


class Engine:
    """A small pool of connections to one database. Thread-safe; nothing is opened before the first call."""

    def __init__(self, name: str, config: PgvectorTargetConfig) -> None:
        self.name, self.config = name, config
        self._lock = threading.Lock()
        self._idle: list[psycopg.Connection[Any]] = []
        self._closed = False
        self._answered = False
        self._path = (config.db_schema, "public")
        self.extension: str | None = None
        """Version of pgvector; None before the first connection, or where it is not installed."""

    @property
    def border(self) -> Border:
        return Border(self.name, self.where, self.config.url, self.config.timeout_s)

    @property
    def where(self) -> str:
        """Host, port and database."""
        try:
            parts = conninfo_to_dict(self._url())
        except (ConfigError, psycopg.Error):
            return scrub(str(self.config.url), self.config.url)
        place = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"
        return scrub(place, self.config.url)

    def read(self, work: Callable[[Session], T]) -> T:
        """``work`` on one snapshot of the database, read-only."""

        def attempt(retried: Counter[str]) -> T:
            with self._lease() as connection:
                session = Session(connection, self._patience_s, retried)
                self._begin(session, _READ)
                result = work(session)
                session.run(sql.SQL("COMMIT"))
                return result

        return self._retried(attempt)

    def write(self, work: Callable[[Session], T], *, limited: bool = True) -> T:
        """``work``, and COMMIT: all of it or nothing. ``session.retried`` counts what was tried before.

        Not ``limited``: statements take as long as they take.
        """

        def attempt(retried: Counter[str]) -> T:
            with self._lease() as connection:
                session = Session(connection, self._patience_s if limited else None, retried)
                self._begin(session, _WRITE)
                if not limited:
                    session.run(sql.SQL("SET LOCAL statement_timeout = 0"))
                result = work(session)
                self._commit(session)
                return result

        return self._retried(attempt)

    def outside(self, work: Callable[[Session], T]) -> T:
        """``work`` outside any transaction, without a limit of time: for VACUUM."""

        def attempt(_: Counter[str]) -> T:
            with self._lease() as connection:
                session = Session(connection, None)
                session.run(sql.SQL("SET statement_timeout = 0"))
                try:
                    return work(session)
                finally:
                    connection.close()

        return self._retried(attempt)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only snapshot for as long as the block takes; not tried again."""
        with self._translated(), self._lease() as connection:
            session = Session(connection, self._patience_s)
            self._begin(session, _READ)
            yield session
            session.run(sql.SQL("COMMIT"))

    def close(self) -> None:
        """Close every connection. Closing twice is no error."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @property
    def _patience_s(self) -> float:
        return self.config.timeout_s + _GRACE_S

    def _retried(self, attempt: Callable[[Counter[str]], T]) -> T:
        retried: Counter[str] = Counter()

        def count(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            if error is not None and (reason := reason_to_retry(error)) is not None:
                retried[reason] += 1

        stop = stop_after_delay(self.config.timeout_s)
        retrying = Retrying(
            retry=retry_if_exception(lambda error: reason_to_retry(error) is not None),
            stop=lambda state: stop(state) or (not self._answered and stop_after_attempt(_FIRST_ATTEMPTS)(state)),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            before_sleep=count,
            reraise=True,
        )
        with self._translated():
            return retrying(attempt, retried)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.border.translated(error) from error

    def _begin(self, session: Session, mode: str) -> None:
        path = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys(self._path)))
        session.run(
            sql.SQL(
                f"BEGIN {mode}; SET LOCAL statement_timeout = {max(1, int(self.config.timeout_s * 1000))};"
                " SET LOCAL search_path = {}"
            ).format(path)
        )

    def _commit(self, session: Session) -> None:
        try:
            session.run(sql.SQL("COMMIT"))
        except psycopg.Error as error:
            if is_definite(error) and not session.connection.closed:
                raise
            raise UnknownOutcomeError(
                f"{self.border}: the connection was lost while a write was committed; whether it landed is not known",
                fix="Run the same command again: it reads back first",
            ) from error

    @contextmanager
    def _lease(self) -> Iterator["psycopg.Connection[Any]"]:
        connection = self._take()
        try:
            yield connection
        except BaseException:
            self._roll_back(connection)
            raise
        finally:
            self._give(connection)

    def _take(self) -> "psycopg.Connection[Any]":
        with self._lock:
            if self._closed:
                raise UnavailableError(f"target {self.name} is closed")
            if self._idle:
                return self._idle.pop()
        connection = psycopg.connect(
            make_conninfo(
                self._url(),
                connect_timeout=max(2, min(10, round(self.config.timeout_s))),
                tcp_user_timeout=int(self._patience_s * 1000),
                keepalives_idle=30,
                fallback_application_name="vector-pipeline",
            ),
            autocommit=True,
            prepare_threshold=None,
        )
        self._answered = True
        try:
            self._look(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _look(self, connection: "psycopg.Connection[Any]") -> None:
        """Where pgvector is. Its types and operators are found by the search path."""
        found = connection.execute(
            "SELECT n.nspname, e.extversion, current_setting('server_encoding') FROM (SELECT) one"
            " LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace"
        ).fetchone()
        schema, self.extension, encoding = found or (None, None, "")
        if encoding != "UTF8":
            raise ConfigError(
                f"{self.border}: the database's encoding is {encoding}", fix="Make one with ENCODING 'UTF8'"
            )
        self._path = (self.config.db_schema, schema or "public")

    def forget(self) -> None:
        """Look anew where pgvector is, at the next connection: it was installed just now."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _give(self, connection: "psycopg.Connection[Any]") -> None:
        with self._lock:
            sound = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
            if sound and not self._closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def _roll_back(self, connection: "psycopg.Connection[Any]") -> None:
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            try:
                Session(connection, _GRACE_S).run(sql.SQL("ROLLBACK"))
            except psycopg.Error:
                connection.close()

    def _url(self) -> str:
        url = self.config.url.resolve_url()
        scheme, mark, rest = url.partition("://")
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
def _watched(connection: "psycopg.Connection[Any]", seconds: float | None) -> Iterator[None]:
    """Cut the connection when the block takes longer: psycopg itself would wait for ever."""
    if seconds is None or connection.closed:
        yield
        return
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = threading.Timer(seconds, _cut, (line,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _cut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
