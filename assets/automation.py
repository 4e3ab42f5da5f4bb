"""What starts runs by itself: a sensor for changed files, and a daily schedule. Both are off until somebody turns them on."""

import json

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from assets.jobs import full_range
from assets.names import DATASET_TAG, job_name
from assets.partitions import range_tags, shard_key
from resources import ProjectResource
from vector_pipeline.build.watch import source_digests
from vector_pipeline.config import DatasetConfig, FileSourceConfig
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import fingerprint

SECONDS = 30
"""Between two looks at a source."""


def sensor_name(dataset: str) -> str:
    """Name of a dataset's sensor."""
    return f"{dataset}__changes"


def changes_sensor(dataset: str, config: DatasetConfig) -> dg.SensorDefinition | None:
    """One run of the chain for the shards whose files changed; None for a source that is not files.

    The cursor keeps a digest a shard. Without one (the first look) everything counts as changed: such a run finds in the lake
    what is built already, and does nothing for it.
    """
    if not isinstance(config.source, FileSourceConfig):
        return None

    @dg.sensor(
        name=sensor_name(dataset),
        job_name=job_name(dataset, "release"),
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Lists {config.source.root} and releases what changed.",
    )
    def body(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SensorResult | dg.SkipReason:
        core = project.get()
        try:
            now = source_digests(core.dataset(dataset), core.base)
        except VectorPipelineError as error:
            # The run would say the same; a tick that fails is retried without a person having to look.
            return dg.SkipReason(str(error))
        if not now:
            return dg.SkipReason("the source lists nothing")
        before = _read(context.cursor)
        changed = sorted(shard for shard in {*now, *before} if now.get(shard) != before.get(shard))
        if not changed:
            return dg.SkipReason(f"{len(now)} shards, none changed")
        if _failed_last(context.instance, dataset):
            # Shards of a run that broke off may be half done, and only a whole range makes a version.
            changed = list(range(config.shards))
        state = {shard_key(shard): digest for shard, digest in sorted(now.items())}
        request = dg.RunRequest(
            run_key=fingerprint(state),
            tags={
                **range_tags(changed[0], changed[-1]),
                DATASET_TAG: dataset,
                "vector_pipeline/changed_shards": " ".join(shard_key(shard) for shard in changed),
            },
        )
        return dg.SensorResult(run_requests=[request], cursor=json.dumps(state))

    return body


def _failed_last(instance: dg.DagsterInstance, dataset: str) -> bool:
    """Whether the last finished release did not succeed."""
    done = dg.RunsFilter(job_name=job_name(dataset, "release"), statuses=list(FINISHED_STATUSES))
    last = instance.get_runs(done, limit=1)
    return bool(last) and last[0].status is not dg.DagsterRunStatus.SUCCESS


def _read(cursor: str | None) -> dict[int, str]:
    return {int(key): str(digest) for key, digest in json.loads(cursor).items()} if cursor else {}


def daily_schedule(dataset: str, config: DatasetConfig) -> dg.ScheduleDefinition:
    """The whole chain, once a night."""

    @dg.schedule(
        name=f"{dataset}__daily",
        job_name=job_name(dataset, "release"),
        cron_schedule="0 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Releases what changed, every night at 3:00 UTC.",
    )
    def body() -> dg.RunRequest:
        return dg.RunRequest(tags={**full_range(config), DATASET_TAG: dataset})

    return body
