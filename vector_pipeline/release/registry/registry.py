"""The registry as one object: its parts, and how it is opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from vector_pipeline.release.registry.audits import Audits
from vector_pipeline.release.registry.belonging import Belongings
from vector_pipeline.release.registry.bridges import Bridges
from vector_pipeline.release.registry.deployments import Deployments
from vector_pipeline.release.registry.engine import Database
from vector_pipeline.release.registry.erasures import Erasures
from vector_pipeline.release.registry.fills import Fills
from vector_pipeline.release.registry.journal import Journal
from vector_pipeline.release.registry.leases import Leases
from vector_pipeline.release.registry.listening import Listener
from vector_pipeline.release.registry.migrate import ensure_schema
from vector_pipeline.release.registry.moving import Moving
from vector_pipeline.release.registry.namespaces import Namespaces
from vector_pipeline.release.registry.overrides import Overrides
from vector_pipeline.release.registry.previews import Previews
from vector_pipeline.release.registry.pushes import Pushes
from vector_pipeline.release.registry.retiring import Retiring
from vector_pipeline.release.registry.routes import Routes
from vector_pipeline.release.registry.spaces import Spaces
from vector_pipeline.release.registry.throughput import Throughputs
from vector_pipeline.release.registry.verdicts import Verdicts
from vector_pipeline.release.registry.versions import Versions
from vector_pipeline.release.registry.withdrawals import Withdrawals


class Registry(
    Belongings,
    Versions,
    Deployments,
    Moving,
    Retiring,
    Verdicts,
    Overrides,
    Namespaces,
    Audits,
    Erasures,
    Fills,
    Spaces,
    Leases,
    Pushes,
    Journal,
    Throughputs,
    Withdrawals,
    Routes,
    Bridges,
    Previews,
):
    """The registry of one lake. May be shared between threads; a forked child may go on using its copy."""

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Self:
        """The registry at ``url``: ``sqlite:///relative``, ``sqlite:////absolute`` or ``postgresql://user@host/name``.

        ``migrate`` makes what is missing: the file's folder, the tables. Readers pass False, never write, and wait for a server
        that says nothing for a bounded time: see ``connecting``.
        ``NotFoundError`` when there is nothing to read, ``RefusedError`` when a newer release wrote it, ``ConfigError``
        for another kind of URL, ``UnavailableError`` when the database does not answer.
        """
        database = Database(url, patient=migrate)
        try:
            ensure_schema(database, migrate=migrate)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def listener(self, hear: Callable[[str], None]) -> Listener | None:
        """A thread, not yet started, that calls ``hear`` when an alias or a route may have changed. None: SQLite tells nobody."""
        return self._db.listener(hear)

    def require_present(self) -> None:
        """``UnavailableError`` where the registry's file is gone. One that was put in its place is read from here on."""
        self._db.require_present()

    @property
    def where(self) -> str:
        """The registry's URL for messages: without its password."""
        return self._db.where

    @property
    def file(self) -> Path | None:
        """The SQLite file; None where a server has the registry."""
        return self._db.path
