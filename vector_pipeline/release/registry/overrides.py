"""Overrides: gates that a person let a version past. Recorded with the move that it was for.

Laws
----
1. Written in the transaction of the move, or not at all: none without a move, and no such move without it.
2. A reason is always there. What the gate said then is kept beside it; the verdict itself stays what it is.
3. An override is for one promotion. What is asked of the deployment afterwards (by itself, or on the way back) knows of it until it
   is promoted again, while its content is the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from vector_pipeline.errors import InputError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import overrides as table
from vector_pipeline.release.registry.verdicts import VerdictStatus


@dataclass(frozen=True, slots=True)
class NewOverride:
    """A gate that a deployment is to be let past."""

    deployment_id: int
    check: str
    status: VerdictStatus
    """What the gate says of it now: ``failed``, or ``unknown`` where it could not run, has not, or said it of something else."""
    summary: str
    """The same as one line for people."""
    digest: str
    mark: str | None = None
    """Of the target's namespace, for a gate that looks at it."""


@dataclass(frozen=True, slots=True)
class Override:
    """One gate that a deployment was let past once."""

    id: int
    move_id: int
    """The line of history that it is part of."""
    deployment_id: int
    dataset: str
    environment: str
    check: str
    status: VerdictStatus
    summary: str
    digest: str
    mark: str | None
    at: datetime
    by: str
    reason: str
    run_id: str | None


class Overrides(Part):
    """The registry's overrides."""

    def overrides(
        self, dataset: str, environment: str | None = None, *, deployment_id: int | None = None
    ) -> list[Override]:
        """Oldest first."""
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.id)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        if deployment_id is not None:
            query = query.where(table.c.deployment_id == deployment_id)
        return [_override(row) for row in self._db.read(lambda connection: connection.execute(query).all())]


def require_reason(wanted: Iterable[NewOverride], reason: str) -> None:
    """Law 2, or ``InputError``."""
    if not reason.strip() and (checks := [one.check for one in wanted]):
        raise InputError(f"letting a version past {', '.join(checks)} wants a reason", fix='Say it: --reason "why"')


def record(
    connection: Connection, wanted: Iterable[NewOverride], moves: Mapping[int, int], said: Mapping[str, Any],
    place: Mapping[str, str],
) -> None:  # fmt: skip
    """Law 1, within the transaction of ``moves`` (line of history by deployment): what did not move is not recorded."""
    for one in wanted:
        if one.deployment_id in moves:
            values = {
                "move_id": moves[one.deployment_id], "deployment_id": one.deployment_id, "check_name": one.check,
                "status": one.status.value, "summary": one.summary, "digest": one.digest, "mark": one.mark,
            }  # fmt: skip
            connection.execute(insert(table).values(**place, **values, **said))


def _override(row: Row[Any]) -> Override:
    values = dict(row._mapping)
    return Override(check=values.pop("check_name"), status=VerdictStatus(values.pop("status")), **values)
