"""Follow what a change becomes, from Dagster's own records: who takes it, the run that does, its steps and their times."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.tags import WILL_RETRY_TAG

from vector_pipeline.assets.automation import sensor_name
from vector_pipeline.assets.failures import Place, told_of
from vector_pipeline.assets.names import DATASET_TAG, runs_in
from vector_pipeline.resources.home import ensure_home

_ON = {InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE}
_SENSORS = "SENSOR"
"""Type of the daemon that evaluates sensors."""
SILENT_S = 120.0
"""A daemon says every half minute that it is there."""
_LOOK_BACK_S = 2.0
"""Between the clock of this process and the one of whoever records runs."""


@dataclass(frozen=True, slots=True)
class StepSeen:
    """One step of a run; times in seconds since the epoch."""

    name: str
    """``embeddings``, ``gates``: without the dataset."""
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run of a dataset."""

    run_id: str
    job: str
    """``release``, ``build``: without the dataset."""
    asked: float
    began: float | None
    ended: float | None
    steps: tuple[StepSeen, ...]
    """Those that have ended, in order."""
    failed: tuple[str, ...] | None
    """What went wrong, one line each; None for a run that goes on or succeeded."""


class Following:
    """The instance of a project, while somebody follows."""

    def __init__(self, instance: dg.DagsterInstance, dataset: str, environment: str) -> None:
        self._instance, self._dataset = instance, dataset
        self._place = Place([dataset], environment)

    def nobody_takes(self) -> str | None:
        """Why no sensor will see a change of the source; None where one looks."""
        beat = self._instance.get_daemon_heartbeats().get(_SENSORS)
        if beat is None or time.time() - beat.timestamp > SILENT_S:
            return "Dagster's daemon does not run here"
        name = sensor_name(self._dataset)
        states = [one for one in self._instance.all_instigator_state() if one.name == name]
        if not any(one.status in _ON for one in states):
            return f"the sensor {name} is off"
        return None

    def runs(self, since: float) -> list[RunSeen]:
        """Runs of the dataset that were asked for, or went on, after a time; oldest first."""
        after = datetime.fromtimestamp(since - _LOOK_BACK_S, UTC)
        filters = runs_in(self._place.environment, tags={DATASET_TAG: self._dataset}, updated_after=after)
        records = self._instance.get_run_records(filters, limit=20, ascending=False)
        return [self._seen(one) for one in reversed(records)]

    def _seen(self, record: dg.RunRecord) -> RunSeen:
        run = record.dagster_run
        stats = self._instance.get_run_step_stats(run.run_id) if record.start_time else []
        steps = [
            StepSeen(_short(one.step_key), one.start_time, one.end_time)
            for one in stats
            if one.start_time is not None and one.end_time is not None
        ]
        return RunSeen(
            run.run_id, _short(run.job_name), record.create_timestamp.timestamp(), record.start_time, record.end_time,
            tuple(sorted(steps, key=lambda one: one.ended)), self._failed(record),
        )  # fmt: skip

    def _failed(self, record: dg.RunRecord) -> tuple[str, ...] | None:
        run = record.dagster_run
        if run.status is dg.DagsterRunStatus.CANCELED:
            return ("somebody cancelled the run",)
        if run.status is not dg.DagsterRunStatus.FAILURE or run.tags.get(WILL_RETRY_TAG) == "true":
            return None
        return tuple(one.what for one in told_of(self._instance, record, self._place))


def _short(name: str) -> str:
    """A job or a step without its dataset and space."""
    return name.rpartition("__")[2]


@contextmanager
def following(config_folder: Path, dataset: str, environment: str) -> Iterator[Following]:
    """Follow a dataset on the project's own instance."""
    ensure_home(config_folder)
    with dg.DagsterInstance.get() as instance:
        yield Following(instance, dataset, environment)
