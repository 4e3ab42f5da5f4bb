"""The one owner of DuckDB connections to the lake.

Laws
----
1. Foreign exceptions stay here: a caller sees ``UnavailableError``, ``NotFoundError``, ``ConflictError`` or ``CorruptError``.
2. A transaction commits whole or not at all. A conflict (SQLite's "database is locked", PostgreSQL's or DuckLake's
   "Transaction conflict") is retried from the beginning with bounded, jittered waits; a real error is not.
3. Reading opens nothing for writing, creates no file, and fails with one line when there is no lake.
4. ``snapshot_id`` is the lake's own number of a committed state; a version keeps the number it was read at, and reads it back
   with ``AT (VERSION => n)``.
5. Whoever writes under a lease says so (``guarded``): each commit asks it last of all, and one whose lease was lost writes nothing.

The SQLite catalog runs in WAL mode: readers are not blocked by a commit, and four processes that commit 20 times each took
2.5 s here instead of 18 s with SQLite's default journal.
"""

import json
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from vector_pipeline.config import LakeConfig
from vector_pipeline.config.secrets import scrub
from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.corpus.streams import next_batch
from vector_pipeline.errors import ConfigError, ConflictError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.lake.extensions import load_extensions, unsigned
from vector_pipeline.lake.s3 import S3Secret, explained
from vector_pipeline.lake.whole import WHOLE

T = TypeVar("T")
CATALOG = "lake"
METADATA = f"__ducklake_metadata_{CATALOG}"
"""The catalog's own tables, in DuckLake's format 1.0."""
_OWNER, _IDENTITY, _SEALS = "vector_pipeline_owner", "vector_pipeline_lake", "vector_pipeline_seals"
"""Among the catalog's settings, where DuckLake leaves alone what it does not know."""
_CONFLICTS = (
    "database is locked",
    "transaction conflict",
    "conflict",
    "deadlock",
    "could not serialize",
    "malformed database",
)
_NO_LAKE = "creating a new DuckLake is explicitly disabled"
"""What DuckLake says of a database that has no lake yet, when it may not make one."""
_PATIENCE_S = 30.0
"""Longest that a transaction is repeated on conflicts before it gives up."""


class _Stopped(Exception):
    """What a guard raised, on its way out of a transaction."""

    def __init__(self, why: VectorPipelineError) -> None:
        super().__init__(why.what)
        self.why = why


class Lake:
    """A connection to one DuckLake. Threads may share it: each thread gets a cursor of its own."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        where: str,
        *,
        read_only: bool,
        secrets: tuple[str, ...] = (),
        data: str = "",
        catalog_file: Path | None = None,
        attach: str = "",
        s3: S3Secret | None = None,
    ) -> None:
        self._root = connection
        self.s3 = s3
        """How data on S3 are reached; None where they lie in a folder."""
        self._attach = attach
        self._secrets = secrets
        self._local = threading.local()
        self._attached = 0
        self.where = where
        self.read_only = read_only
        self.data = data
        """Folder or ``s3://`` prefix of the data files; ends with a slash."""
        self.catalog_file = catalog_file
        """The catalog's SQLite file; None where a server has it."""

    @classmethod
    def open(cls, config: LakeConfig, base: Path, *, read_only: bool = False) -> "Lake":
        """Attach the lake, making it first unless ``read_only``. ``NotFoundError`` when there is none to read."""
        attach, where = _attachment(config, base, read_only=read_only)
        options: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": config.memory_limit,
            # The default is a folder below the current one, which may be read-only.
            "temp_directory": str(
                Path(tempfile.gettempdir()) / f"vector-pipeline-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            ),
            "autoinstall_known_extensions": "false",
        }
        if config.threads is not None:
            options["threads"] = config.threads
        kind = urlsplit(config.catalog.resolve_url()).scheme
        extensions = ["sqlite_scanner" if kind == "sqlite" else "postgres_scanner", "ducklake"]
        if config.data.startswith("s3://"):
            extensions.append("httpfs")
        options["allow_unsigned_extensions"] = unsigned(*extensions)
        try:
            connection = duckdb.connect(config=options)
        except duckdb.Error as error:
            raise ConfigError(f"lake: DuckDB refuses the settings: {_first_line(error)}") from None
        load_extensions(connection, *extensions)
        secret = S3Secret(config, data_path(config, base)) if "httpfs" in extensions else None
        if secret is not None:
            try:
                secret.begin(connection)
            except VectorPipelineError:
                connection.close()
                raise
        file = (base / config.catalog.resolve_url().removeprefix("sqlite:///")).resolve() if kind == "sqlite" else None
        lake = cls(
            connection, where, read_only=read_only, secrets=(config.catalog,), data=data_path(config, base),
            catalog_file=file, attach=attach, s3=secret,
        )  # fmt: skip
        try:
            lake._retry(lambda: connection.execute(attach))
        except VectorPipelineError as error:
            connection.close()
            if isinstance(error, ConflictError):
                raise UnavailableError(f"{where} is locked by another process", fix="Try again in a moment") from None
            if read_only and _NO_LAKE in error.what:
                raise NotFoundError(f"no {where}", fix="Build a dataset first: vector-pipeline build DATASET") from None
            raise UnavailableError(
                f"{where} cannot be opened: {error.what}", fix="Check `lake:` in the configuration"
            ) from None
        return lake

    def close(self) -> None:
        """Detach. The object must not be used afterwards."""
        self._root.close()

    def reattach(self) -> None:
        """Forget what DuckLake remembers of the catalog: its tables were changed past it. No query may be under way."""

        def again() -> None:
            self._root.execute(f"DETACH DATABASE IF EXISTS {CATALOG}")
            self._root.execute(self._attach)

        self._retry(again)
        self._attached += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor, for the lake package itself."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._root.cursor()
            cursor.execute(WHOLE)
            self._local.cursor = cursor
        self._renew()
        return cursor

    @property
    def notes(self) -> dict[str, Any]:
        """What is known of this thread's temporary tables, for whoever made them. Empty again after ``reattach``."""
        attached, found = getattr(self._local, "notes", (-1, {}))
        if attached != self._attached:
            found = dict[str, Any]()
            self._local.notes = (self._attached, found)
        return found

    def _renew(self) -> None:
        if self.s3 is not None:
            self.s3.renew(self._root)

    def table(self, sql: str, parameters: list[Any] | None = None) -> pa.Table:
        """Result of a query as one Arrow table."""
        with self._translated():
            return self.connection.execute(sql, parameters or []).to_arrow_table()

    def stream(
        self,
        sql: str,
        parameters: list[Any] | dict[str, Any] | None = None,
        *,
        rows: int = 16_384,
        given: dict[str, pa.Table] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Result of a query in batches, on a cursor of its own: other statements may run between two batches.

        Temporary tables of this thread are not seen there: what the query needs beside the lake comes in ``given``, by name.
        """
        self._renew()
        with self._translated():
            cursor = self._root.cursor()
            for name, data in (given or {}).items():
                cursor.register(name, data)
            reader = cursor.execute(sql, parameters or []).to_arrow_reader(rows)
        try:
            while True:
                with self._translated():
                    batch = next_batch(reader)
                if batch is None:
                    return
                yield batch
        finally:
            reader.close()
            cursor.close()

    def row(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """The one row of a query."""
        with self._translated():
            found = self.connection.execute(sql, parameters or []).fetchone()
        if found is None:
            raise NotFoundError(f"{self.where}: the query returned no row")
        return tuple(found)

    def rows(self, sql: str, parameters: list[Any] | dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a small query."""
        with self._translated():
            return [tuple(found) for found in self.connection.execute(sql, parameters or []).fetchall()]

    def run(self, sql: str, parameters: list[Any] | None = None) -> None:
        """A statement that touches no lake table: temporary tables, settings."""
        with self._translated():
            self.connection.execute(sql, parameters or [])

    @contextmanager
    def registered(self, name: str, data: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        """Make Arrow data readable under a name for the time of a block, in this thread's cursor."""
        with self._translated():
            self.connection.register(name, data)
        try:
            yield
        finally:
            with self._translated():
                self.connection.unregister(name)

    def transaction(self, work: Callable[[], T], message: str | None) -> T:
        """Run ``work`` in one transaction; retried whole on a conflict, so it must be repeatable. ``message`` is kept.

        None: the work touches the catalog's own tables (``METADATA``) and no table of the lake.
        """
        if self.read_only:
            raise ConflictError(f"{self.where} was opened for reading")

        def attempt() -> T:
            con = self.connection
            con.execute("BEGIN")
            try:
                result = work()
                if message is not None:
                    con.execute(f"CALL {CATALOG}.set_commit_message('vector-pipeline', {quoted(message)})")
                self._ask_guards()
                con.execute("COMMIT")
            except BaseException:
                # A failed COMMIT has already ended the transaction: there may be nothing to roll back.
                with suppress(duckdb.Error):
                    con.execute("ROLLBACK")
                raise
            return result

        try:
            return self._retry(attempt)
        except _Stopped as stopped:
            raise stopped.why from None

    def _ask_guards(self) -> None:
        for guard in self._guards:
            try:
                guard()
            except VectorPipelineError as error:
                # A lease that is lost is a conflict too, and none that ends by trying again.
                raise _Stopped(error) from None

    @contextmanager
    def guarded(self, check: Callable[[], None]) -> Iterator[None]:
        """Law 5 for the transactions of this thread within a block. What ``check`` raises undoes the transaction, and comes out."""
        self._local.guards = (*self._guards, check)
        try:
            yield
        finally:
            self._local.guards = self._guards[:-1]

    @property
    def _guards(self) -> tuple[Callable[[], None], ...]:
        found: tuple[Callable[[], None], ...] = getattr(self._local, "guards", ())
        return found

    def snapshot_id(self) -> int:
        """Number of the newest committed state."""
        return int(self.row(f"SELECT id FROM {CATALOG}.current_snapshot() AS t(id)")[0])

    def owner(self) -> str:
        """Whose the lake is (see ``take``); empty: nobody's yet."""
        return self.setting(_OWNER)

    def identity(self) -> str:
        """The catalog's own id: drawn when it was taken, and kept where it is copied or moved. Empty: it was not taken yet."""
        return self.setting(_IDENTITY)

    def seals(self) -> dict[str, str]:
        """Digests of the seals of the environments that write here, by name: what remains of them where a registry is lost."""
        found: dict[str, str] = json.loads(self.setting(_SEALS) or "{}")
        return found

    def keep_seals(self, digests: Mapping[str, str]) -> None:
        """Say what ``seals`` returns from now on."""

        if self.seals() != dict(digests):
            self.set_setting(_SEALS, json.dumps(dict(digests), sort_keys=True))

    def set_setting(self, key: str, value: str) -> None:
        """Keep a word of ours among the catalog's settings. No state of the lake comes of it."""

        def work() -> None:
            self.run(f"DELETE FROM {METADATA}.ducklake_metadata WHERE key = {quoted(key)}")
            self.run(f"INSERT INTO {METADATA}.ducklake_metadata (key, value) VALUES ({quoted(key)}, {quoted(value)})")

        self.transaction(work, None)

    def setting(self, key: str) -> str:
        """What ``set_setting`` kept; empty where it kept nothing."""
        # No parameter here and in what every commit does: with its first one DuckDB imports pandas (``lake.literals``).
        found = self.rows(f"SELECT value FROM {METADATA}.ducklake_metadata WHERE key = {quoted(key)}")
        return str(found[0][0]) if found else ""

    def forget_settings(self, prefix: str) -> None:
        """Keep none of the settings whose names begin so."""

        def work() -> None:
            self.run(f"DELETE FROM {METADATA}.ducklake_metadata WHERE starts_with(key, ?)", [prefix])

        self.transaction(work, None)

    def take(self, owner: str) -> None:
        """Say whose the lake is, where it was nobody's. No state of the lake comes of it: it is one of the catalog's settings."""

        def work() -> None:
            for key, value in ((_OWNER, owner), (_IDENTITY, uuid.uuid4().hex)):
                if not self.setting(key):
                    self.run(
                        f"INSERT INTO {METADATA}.ducklake_metadata (key, value) VALUES ({quoted(key)}, {quoted(value)})"
                    )

        self.transaction(work, None)

    def has_table(self, schema: str, table: str) -> bool:
        """Whether the lake holds the table now."""
        return not self.missing(schema, [table])

    def missing(self, schema: str, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the lake does not hold now. One look at the catalog, however many they are."""
        wanted = list(tables)
        found = self.rows(
            # Not ``duckdb_tables()``, which works out how many rows each table of the lake has.
            f"""SELECT table_name FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id)
                WHERE s.schema_name = {quoted(schema)} AND t.table_name IN ({", ".join(map(quoted, wanted)) or "NULL"})
                  AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL"""
        )
        there = {name for (name,) in found}
        return [name for name in wanted if name not in there]

    def _retry(self, work: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception_type(ConflictError),
            stop=stop_after_delay(_PATIENCE_S),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            reraise=True,
        )
        for attempt in retrying:
            with attempt, self._translated():
                return work()
        raise AssertionError("tenacity re-raises")  # pragma: no cover

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise translate(error, self.where, self._secrets) from None


def translate(error: duckdb.Error, where: str, secrets: tuple[str, ...] = ()) -> VectorPipelineError:
    """Our error for one of DuckDB's, without what the templates ``secrets`` resolve to: DuckDB quotes connection strings."""
    text = str(error).lower()
    line = scrub(_without_statement(_first_line(error)), *secrets)
    if any(mark in text for mark in _CONFLICTS):
        return ConflictError(f"{where}: another process is committing: {line}", fix="Run the command again")
    if "no snapshot found" in text:
        return NotFoundError(f"{where}: {line}", fix="Was it expired? See: vector-pipeline versions")
    if isinstance(error, duckdb.CatalogException):
        return NotFoundError(f"{where}: {line}", fix="Build the dataset first: vector-pipeline build")
    if isinstance(error, duckdb.OutOfMemoryException):
        return UnavailableError(f"{where}: {line}", fix="Raise `lake.memory_limit` in the configuration")
    if "no space left" in text:
        # Which one, the file in it says: what is written need not be the lake's own.
        return UnavailableError(f"{where}: the disk is full: {line}", fix="Free space, then run the command again")
    if "permission denied for" in text:
        return ConfigError(f"{where}: {line}", fix="Grant it to this role, or use the role of those who write")
    of_s3 = explained(where, line)
    if of_s3 is not None:
        return of_s3
    return UnavailableError(f"{where}: {line}")


def _attachment(config: LakeConfig, base: Path, *, read_only: bool) -> tuple[str, str]:
    """The ATTACH statement, with its secrets, and the lake's address without them."""
    url = config.catalog.resolve_url()
    kind = urlsplit(url).scheme
    data = data_path(config, base)
    # The catalog remembers the folder's absolute path and would refuse a project that was moved; files are named relative to it.
    options = [f"DATA_PATH {quoted(data)}", "OVERRIDE_DATA_PATH true"]
    if read_only:
        options.append("READ_ONLY")
    if kind == "sqlite":
        path = (base / url.removeprefix("sqlite:///")).resolve()
        where = f"lake {path}"
        if not path.exists():
            if read_only:
                raise NotFoundError(f"no {where}", fix="Build a dataset first: vector-pipeline build DATASET")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if "://" not in data:
                    Path(data).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UnavailableError(f"{where} cannot be made: {error.strerror}", fix="Check the folder") from None
        options += (
            ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 5000"] if not read_only else ["META_BUSY_TIMEOUT 5000"]
        )
        target = f"ducklake:sqlite:{path}"
    elif kind in ("postgresql", "postgres"):
        where = f"lake {config.catalog}"
        target = f"ducklake:postgres:{url}"
    else:
        raise ConfigError(
            f"lake.catalog: {config.catalog} is neither sqlite:///… nor postgresql://…", fix="Use one of the two"
        )
    return f"ATTACH {quoted(target)} AS {CATALOG} ({', '.join(options)})", where


def data_path(config: LakeConfig, base: Path) -> str:
    """Folder or ``s3://`` prefix of a lake's data files; ends with a slash."""
    data = config.data if "://" in config.data else str((base / config.data).resolve())
    return data.rstrip("/") + "/"


def _first_line(error: Exception) -> str:
    """The telling line of a message of DuckDB's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return lines[-1] if lines[0].startswith("TransactionContext") else lines[0]


def _without_statement(line: str) -> str:
    """A server's error without the statement that failed: inlined rows and the least and greatest text of columns stand in it."""
    _, found, said = line.rpartition('": ERROR:')
    return f"ERROR:{said}" if found else line
