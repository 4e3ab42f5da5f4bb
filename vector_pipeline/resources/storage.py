"""Dagster's own SQLite storage, with its files kept open: for a process that executes a run.

Dagster makes an engine and opens a file anew for each statement, several of them for each event: it learns the dialect and compiles
the statement again each time, and the last one to close a file writes its log back. Nothing else is different: the same files, the
same tables, the same statements, and every event is committed before the next one is handed in.

Laws
----
1. Only Dagster's own class of SQLite files is replaced, wherever they lie; any other storage is left as it is.
2. Whoever watches a run sees each event when it is there. Dagster's webserver waits for a change of the run's file, and a commit
   changes its log alone while the file is open here: so the file is touched.
3. A few files are open at a time: the index and those that were used last.
4. Commands that begin at once in a new home make its files one after the other.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import URL, Connection, Engine

_MOST = 4
"""Files of events that are open at once."""
_DEFAULT = ("dagster._core.storage.sqlite_storage", "DagsterSqliteStorage")


def kept_open(ref: InstanceRef) -> InstanceRef:
    """The instance with its SQLite files kept open (law 1)."""
    data = ref.storage_data
    if data is None or (data.module_name, data.class_name) != _DEFAULT:
        return ref
    ours = ConfigurableClassData(__name__, OpenSqliteStorage.__name__, data.config_yaml)
    return ref._replace(storage_data=ours)


def _engine(url: str | URL) -> Engine:
    return sqlalchemy.create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


class OpenEventLog(SqliteEventLogStorage):
    """Events of runs, a file each, and the index of all."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._opened(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def store_event(self, event: Any) -> None:
        """Law 2."""
        super().store_event(event)
        with suppress(OSError):
            os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        """A table that is there stays there: it is not looked for with each event."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close the files too."""
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    def _opened(self, shard: str) -> Engine:
        """Law 3."""
        engine = self._engines.pop(shard, None) or _engine(self.conn_string_for_shard(shard))
        self._engines[shard] = engine  # The last one is the one that was used last.
        if len(self._engines) > _MOST:
            oldest = next(name for name in self._engines if name != INDEX_SHARD_NAME)
            self._engines.pop(oldest).dispose()
        return engine

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """As Dagster does it, but that a new file is written in one go: nothing in it counts before its first event, whose commit
        waits for all of it. A file that names its revision Dagster would leave alone, having read all its migrations.
        """
        if _stamped(engine):
            return
        writing = _engine(engine.url)
        sqlalchemy.event.listen(writing, "connect", _not_waiting)
        try:
            super()._initdb(writing, for_index_shard)
        finally:
            writing.dispose()


class OpenRuns(SqliteRunStorage):
    """Runs and their tags."""

    _kept: Engine | None = None

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """As Dagster does it; a file that has everything it would leave alone, having read all its migrations."""
        url = create_db_conn_string(base_dir, "runs")
        ready = _ready(base_dir, "runs", "instance_info")
        return cls(url, inst_data) if ready else super().from_local(base_dir, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        if self._kept is None:
            self._kept = _engine(self._conn_string)
        with self._kept.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close the file too."""
        super().dispose()
        if self._kept is not None:
            self._kept.dispose()


class Schedules(SqliteScheduleStorage):
    """Schedules and sensors, which a run has no part in."""

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> SqliteScheduleStorage:
        """As that of ``OpenRuns``."""
        url = create_db_conn_string(base_dir, "schedules")
        ready = _ready(base_dir, "schedules")
        return cls(url, inst_data) if ready else super().from_local(base_dir, inst_data)


class OpenSqliteStorage(DagsterSqliteStorage):
    """What an instance keeps, in the files where Dagster's own class keeps it."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Not that of the class between, which opens its own.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir, self._inst_data = base_dir, inst_data
        with _alone(base_dir):
            self._run_storage = OpenRuns.from_local(_runs_directory(base_dir))
            self._event_log_storage = OpenEventLog(_event_logs_directory(base_dir))
            self._schedule_storage = Schedules.from_local(_schedule_directory(base_dir))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Any:
        return cls.from_local(inst_data=inst_data, **config_value)


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Law 4: nobody else of ours is in this block for the folder. Half a file Dagster takes for one of long ago."""
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # A file system without locks.
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _not_waiting(connection: sqlite3.Connection, _: object) -> None:
    """Commits go to the log, and nobody waits for the disk: a power cut leaves the file whole, perhaps without the last ones."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _ready(base_dir: str, name: str, *tables: str) -> bool:
    """Whether a file is there, names its revision, and has these tables."""
    if not (Path(base_dir) / f"{name}.db").exists():
        return False
    engine = _engine(create_db_conn_string(base_dir, name))
    try:
        return _stamped(engine, *tables)
    finally:
        engine.dispose()


def _stamped(engine: Engine, *tables: str) -> bool:
    """Whether a database names its revision, and has these tables."""
    with engine.connect() as connection:
        if not all(engine.dialect.has_table(connection, table) for table in ("alembic_version", *tables)):
            return False
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() is not None
