"""Verdicts of the gates: what each check found, for which content, on which deployment.

A verdict counts only for the digest that it was given for, and one on what the target holds only while the target's
mark is the one that it was given for: any write since, a push or a hand in the index, makes it worthless. What is
missing or unknown blocks like a failure: a gate that could not run has not passed. A warning is a pass that a person
should read. Verdicts are only added; the latest of a check counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select

from vector_pipeline.release.registry.deployments import unknown_deployment
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import deployments
from vector_pipeline.release.registry.schema import verdicts as table


class VerdictStatus(StrEnum):
    """What a check found. Only ``passed`` and ``warned`` let a promotion through."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The check could not run."""
    WARNED = "warned"
    """Nothing is wrong, but a person should know: a dataset without canaries can still be promoted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found once."""

    id: int
    deployment_id: int
    check: str
    status: VerdictStatus
    digest: str
    """Of the content that was checked."""
    detail: Mapping[str, Any]
    """JSON for people: measures, thresholds, examples."""
    created_at: datetime
    run_id: str | None
    mark: str | None = None
    """Of the target's namespace when the check looked; None for a check that does not look at the target."""


class Verdicts(Part):
    """The registry's verdicts."""

    def record_verdict(
        self,
        deployment_id: int,
        check: str,
        status: VerdictStatus,
        *,
        digest: str,
        detail: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        mark: str | None = None,
    ) -> Verdict:
        """Add a verdict. ``NotFoundError`` for an unknown deployment."""
        status = VerdictStatus(status)

        def work(connection: Connection) -> Verdict:
            place = connection.execute(
                select(deployments.c.dataset, deployments.c.environment).where(deployments.c.id == deployment_id)
            ).one_or_none()
            if place is None:
                raise unknown_deployment(deployment_id)
            values = {
                "deployment_id": deployment_id,
                "check_name": check,
                "status": status,
                "digest": digest,
                "detail": dict(detail or {}),
                "created_at": self._db.now(connection),
                "run_id": run_id,
                "mark": mark,
            }
            return _verdict(connection.execute(insert(table).values(**place._mapping, **values).returning(table)).one())

        return self._db.write(work)

    def verdicts(self, deployment_id: int) -> list[Verdict]:
        """The latest verdict of every check on a deployment, by name of the check, whatever its digest."""
        query = _latest(table.c.deployment_id == deployment_id)
        found = [_verdict(row) for row in self._db.read(lambda connection: connection.execute(query).all())]
        return sorted(found, key=lambda verdict: verdict.check)

    def verified(
        self, deployment_id: int, digest: str, required: Iterable[str], *, mark: str | None = None
    ) -> list[str]:
        """Names of the required checks whose latest verdict for this digest is neither ``passed`` nor ``warned``.

        With ``mark``, only verdicts for that state of the target count.
        """
        conditions = [table.c.deployment_id == deployment_id, table.c.digest == digest]
        if mark is not None:
            conditions.append(table.c.mark == mark)
        query = _latest(*conditions)
        rows = self._db.read(lambda connection: connection.execute(query).all())
        enough = (VerdictStatus.PASSED, VerdictStatus.WARNED)
        passed = {row.check_name for row in rows if row.status in enough}
        return [check for check in required if check not in passed]


def _latest(*conditions: ColumnElement[bool]) -> Select[Any]:
    newest = select(func.max(table.c.id)).where(*conditions).group_by(table.c.check_name)
    return select(table).where(table.c.id.in_(newest))


def _verdict(row: Row[Any]) -> Verdict:
    return Verdict(
        id=row.id,
        deployment_id=row.deployment_id,
        check=row.check_name,
        status=VerdictStatus(row.status),
        digest=row.digest,
        detail=row.detail,
        created_at=row.created_at,
        run_id=row.run_id,
        mark=row.mark,
    )
