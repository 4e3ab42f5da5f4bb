"""Pushes: one apply of a plan to a deployment. What each was about to do, and what came of it, is in ``journal``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from vector_pipeline.errors import NotFoundError
from vector_pipeline.release.registry.deployments import unknown_deployment
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import deployments
from vector_pipeline.release.registry.schema import pushes as table


class PushStatus(StrEnum):
    """How a push ended. ``open`` until somebody says; a killed one stays open."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Push:
    """One apply of a plan."""

    id: int
    deployment_id: int
    dataset: str
    environment: str
    plan: Mapping[str, Any]
    fence: int
    run_id: str | None
    status: PushStatus
    opened_at: datetime
    closed_at: datetime | None


class Pushes(Part):
    """The registry's pushes."""

    def open_push(self, deployment_id: int, plan: Mapping[str, Any], fence: int, run_id: str | None = None) -> int:
        """Id of a new push. ``plan``: JSON, without secrets. ``NotFoundError`` for an unknown deployment."""

        def work(connection: Connection) -> int:
            place = connection.execute(
                select(deployments.c.dataset, deployments.c.environment).where(deployments.c.id == deployment_id)
            ).one_or_none()
            if place is None:
                raise unknown_deployment(deployment_id)
            values = {
                "deployment_id": deployment_id,
                "plan": dict(plan),
                "fence": fence,
                "run_id": run_id,
                "status": PushStatus.OPEN,
                "opened_at": self._db.now(connection),
            }
            write = insert(table).values(**place._mapping, **values).returning(table.c.id)
            return int(connection.execute(write).scalar_one())

        return self._db.write(work)

    def push(self, push_id: int) -> Push:
        """One push. ``NotFoundError`` when there is none of that id."""
        query = select(table).where(table.c.id == push_id)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise unknown_push(push_id)
        return to_push(row)

    def pushes(
        self,
        dataset: str,
        environment: str | None = None,
        limit: int = 50,
        *,
        deployment_id: int | None = None,
        status: PushStatus | None = None,
    ) -> list[Push]:
        """Pushes of a dataset, newest first; ``status=PushStatus.OPEN`` finds those to resume."""
        wanted = {"environment": environment, "deployment_id": deployment_id, "status": status}
        given = {name: value for name, value in wanted.items() if value is not None}
        query = select(table).filter_by(dataset=dataset, **given)
        query = query.order_by(table.c.id.desc()).limit(limit)
        return [to_push(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def open_pushes(self, environment: str, target: str, namespace: str) -> list[Push]:
        """Pushes of a namespace that nobody closed, newest first. Whoever holds its lease may close them: their writers are
        dead.
        """
        return self._there(environment, target, namespace, table.c.status == PushStatus.OPEN)

    def unfinished_pushes(self, environment: str, target: str, namespace: str, since: datetime) -> list[Push]:
        """Pushes of a namespace that are open, or began at ``since`` or later and did not come to their end; newest first."""
        ended_badly = (table.c.status != PushStatus.DONE) & (table.c.opened_at >= since)
        return self._there(environment, target, namespace, (table.c.status == PushStatus.OPEN) | ended_badly)

    def newest_push(self, target: str, namespace: str) -> Push | None:
        """The last push into a namespace, of whatever environment and whatever it was for; None where there was none."""
        query = select(table).join(deployments, deployments.c.id == table.c.deployment_id)
        query = query.where(deployments.c.target == target, deployments.c.namespace == namespace)
        query = query.order_by(table.c.id.desc()).limit(1)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else to_push(row)

    def _there(self, environment: str, target: str, namespace: str, condition: ColumnElement[bool]) -> list[Push]:
        place = (
            deployments.c.environment == environment,
            deployments.c.target == target,
            deployments.c.namespace == namespace,
        )
        query = select(table).join(deployments, deployments.c.id == table.c.deployment_id)
        query = query.where(*place, condition).order_by(table.c.id.desc())
        return [to_push(row) for row in self._db.read(lambda connection: connection.execute(query).all())]


def to_push(row: Row[Any]) -> Push:
    """A row of the pushes' table as a value."""
    values = dict(row._mapping)
    return Push(**{**values, "status": PushStatus(values["status"])})


def unknown_push(push_id: int) -> NotFoundError:
    """The error for a push that does not exist."""
    return NotFoundError(f"the registry has no push {push_id}", fix="list them with history")


def locked_push(connection: Connection, push_id: int) -> tuple[PushStatus, str]:
    """Status and dataset of a push, locked until the commit. ``NotFoundError`` when there is none."""
    query = select(table.c.status, table.c.dataset).where(table.c.id == push_id).with_for_update()
    found = connection.execute(query).one_or_none()
    if found is None:
        raise unknown_push(push_id)
    return PushStatus(found.status), str(found.dataset)
