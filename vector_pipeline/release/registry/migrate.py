"""Brings a registry to this release's tables, or refuses it.

Alembic is imported only when there is something to do, so that opening a registry costs one query. Any number of
processes may open an empty registry at once: the write transaction (SQLite) or an advisory lock (PostgreSQL) lets them
through one by one, and DDL is transactional in both, so that a killed migration leaves nothing.
"""

import threading
from pathlib import Path

from sqlalchemy import Connection, text

from vector_pipeline.errors import NotFoundError, RefusedError, UnavailableError
from vector_pipeline.release.registry.engine import Database
from vector_pipeline.release.registry.schema import REVISIONS, VERSION_TABLE

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps its context in module globals.
_ALEMBIC = threading.Lock()


def ensure_schema(database: Database, *, migrate: bool) -> None:
    """Make the registry's tables those of this release; without ``migrate`` only check them.

    ``NotFoundError``: nothing there, and ``migrate`` is off. ``RefusedError``: written by a newer release, or older and
    ``migrate`` is off. ``UnavailableError``: no such folder and none can be made.
    """
    if database.path is not None and not database.path.exists():
        if not migrate:
            raise _nothing(database)
        try:
            database.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"cannot make the registry's folder {database.path.parent}: {error.strerror}"
            ) from error
    stamped = database.read(_stamped)
    _refuse_newer(database, stamped)
    if stamped == REVISIONS[-1]:
        return
    if not migrate:
        if stamped is None:
            raise _nothing(database)
        raise RefusedError(
            f"the registry {database.where} is at revision {stamped} and this release needs {REVISIONS[-1]}",
            fix="run a build or a push once, which migrates it",
        )
    if database.path is not None:
        # Outside of a transaction, and kept in the file: readers no longer wait for writers.
        database.read(lambda connection: connection.execute(text("PRAGMA journal_mode = WAL")).scalar())
    with _ALEMBIC:
        database.write(lambda connection: _upgrade(database, connection))


def _nothing(database: Database) -> NotFoundError:
    # A code of its own: whoever serves tells a wrong address or a lost disk from a dataset that is not promoted yet.
    return NotFoundError(f"there is no registry at {database.where}", fix="run a build first", kind="no-registry")


def _stamped(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _refuse_newer(database: Database, stamped: str | None) -> None:
    if stamped is not None and stamped not in REVISIONS:
        raise RefusedError(
            f"the registry {database.where} was written by a newer release (revision {stamped}, not {REVISIONS[-1]})",
            fix="upgrade vector-pipeline",
        )


def _upgrade(database: Database, connection: Connection) -> None:
    database.serialise(connection, "migrate")
    stamped = _stamped(connection)
    _refuse_newer(database, stamped)
    if stamped == REVISIONS[-1]:
        return
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
