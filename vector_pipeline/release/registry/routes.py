"""Routes: a share of the readers of production who get another version, the step before a cut-over.

Laws
----
1. One route a dataset and environment is in force at most: beginning one ends the one before.
2. It names a version that is pushed and not expired, and the very deployments of it that were judged, one a place, beside what
   production serves: begun only while production points where it was seen. A move of production ends it, in the same transaction.
3. What a route names is in use: neither expired nor retired while it is in force, nor until the readers' grace after it is over.
   Beginning a route cannot cross either: all lock the rows of versions or deployments first and look afterwards.
4. Rows are only ever added; of one that is there only its end is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from vector_pipeline.errors import ConflictError, InputError, RefusedError
from vector_pipeline.release.registry.deployments import DeploymentStatus
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import aliases, deployments, versions
from vector_pipeline.release.registry.schema import routes as table
from vector_pipeline.release.registry.versions import unknown_version

ROUTED_ALIAS = "production"
"""The alias whose readers are routed."""


@dataclass(frozen=True, slots=True)
class Route:
    """A share of production's readers gets a version."""

    id: int
    dataset: str
    environment: str
    version: int
    share: float
    """Of the readers: above 0, to 1."""
    at: datetime
    by: str
    reason: str
    run_id: str | None
    ended_at: datetime | None
    ended_by: str | None
    deployments: tuple[int, ...]
    """That passed their gates when it was begun: readers are routed to no other."""


class Routes(Part):
    """The registry's routes."""

    def route(self, dataset: str, environment: str) -> Route | None:
        """The one in force, in one query: cheap enough to poll. None: every reader gets what production names."""
        query = select(table).where(*_open(dataset, environment))
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _to_route(row)

    def routes(self, dataset: str, environment: str | None = None, *, grace_s: float | None = None) -> list[Route]:
        """Those in force and those that have ended, oldest first. ``grace_s``: without those that ended longer ago, in seconds."""
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.id)
        if environment is not None:
            query = query.where(table.c.environment == environment)

        def work(connection: Connection) -> list[Route]:
            asked = query
            if grace_s is not None:
                asked = asked.where(in_use(self._db.now(connection) - timedelta(seconds=grace_s)))
            return [_to_route(row) for row in connection.execute(asked).all()]

        return self._db.read(work)

    def begin_route(
        self,
        dataset: str,
        environment: str,
        *,
        version: int,
        deployments: Sequence[int],
        share: float,
        beside: int,
        by: str,
        reason: str,
        run_id: str | None = None,
    ) -> Route:
        """Give a share of production's readers a version (laws 1 and 2). ``deployments``: of it, that were judged, one a place.
        ``beside``: deployment that production was seen to serve.

        ``ConflictError`` when production has moved since; ``RefusedError`` for a version that has expired, or one of whose
        deployments is not pushed.
        """
        if not 0 < share <= 1:
            raise InputError(f"{share:g} is no share of the readers", fix="Give more than 0 and at most 1")
        place = {"dataset": dataset, "environment": environment}
        judged = sorted(set(deployments))

        def work(connection: Connection) -> Route:
            # As moves of production do: none comes between the look and the commit.
            self._db.serialise(connection, f"alias:{dataset}:{environment}:{ROUTED_ALIAS}")
            held = connection.execute(select(aliases.c.deployment_id).filter_by(**place, name=ROUTED_ALIAS)).scalar()
            if held != beside:
                raise ConflictError(
                    f"production of {dataset} in {environment} moved meanwhile", fix="Look at it again, then repeat"
                )
            _may_be_routed(connection, dataset, environment, version, judged)
            at = self._db.now(connection)
            end(connection, dataset, environment, by=by, at=at)
            made = insert(table).values(
                **place, version=version, deployments=judged, share=share, at=at, by=by, reason=reason, run_id=run_id
            )  # fmt: skip
            route = _to_route(connection.execute(made.returning(table)).one())
            self._db.notify(connection, dataset, environment)
            return route

        return self._db.write(work)

    def end_route(self, dataset: str, environment: str, *, by: str) -> Route | None:
        """End the route in force; returns it as it was, None when there was none."""

        def work(connection: Connection) -> Route | None:
            self._db.serialise(connection, f"alias:{dataset}:{environment}:{ROUTED_ALIAS}")
            row = connection.execute(select(table).where(*_open(dataset, environment))).one_or_none()
            if row is None:
                return None
            end(connection, dataset, environment, by=by, at=self._db.now(connection))
            self._db.notify(connection, dataset, environment)
            return _to_route(row)

        return self._db.write(work)


def end(connection: Connection, dataset: str, environment: str, *, by: str, at: datetime) -> None:
    """End the route in force, in the transaction that moves production."""
    connection.execute(update(table).where(*_open(dataset, environment)).values(ended_at=at, ended_by=by))


def in_use(since: datetime | None = None) -> ColumnElement[bool]:
    """Routes in force; with ``since`` those too that ended after that: a reader may not have looked again."""
    in_force = table.c.ended_at.is_(None)
    return in_force if since is None else or_(in_force, table.c.ended_at > since)


def refuse_routed(connection: Connection, ids: Sequence[int], since: datetime) -> None:
    """``RefusedError`` when one of them may be read by a route in force, or by one that ended after ``since``."""
    query = (
        select(deployments.c.id, table.c.environment, table.c.version, table.c.dataset)
        .join(
            deployments,
            (deployments.c.dataset == table.c.dataset)
            & (deployments.c.environment == table.c.environment)
            & (deployments.c.version == table.c.version),
        )
        .where(deployments.c.id.in_(ids), deployments.c.status == DeploymentStatus.PUSHED, in_use(since))
    )
    if found := connection.execute(query.limit(1)).one_or_none():
        raise RefusedError(
            f"readers of {found.dataset} in {found.environment} are routed to v{found.version} (deployment {found.id}), or were a "
            "moment ago",
            fix="end the route first, and wait until the readers' grace is over",
        )


def _open(dataset: str, environment: str) -> tuple[ColumnElement[bool], ...]:
    return table.c.dataset == dataset, table.c.environment == environment, table.c.ended_at.is_(None)


def _to_route(row: Row[Any]) -> Route:
    values = dict(row._mapping)
    return Route(**{**values, "deployments": tuple(values["deployments"])})


def _may_be_routed(connection: Connection, dataset: str, environment: str, version: int, judged: Sequence[int]) -> None:
    """Law 2, with all rows locked against expiry and retirement before this commits."""
    of_version = select(versions.c.expired_at).where(versions.c.dataset == dataset, versions.c.number == version)
    row = connection.execute(of_version.with_for_update(read=True)).one_or_none()
    if row is None:
        raise unknown_version(connection, dataset, version)
    if row.expired_at is not None:
        raise RefusedError(f"v{version} of {dataset} expired: it cannot be served again", fix="route to a kept version")
    there = select(deployments.c.id, deployments.c.status).filter_by(
        dataset=dataset, environment=environment, version=version
    )
    found = connection.execute(there.order_by(deployments.c.id).with_for_update(read=True)).all()
    whole = {one.id for one in found if one.status == DeploymentStatus.PUSHED}
    if not judged or not whole.issuperset(judged):
        raise RefusedError(
            f"v{version} of {dataset} is not pushed whole in {environment}", fix="push it, then route readers to it"
        )
