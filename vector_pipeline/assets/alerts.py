"""The sensor that tells of failed runs and failed gates. It looks at every run of the instance, whoever launched it, a command too.

Laws
----
1. An alert that cannot be delivered fails nothing: it is logged with the tick, owed, and tried again.
2. Nothing is told of what ended before the sensor was first on. A run that ends while a tick looks is seen by the next one.
3. What is told and owed is in the cursor: a daemon that restarts neither forgets nor repeats.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import dagster as dg

from vector_pipeline.alerts import Alert, Book, Delivery
from vector_pipeline.assets.failures import Place, clean_audits, dataset_of, told_of
from vector_pipeline.config import BrokenDataset, Config

NAME = "alerts"
SECONDS = 10
"""Between two looks at what has ended."""
OVERLAP_S = 120.0
"""A run's end is written with the time of whoever ran it: looks reach back so far, and remember what they saw."""
RUNS = 100
"""Most that one tick looks at."""
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]


@dataclass(slots=True)
class _Cursor:
    since: float
    seen: dict[str, float] = field(default_factory=dict)
    """Run → when it was changed last: those that a look could meet again."""
    book: Book = field(default_factory=Book)

    def write(self) -> str:
        return json.dumps({"since": self.since, "seen": self.seen, **self.book.to_json()})

    @classmethod
    def read(cls, text: str) -> Self:
        held: dict[str, Any] = json.loads(text)
        return cls(float(held["since"]), dict(held["seen"]), Book.from_json(held))


def alerts_sensor(
    config: Config, environment: str, broken: Sequence[BrokenDataset] = (), name: str = NAME
) -> dg.SensorDefinition | None:
    """The sensor of an environment; None where nobody is to be told. ``broken``: datasets that could not be loaded."""
    settings = config.environments[environment]
    if not settings.alerts:
        return None
    names = list(dict.fromkeys([*config.names, *(one.name for one in broken)]))
    owners = {name: config.owners_of(name) for name in names} | {one.name: one.owners for one in broken}
    who = ", ".join(sorted({one.kind for one in settings.alerts}))

    @dg.sensor(
        name=name,
        minimum_interval_seconds=SECONDS,
        # Whoever writes down who is to be told wants them told.
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Tells of runs and gates that fail, by {who}.",
    )
    def body(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = time.time()
        if context.cursor is None:
            return dg.SensorResult(cursor=_Cursor(now).write(), skip_reason="told from now on")
        cursor = _Cursor.read(context.cursor)
        url = str(settings.dagster_url.resolve_url()).rstrip("/") if settings.dagster_url is not None else ""
        place = Place(names, environment, url, owners)
        alerts = _look(context.instance, cursor, place, now)
        alerts += [_not_loaded(one, place) for one in broken]
        done = cursor.book.tell(alerts, settings.alerts, now=now)
        for one in done:
            if not one.delivered:
                context.log.error(f"an alert was not delivered to {one.receiver}: {one.said}")
        return dg.SensorResult(cursor=cursor.write(), skip_reason=_said(done, len(cursor.book.owed)))

    return body


def _not_loaded(broken: BrokenDataset, place: Place) -> Alert:
    """Told once a day for as long as it is so: no run can fail that is not there."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Alert(
        "not-loaded", broken.name, place.environment, f"it is not loaded: {broken.reason}", at,
        "Every other dataset works. Mend it, and reload the code location", place.command("check"), owners=broken.owners,
    )  # fmt: skip


def _look(instance: dg.DagsterInstance, cursor: _Cursor, place: Place, now: float) -> list[Alert]:
    """Alerts of the runs that have ended since the last look; the cursor then knows them."""
    after = datetime.fromtimestamp(cursor.since - OVERLAP_S, UTC)
    most = RUNS + len(cursor.seen)
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_after=after), limit=most)
    new = [one for one in records if cursor.seen.get(one.dagster_run.run_id) is None]
    alerts: list[Alert] = []
    for record in sorted(new, key=lambda one: one.end_time or 0):
        run = record.dagster_run
        cursor.seen[run.run_id] = record.update_timestamp.timestamp()
        found = told_of(instance, record, place)
        dataset = dataset_of(run, place)
        if not found and dataset is not None and run.status is dg.DagsterRunStatus.SUCCESS:
            cursor.book.succeeded(dataset)
            for audit in clean_audits(instance, run.run_id, dataset):
                cursor.book.succeeded(dataset, audit)
        alerts += found
    if len(records) < most:
        cursor.since = max(cursor.since, now - 1)
    cursor.seen = {run: at for run, at in cursor.seen.items() if at >= cursor.since - 2 * OVERLAP_S}
    return alerts


def _said(done: list[Delivery], owed: int) -> str:
    told = sum(one.delivered for one in done)
    waiting = f", {owed} could not be delivered yet" if owed else ""
    return f"{told} delivered{waiting}" if done or owed else "nothing failed"
