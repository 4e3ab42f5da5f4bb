"""Audits: what comparing a deployment with its target found, and when. Only ever added."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from vector_pipeline.release.registry.deployments import unknown_deployment
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import audits as table
from vector_pipeline.release.registry.schema import deployments


@dataclass(frozen=True, slots=True)
class Audit:
    """One comparison of what was deployed with what the target held."""

    id: int
    dataset: str
    environment: str
    alias: str | None
    """The alias that pointed at it, if one did."""
    deployment_id: int | None
    level: str
    """``count``, ``ids``, ``sample`` or ``full``: how much was compared. Others say what was done: ``adopt``, ``put``, ``route``,
    ``space retire``.
    """
    drifted: bool
    counts: Mapping[str, Any]
    """Numbers of records: expected, found, missing, foreign, tampered, …"""
    detail: Mapping[str, Any]
    """JSON for people: examples, the mark, how long it took."""
    at: datetime
    by: str
    run_id: str | None


class Audits(Part):
    """The registry's audits."""

    def record_audit(
        self,
        *,
        dataset: str,
        environment: str,
        alias: str | None,
        deployment_id: int | None,
        level: str,
        drifted: bool,
        counts: Mapping[str, Any],
        detail: Mapping[str, Any],
        run_id: str | None = None,
        by: str = "",
    ) -> Audit:
        """Add an audit. ``NotFoundError`` for an unknown deployment."""

        def work(connection: Connection) -> Audit:
            known = select(deployments.c.id).where(deployments.c.id == deployment_id)
            if deployment_id is not None and connection.execute(known).one_or_none() is None:
                raise unknown_deployment(deployment_id)
            values = {
                "dataset": dataset, "environment": environment, "alias": alias, "deployment_id": deployment_id,
                "level": level, "drifted": drifted, "counts": dict(counts), "detail": dict(detail),
                "at": self._db.now(connection), "by": by, "run_id": run_id,
            }  # fmt: skip
            return Audit(**connection.execute(insert(table).values(values).returning(table)).one()._mapping)

        return self._db.write(work)

    def audits(
        self, dataset: str, environment: str | None = None, limit: int = 50, *, deployment_id: int | None = None
    ) -> list[Audit]:
        """Audits of a dataset, newest first."""
        query = select(table).where(table.c.dataset == dataset)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        if deployment_id is not None:
            query = query.where(table.c.deployment_id == deployment_id)
        query = query.order_by(table.c.id.desc()).limit(limit)
        return [Audit(**row._mapping) for row in self._db.read(lambda connection: connection.execute(query).all())]
