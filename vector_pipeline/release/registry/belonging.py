"""Whose the registry is: its id, the environments that it serves with their seals, and seals that were broken.

Laws
----
1. The id was drawn when the registry was made, and is on every namespace and lake that it made. It changes only where a registry
   that holds nothing takes the place of one that was lost (``stand_for``). Whether it may is the caller's question.
2. An environment is remembered by name from its first write on. Its seal is a digest; what was sealed is opened by its seal alone.
3. Broken seals are only ever added.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry.engine import Database, Part
from vector_pipeline.release.registry.schema import VERSION_TABLE, deployments
from vector_pipeline.release.registry.schema import broken_seals as breaks
from vector_pipeline.release.registry.schema import environments as table
from vector_pipeline.release.registry.schema import registry as ids

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Served:
    """An environment that writes here."""

    name: str
    sample: float | None
    """Share of the documents that it builds; None: all."""
    seal: str | None
    """Digest of its seal; None: it is not sealed."""
    sharing: str | None
    """Who let it in beside an environment that is sealed."""
    at: datetime
    by: str
    sealed_at: datetime | None
    sealed_by: str | None


@dataclass(frozen=True, slots=True)
class Belonging:
    """What a registry says of itself."""

    where: str
    """Its address, without secrets."""
    id: str = ""
    """Empty: there is no registry yet, or one that is older than ids."""
    environments: tuple[Served, ...] = ()

    def named(self, environment: str) -> Served | None:
        return next((one for one in self.environments if one.name == environment), None)


@dataclass(frozen=True, slots=True)
class BrokenSeal:
    """A writing verb that somebody let through."""

    id: int
    environment: str
    dataset: str | None
    verb: str
    at: datetime
    by: str
    reason: str
    run_id: str | None


class Belongings(Part):
    """The registry's view of whose it is."""

    _id: str | None = None

    @property
    def id(self) -> str:
        """Law 1: 16 hex characters."""
        if self._id is None:
            self._id = str(self._db.read(lambda connection: connection.execute(select(ids.c.id)).scalar_one()))
        return self._id

    def belonging(self) -> Belonging:
        """Whose it is, as it stands now."""
        return look(self._db)

    def join(
        self, name: str, *, by: str, sample: float | None = None, digest: str | None = None,
        demand: Callable[[Belonging], None] | None = None,
    ) -> Served:  # fmt: skip
        """Remember an environment (law 2). ``digest``: seals it, unless it is sealed. ``demand`` raises what forbids it, of the
        state that this write finds.
        """
        where = self._db.where

        def work(connection: Connection) -> Served:
            self._db.serialise(connection, "environments")
            if demand is not None:
                demand(_belonging(connection, where))
            now = self._db.now(connection)
            found = connection.execute(select(table).filter_by(name=name)).one_or_none()
            if found is None:
                connection.execute(insert(table).values(name=name, sample=sample, at=now, by=by))
            elif found.sample != sample:
                connection.execute(update(table).filter_by(name=name).values(sample=sample))
            if digest is not None and (found is None or found.seal is None):
                connection.execute(update(table).filter_by(name=name).values(seal=digest, sealed_at=now, sealed_by=by))
            return Served(**connection.execute(select(table).filter_by(name=name)).one()._mapping)

        return self._db.write(work)

    def reseal(self, name: str, digest: str | None, *, by: str) -> None:
        """Give an environment another seal, or none. Whether it may is the caller's question."""

        def work(connection: Connection) -> None:
            now = self._db.now(connection) if digest is not None else None
            said = {"seal": digest, "sealed_at": now, "sealed_by": by if digest is not None else None}
            if not connection.execute(update(table).filter_by(name=name).values(**said)).rowcount:
                raise NotFoundError(f"the registry {self._db.where} serves no environment {name}")

        self._db.write(work)

    def let_in(self, name: str, *, by: str | None) -> None:
        """Let an environment write beside one that is sealed; ``by`` None: not any more. One that never wrote is remembered."""

        def work(connection: Connection) -> None:
            self._db.serialise(connection, "environments")
            if (
                not connection.execute(update(table).filter_by(name=name).values(sharing=by)).rowcount
                and by is not None
            ):
                now = self._db.now(connection)
                connection.execute(insert(table).values(name=name, sharing=by, at=now, by=by))

        self._db.write(work)

    def record_broken_seal(
        self, environment: str, verb: str, *, by: str, reason: str, dataset: str | None = None, run_id: str | None = None
    ) -> None:  # fmt: skip
        """Law 3."""

        def work(connection: Connection) -> None:
            said = {"verb": verb, "by": by, "reason": reason, "dataset": dataset, "run_id": run_id}
            connection.execute(insert(breaks).values(environment=environment, at=self._db.now(connection), **said))

        self._db.write(work)

    def broken_seals(self, environment: str | None = None) -> list[BrokenSeal]:
        """Oldest first."""
        query = select(breaks).order_by(breaks.c.id)
        if environment is not None:
            query = query.where(breaks.c.environment == environment)
        return [BrokenSeal(**row._mapping) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def stand_for(self, lost: str) -> None:
        """Law 1: take the id of a registry that was lost. ``RefusedError`` where this one has made anything itself."""
        if _ID.fullmatch(lost) is None:
            raise InputError(f"{lost!r} is no registry's id: 16 hex characters, as the refusal says it")

        def work(connection: Connection) -> None:
            self._db.serialise(connection, "environments")
            if connection.execute(select(func.count()).select_from(deployments)).scalar_one():
                raise RefusedError(
                    f"the registry {self._db.where} has deployments of its own: it cannot stand for {lost}",
                    fix="Use a registry that nothing was pushed with",
                )
            connection.execute(update(ids).values(id=lost))

        self._db.write(work)
        self._id = None


def look(database: Database) -> Belonging:
    """What the registry says, whatever release wrote it: before it is brought up to date."""
    if database.path is not None and not database.path.exists():
        return Belonging(database.where)
    return database.read(lambda connection: _belonging(connection, database.where))


def _belonging(connection: Connection, where: str) -> Belonging:
    if not connection.dialect.has_table(connection, VERSION_TABLE) or not connection.dialect.has_table(
        connection, table.name
    ):
        return Belonging(where)
    name = connection.execute(select(ids.c.id)).scalar() or ""
    rows = connection.execute(select(table).order_by(table.c.at, table.c.name))
    return Belonging(where, name, tuple(Served(**row._mapping) for row in rows))
