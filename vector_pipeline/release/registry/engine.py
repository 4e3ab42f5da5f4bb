"""The only file that talks to SQLAlchemy's engine: how a transaction begins, ends, is repeated, and what its errors
become.

Laws
----
1. ``write`` is one short transaction: ``BEGIN IMMEDIATE`` in SQLite, so that it never upgrades a read lock and two
   writers queue; in PostgreSQL read-committed, with ``serialise`` taking one advisory lock for what must be decided one
   by one.
2. A transaction that certainly did not happen (lock, serialisation, deadlock, lost connection before the commit) is
   repeated with jitter until ``RETRY_S`` is over. The function handed in may run several times and has no effect
   outside.
3. A connection lost *during* the commit is ``UnknownOutcomeError``: the caller reads back.
4. No exception of a database library leaves this file, and no message holds the password or a parameter.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, create_engine, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from vector_pipeline.config import SecretTemplate
from vector_pipeline.errors import ConfigError, ConflictError, InputError, UnavailableError, UnknownOutcomeError
from vector_pipeline.release.registry.connecting import SILENCE_S, Silence, libpq, speak_sqlite
from vector_pipeline.release.registry.faults import did_not_happen, own_error
from vector_pipeline.release.registry.listening import CHANNEL, Listener, told

T = TypeVar("T")

RETRY_S = 30.0
"""How long a transaction that lost to others is repeated before the caller hears of it."""
BUSY_MS = 5_000
LOCK_TIMEOUT = "10s"
_SHOWN = {"host", "port", "user", "dbname", "sslmode"}


def parse_url(url: str) -> URL:
    """The URL as SQLAlchemy wants it: ``sqlite`` files and PostgreSQL by psycopg 3. ``ConfigError`` on anything
    else.
    """
    text = url.resolve_url() if isinstance(url, SecretTemplate) else url
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        # The text is not repeated: it may hold a password where no parser finds it.
        raise ConfigError(
            "the registry's URL cannot be read", fix="write sqlite:///path or postgresql://host/name"
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(
            f"the registry cannot live in {backend}", fix="write sqlite:///path or postgresql://host/name"
        )
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise ConfigError("the registry needs a file", fix="write sqlite:///path/to/registry.sqlite")
    return parsed.set(drivername="sqlite")


class Database:
    """An engine with the rules above. Safe to share between threads, and after a fork."""

    def __init__(self, url: str, *, patient: bool = True) -> None:
        """``patient``: waits for a server however long it takes; readers do not (``connecting``)."""
        self._url = parse_url(url)
        # Of the settings only what is known to be harmless: a misspelt `password=` is no known secret.
        hidden = self._url.query.keys() - _SHOWN
        self.where = self._url.set(password=None).difference_update_query(hidden).render_as_string()
        """The URL for messages: without its passwords."""
        self.path = Path(self._url.database or "") if self._url.drivername == "sqlite" else None
        """The SQLite file; None for PostgreSQL."""
        arguments: dict[str, Any] = {"timeout": BUSY_MS / 1000} if self.path else libpq(self._url)
        self._engine = create_engine(self._url, connect_args=arguments, hide_parameters=True, max_overflow=20)
        if self.path:
            speak_sqlite(self._engine)
        self._silence = Silence(self._engine) if self.path is None and not patient else None
        self._file: tuple[int, int] | None = None
        """Which SQLite file it was, when that was last looked at."""
        # Reads are single statements: in PostgreSQL autocommit saves their BEGIN and ROLLBACK on the wire.
        self._reader = self._engine if self.path else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._process = os.getpid()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Result of ``work`` in one committed transaction; an error of its own rolls back and passes through."""
        return self._repeat(lambda: self._transact(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        """Result of ``work``, which only selects. Two selects may see two states: use ``write`` where that matters."""

        def once() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        return self._repeat(once if self._silence is None else partial(self._in_time, once, self._silence))

    def _in_time(self, once: Callable[[], T], silence: Silence) -> T:
        """What a reader asks, or ``UnavailableError`` when nobody answers: not asked again then, as a lost connection is."""
        with silence.bounded() as wait:
            try:
                return once()
            except DBAPIError:
                if not wait.cut:
                    raise
        raise UnavailableError(
            f"the registry {self.where} said nothing for {SILENCE_S:g} s", fix="check the server and the network"
        )

    def require_present(self) -> None:
        """``UnavailableError`` where a SQLite file is gone, which those who have it open would not see. Another one is opened."""
        if self.path is None:
            return
        try:
            found = self.path.stat()
        except OSError as error:
            raise UnavailableError(
                f"the registry {self.where} is gone: {error.strerror}", fix="check the folder, or restore it"
            ) from None
        now = found.st_dev, found.st_ino
        if self._file is not None and self._file != now:
            self._engine.dispose()
        self._file = now

    def serialise(self, connection: Connection, key: str) -> None:
        """From here to the commit, nobody else runs with this key. (SQLite: ``BEGIN IMMEDIATE`` did it already.)"""
        if self.path is None:
            limit = func.set_config("lock_timeout", LOCK_TIMEOUT, True)
            lock = func.pg_advisory_xact_lock(func.hashtextextended(f"vector_pipeline:{key}", 0))
            connection.execute(select(limit, lock))

    def notify(self, connection: Connection, dataset: str, environment: str) -> None:
        """Tell readers that listen, when this transaction commits, that what they follow has changed. (SQLite tells nobody.)"""
        if self.path is None:
            connection.execute(select(func.pg_notify(CHANNEL, told(dataset, environment))))

    def listener(self, hear: Callable[[str], None]) -> Listener | None:
        """A thread, not yet started, that calls ``hear`` with what ``notify`` tells: see ``listening``. None: SQLite."""
        if self.path is not None:
            return None
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return Listener(plain, hear, libpq(self._url))

    def now(self, connection: Connection) -> datetime:
        """This moment by the database server's clock where there is a server, else by this machine's."""
        if self.path is not None:
            return datetime.now(UTC)
        # Not now(): that is when the transaction began, which may be long before it got its lock.
        moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    def compact(self) -> None:
        """Rewrite a SQLite file without what deleted or changed rows left in it; nothing where there is a server."""
        if self.path is None:
            return

        def once() -> None:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                # The log holds the old pages too.
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
            if busy:
                raise ConflictError(f"the registry {self.where} is in use: its log was not emptied", fix="run it again")

        self._repeat(once)

    def close(self) -> None:
        """Close every pooled connection."""
        if self._silence is not None:
            self._silence.cut_all()
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        committing = False
        try:
            with self._engine.connect() as connection:
                writer = connection.execution_options(vp_write=True)
                with writer.begin():
                    result = work(writer)
                    committing = True
                return result
        except DBAPIError as error:
            if committing and error.connection_invalidated:
                raise UnknownOutcomeError(
                    f"the connection to the registry {self.where} broke during a commit",
                    fix="look what the registry holds before repeating the command",
                ) from None
            raise

    def _repeat(self, once: Callable[[], T]) -> T:
        if os.getpid() != self._process:
            # Connections do not survive a fork: they belong to the parent, which keeps using them.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        retrying = Retrying(
            retry=retry_if_exception(did_not_happen),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_delay(RETRY_S),
            reraise=True,
        )
        with self._translated():
            return retrying(once)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # From None: whoever prints or stores causes would print what the library says, unscrubbed.
            raise own_error(error, self.where, self._url.render_as_string(hide_password=False)) from None
        except (UnicodeEncodeError, OverflowError):
            raise InputError(
                "the registry cannot hold a value: text that is no valid Unicode, or too large a number"
            ) from None


class Part:
    """What the registry's parts share: the database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def close(self) -> None:
        """Close the registry's connections. The object must not be used afterwards."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
