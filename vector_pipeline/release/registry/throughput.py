"""How fast writes went: what the journal of finished pushes says, for estimates. Those of previews do not count."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.journal import Outcome
from vector_pipeline.release.registry.pushes import PushStatus
from vector_pipeline.release.registry.schema import deployments, intents, outcomes, previews, pushes

_WRITES = 2_000
"""Newest writes that are looked at: an estimate needs no more, and a push may have many thousands."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What landed, and how long something was under way: writes at once count once."""

    records: int
    bytes: int
    seconds: float
    writes: int


class Throughputs(Part):
    """Measures from the journal."""

    def throughput(
        self, target: str, environment: str, *, pushes: int = 10, step: str | None = None
    ) -> Throughput | None:
        """What the newest finished pushes to a target landed, and in what time. None when none wrote a record.

        ``step``: only writes whose journalled step begins with this.
        """
        newest = _newest_done(target, environment, pushes)
        query = select(
            outcomes.c.push_id, outcomes.c.payload, intents.c.at.label("began"), outcomes.c.at.label("ended")
        )
        query = query.join(intents, intents.c.id == outcomes.c.intent_id).where(outcomes.c.push_id.in_(newest))
        query = query.where(outcomes.c.outcome == Outcome.LANDED)
        if step is not None:
            query = query.where(intents.c.step.startswith(step, autoescape=True))
        query = query.order_by(outcomes.c.id.desc()).limit(_WRITES)
        found = self._db.read(lambda connection: connection.execute(query).all())
        rows = [row for row in found if row.payload.get("records")]
        if not rows:
            return None
        by_push: dict[int, list[tuple[datetime, datetime]]] = {}
        for row in rows:
            by_push.setdefault(row.push_id, []).append((row.began, row.ended))
        return Throughput(
            records=sum(int(row.payload["records"]) for row in rows),
            bytes=sum(int(row.payload.get("bytes", 0)) for row in rows),
            seconds=sum((_busy(spans) for spans in by_push.values()), 0.0),
            writes=len(rows),
        )


def _newest_done(target: str, environment: str, limit: int) -> Select[Any]:
    # What previews took is theirs: production's plans are weighed by what releases took.
    released = deployments.c.dataset.not_in(select(previews.c.held_as))
    place = deployments.c.target == target, deployments.c.environment == environment, released
    query = select(pushes.c.id).join(deployments, deployments.c.id == pushes.c.deployment_id)
    newest = query.where(*place, pushes.c.status == PushStatus.DONE).order_by(pushes.c.id.desc()).limit(limit)
    return select(newest.subquery().c.id)


def _busy(spans: list[tuple[datetime, datetime]]) -> float:
    """Seconds in which at least one of the writes was under way."""
    seconds = 0.0
    until: datetime | None = None
    for began, ended in sorted(spans):
        seconds += max((ended - max(began, until or began)).total_seconds(), 0.0)
        until = max(ended, until or ended)
    return seconds
