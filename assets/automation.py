"""A sensor for a source that lists: what changed is released. Off until ``automation.enabled`` names it, or somebody turns it on.

Laws
----
1. A tick lists, and asks Dagster for runs. It opens no document, no lake and no model: those are a run's.
2. Nothing is released twice because a tick died, and nothing is left because a run failed: what failed is repeated, after a wait
   that doubles.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Self

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.tags import SENSOR_NAME_TAG

from assets.failures import refused
from assets.names import DATASET_TAG, job_name
from assets.partitions import range_tags, shard_key
from resources import ProjectResource
from vector_pipeline.build.watch import source_digests, watched
from vector_pipeline.config import DatasetConfig
from vector_pipeline.config.automation import Automatic
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import fingerprint

REPEAT_S = 30
"""Before a repetition that failed is repeated; it doubles each time."""
LONGEST_WAIT_S = 6 * 3600
"""Before a run that keeps failing is repeated once more."""
ATTEMPT_TAG = "vector_pipeline/attempt"


def interval(config: DatasetConfig) -> int:
    """Seconds between two looks, for Dagster. Its daemon goes round every five seconds: exactly five would often mean ten."""
    return max(1, config.automation.every_s - 1)


def begins(config: DatasetConfig, what: Automatic) -> dg.DefaultSensorStatus:
    """Whether a sensor is on unless somebody turned it off."""
    on = what in config.automation.enabled
    return dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED


def sensor_name(dataset: str) -> str:
    """Name of a dataset's sensor."""
    return f"{dataset}__changes"


def changes_sensor(dataset: str, config: DatasetConfig) -> dg.SensorDefinition | None:
    """One run of the chain for the shards whose files or objects changed; None for a source that lists nothing.

    The cursor keeps a digest a shard. Without one (the first look) everything counts as changed: such a run finds in the lake
    what is built already, and does nothing for it. A run of this sensor that failed is repeated once, over every shard; so is
    that repetition when it fails, after a wait that doubles each time.
    """
    where = watched(config)
    if where is None:
        return None

    @dg.sensor(
        name=sensor_name(dataset),
        job_name=job_name(dataset, "release"),
        minimum_interval_seconds=interval(config),
        default_status=begins(config, "changes"),
        description=f"Lists {where} every {config.automation.every_s} s and releases what changed.",
    )
    def body(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SensorResult | dg.SkipReason:
        core = project.get()
        try:
            settings = core.dataset(dataset)
            now = source_digests(settings, core.base)
        except VectorPipelineError as error:
            # The run would say the same; a tick that fails is retried without a person having to look.
            return dg.SkipReason(str(error))
        if now is None or (not now and not settings.source.allow_empty):
            return dg.SkipReason("the source lists nothing")
        seen = _Seen.read(context.cursor) if context.cursor else _Seen(serial=_requested(context.instance, dataset))
        before = seen.shards
        changed = sorted(shard for shard in {*now, *before} if now.get(shard) != before.get(shard))
        failed = _failed_request(context.instance, dataset)
        if not changed and context.cursor and (failed is None or failed.id == seen.retried or not failed.due):
            return dg.SkipReason(f"{len(now)} shards, none changed")
        if not changed or not context.cursor or _failed_last(context.instance, dataset):
            # Shards of a run that broke off may be half done, and only a whole range makes a version.
            changed = list(range(config.shards))
        tags = {
            **range_tags(changed[0], changed[-1]),
            DATASET_TAG: dataset,
            "vector_pipeline/changed_shards": " ".join(shard_key(shard) for shard in changed),
        }
        if failed is not None and failed.id != seen.retried and now == before:
            tags[ATTEMPT_TAG] = str(failed.attempt + 1)
        # A run over every shard does what the failed one left undone, whatever it was asked for.
        after = _Seen(now, seen.serial + 1, failed.id if failed else seen.retried)
        # Dagster drops a key that it has seen: a source that returns to an earlier state needs a new one.
        request = dg.RunRequest(run_key=f"{after.serial}-{fingerprint(after.state)}", tags=tags)
        return dg.SensorResult(run_requests=[request], cursor=after.write())

    return body


def _failed_last(instance: dg.DagsterInstance, dataset: str) -> bool:
    """Whether the last finished release did not succeed."""
    done = dg.RunsFilter(job_name=job_name(dataset, "release"), statuses=list(FINISHED_STATUSES))
    last = instance.get_runs(done, limit=1)
    return bool(last) and last[0].status is not dg.DagsterRunStatus.SUCCESS


def _requested(instance: dg.DagsterInstance, dataset: str) -> int:
    """How many runs the sensor has asked for: where its serial goes on after somebody reset the cursor."""
    return instance.get_runs_count(dg.RunsFilter(tags={SENSOR_NAME_TAG: sensor_name(dataset)}))


@dataclass(frozen=True, slots=True)
class _Failed:
    id: str
    attempt: int
    """0: asked for by a change; n: the n-th repetition of that."""
    due: bool
    """Whether its repetition has waited long enough."""


def _failed_request(instance: dg.DagsterInstance, dataset: str) -> _Failed | None:
    """The sensor's last finished run, if it failed and no release has succeeded since. One that was cancelled did not fail, and one
    that gates refused is not repeated.
    """
    done = dg.RunsFilter(
        job_name=job_name(dataset, "release"),
        statuses=list(FINISHED_STATUSES),
        tags={SENSOR_NAME_TAG: sensor_name(dataset)},
    )
    last = next(iter(instance.get_run_records(done, limit=1)), None)
    if (
        last is None
        or last.dagster_run.status is not dg.DagsterRunStatus.FAILURE
        or not _failed_last(instance, dataset)
        # Gates that refuse what is there refuse it again; what changes it is a change.
        or refused(instance, last.dagster_run.run_id)
    ):
        return None
    attempt = int(last.dagster_run.tags.get(ATTEMPT_TAG, 0))
    wait = min(REPEAT_S * (2 ** min(attempt, 20) - 1), LONGEST_WAIT_S)
    return _Failed(last.dagster_run.run_id, attempt, time.time() >= (last.end_time or 0) + wait)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The cursor: what the source was at the last request."""

    shards: dict[int, str] = field(default_factory=dict)
    serial: int = 0
    """Requests so far."""
    retried: str | None = None
    """The failed run that has been repeated."""

    @property
    def state(self) -> dict[str, str]:
        return {shard_key(shard): digest for shard, digest in sorted(self.shards.items())}

    def write(self) -> str:
        return json.dumps({"serial": self.serial, "retried": self.retried, "shards": self.state})

    @classmethod
    def read(cls, cursor: str) -> Self:
        held = json.loads(cursor)
        if "shards" not in held:  # Written before there were serial numbers.
            held = {"shards": held}
        shards = {int(key): str(digest) for key, digest in held["shards"].items()}
        return cls(shards, int(held.get("serial", 0)), held.get("retried"))
