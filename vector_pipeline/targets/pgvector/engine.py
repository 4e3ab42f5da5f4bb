"""Transactions: who retries, how long, and what a failed COMMIT means.

Laws
----
1. Every operation is one transaction: on one snapshot where it reads, all or nothing where it writes.
2. Whatever fails before COMMIT was sent did not land: it is tried again where that can help, for ``timeout_s`` at most.
3. A COMMIT whose answer is lost is ``UnknownOutcomeError``, and never tried again here.
4. Session settings are set in each transaction, so that a pooler between here and the server does no harm. Nothing is prepared.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from vector_pipeline.config import PgvectorTargetConfig
from vector_pipeline.errors import UnknownOutcomeError
from vector_pipeline.targets.pgvector.connections import Connection, Connections, watched
from vector_pipeline.targets.pgvector.failures import Border, is_definite, reason_to_retry

T = TypeVar("T")
Statement = sql.SQL | sql.Composed
Parameters = Mapping[str, Any] | None

_FIRST_ATTEMPTS = 3
"""Of a server that has never answered: its address may be wrong."""
_CHUNK = 1 << 20
_READ = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "ISOLATION LEVEL READ COMMITTED READ WRITE"


@dataclass(slots=True)
class Session:
    """One transaction's view of a connection."""

    connection: Connection
    patience_s: float | None
    retried: Counter[str] = field(default_factory=Counter)
    """What was tried before, by reason."""

    def run(self, statement: Statement, parameters: Parameters = None) -> "psycopg.Cursor[tuple[Any, ...]]":
        """Execute one statement; rows come in binary form where parameters, or an empty mapping, are given."""
        with watched(self.connection, self.patience_s):
            return self.connection.execute(statement, parameters, binary=parameters is not None)

    def rows(self, statement: Statement, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        return self.run(statement, {} if parameters is None else parameters).fetchall()

    def row(self, statement: Statement, parameters: Parameters = None) -> tuple[Any, ...] | None:
        return self.run(statement, {} if parameters is None else parameters).fetchone()

    def copy(self, statement: Statement, parts: Iterable[memoryview | bytes]) -> None:
        """Send a COPY … FROM STDIN."""
        with watched(self.connection, self.patience_s), self.connection.cursor().copy(statement) as copy:
            for part in parts:
                view = memoryview(part)
                for start in range(0, len(view), _CHUNK):
                    copy.write(view[start : start + _CHUNK])


class Engine:
    """Transactions over a pool of connections. Thread-safe; nothing is opened before the first call."""

    def __init__(self, name: str, config: PgvectorTargetConfig) -> None:
        self.name, self.config = name, config
        self.pool = Connections(name, config)

    @property
    def border(self) -> Border:
        return self.pool.border

    @property
    def where(self) -> str:
        """Host, port and database."""
        return self.pool.where

    def read(self, work: Callable[[Session], T]) -> T:
        """``work`` on one snapshot of the database, read-only."""

        def attempt(retried: Counter[str]) -> T:
            with self.pool.lease() as connection:
                session = self._begin(connection, _READ, retried)
                result = work(session)
                session.run(sql.SQL("COMMIT"))
                return result

        return self._retried(attempt, reading=True)

    def write(self, work: Callable[[Session], T], *, limited: bool = True, wait_s: float = 0) -> T:
        """``work``, and COMMIT: all of it or nothing. Not ``limited``: statements take as long as they take.

        ``wait_s``: most seconds for a lock, where whoever comes later would wait behind it; 0: not limited here.
        """

        def attempt(retried: Counter[str]) -> T:
            with self.pool.lease() as connection:
                session = self._begin(connection, _WRITE, retried)
                if not limited:
                    session.patience_s = None
                    session.run(
                        sql.SQL(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {int(1000 * wait_s)}")
                    )
                result = work(session)
                self._commit(session)
                return result

        return self._retried(attempt)

    @contextmanager
    def reading(self, prepare: Callable[[Session], T]) -> Iterator[tuple[Session, T]]:
        """A read-only snapshot for as long as the block takes, begun with ``prepare``: that much is tried again."""

        def attempt(retried: Counter[str]) -> tuple[Session, T]:
            connection = self.pool.take()
            try:
                session = self._begin(connection, _READ, retried)
                return session, prepare(session)
            except BaseException:
                self.pool.roll_back(connection)
                self.pool.give(connection)
                raise

        session, prepared = self._retried(attempt, reading=True)
        try:
            with self._translated(reading=True):
                yield session, prepared
        finally:
            self.pool.roll_back(session.connection)
            self.pool.give(session.connection)

    def close(self) -> None:
        self.pool.close()

    def _retried(self, attempt: Callable[[Counter[str]], T], *, reading: bool = False) -> T:
        retried: Counter[str] = Counter()

        def count(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            if error is not None and (reason := reason_to_retry(error)) is not None:
                retried[reason] += 1

        late, often = stop_after_delay(self.config.timeout_s), stop_after_attempt(_FIRST_ATTEMPTS)
        retrying = Retrying(
            retry=retry_if_exception(lambda error: reason_to_retry(error) is not None),
            stop=lambda state: late(state) or (not self.pool.answered and often(state)),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            before_sleep=count,
            reraise=True,
        )
        with self._translated(reading=reading):
            return retrying(attempt, retried)

    @contextmanager
    def _translated(self, *, reading: bool) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.border.translated(error, reading=reading) from error

    def _begin(self, connection: Connection, mode: str, retried: Counter[str]) -> Session:
        session = Session(connection, self.pool.patience_s, retried)
        path = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys(self.pool.path)))
        limit = max(1, int(self.config.timeout_s * 1000))
        # A server that does not notice that we are gone would keep our locks for hours.
        idle = f"SET LOCAL idle_in_transaction_session_timeout = {limit};" if mode == _WRITE else ""
        session.run(
            sql.SQL(
                f"BEGIN {mode}; {idle} SET LOCAL statement_timeout = {limit}; SET LOCAL search_path = {{}};"
                # Compiling a search takes longer than searching.
                " SET LOCAL jit = off"
            ).format(path)
        )
        return session

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
