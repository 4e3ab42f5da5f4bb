"""A sensor for a source that lists: what changed is released. Off until ``automation.enabled`` names it, or somebody turns it on.

Laws
----
1. A tick lists, and asks Dagster for runs. It opens no document, no lake and no model: those are a run's.
2. Nothing is released twice because a tick died, and nothing is left because a run failed: what has changed is owed until a release
   that succeeded has covered it (``owed``).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg
from dagster._grpc.utils import default_sensor_grpc_timeout

from vector_pipeline.assets.names import job_name, run_tags
from vector_pipeline.assets.owed import ATTEMPT_TAG, Owed, Releases, skipped
from vector_pipeline.assets.partitions import range_tags, shard_key
from vector_pipeline.assets.placing import takes_project
from vector_pipeline.build.watch import source_digests, watched
from vector_pipeline.config import DatasetConfig
from vector_pipeline.config.automation import Automatic
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import fingerprint
from vector_pipeline.resources import ProjectResource

LISTING = 0.75
"""Share of the time that Dagster gives a tick, in which the source is listed: else nobody is told why it never ends."""


def interval(config: DatasetConfig) -> int:
    """Seconds between two looks, for Dagster. Its daemon goes round every five seconds: exactly five would often mean ten."""
    return max(1, config.automation.every_s - 1)


def begins(config: DatasetConfig, what: Automatic) -> dg.DefaultSensorStatus:
    """Whether a sensor is on unless somebody turned it off."""
    on = what in config.automation.enabled
    return dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED


def release_sensor(
    dataset: str, config: DatasetConfig, name: str, what: Automatic, says: str
) -> Callable[[Callable[..., Any]], dg.SensorDefinition]:
    """A sensor that asks for releases of a dataset, as often as its configuration says."""
    return dg.sensor(
        name=name,
        job_name=job_name(dataset, "release"),
        minimum_interval_seconds=interval(config),
        default_status=begins(config, what),
        description=says,
    )


def sensor_name(dataset: str) -> str:
    """Name of a dataset's sensor."""
    return f"{dataset}__changes"


def changes_sensor(dataset: str, config: DatasetConfig) -> dg.SensorDefinition | None:
    """One run of the chain for the shards whose files or objects changed; None for a source that lists nothing.

    The cursor keeps a digest a shard, and what is owed. Without one (the first look, or one of an earlier form) everything counts
    as changed: such a run finds in the lake what is built already, and does nothing for it. A run that failed is repeated once,
    over every shard; so is that repetition when it fails, after a wait that doubles each time.
    """
    where = watched(config)
    if where is None:
        return None

    own, says = run_tags(dataset), f"Lists {where} every {config.automation.every_s} s and releases what changed."

    @release_sensor(dataset, config, sensor_name(dataset), "changes", says)
    @takes_project(dataset)
    def body(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SensorResult | dg.SkipReason:
        core = project.get()
        try:
            settings = core.dataset(dataset)
            now = source_digests(settings, core.base, within_s=LISTING * default_sensor_grpc_timeout())
        except VectorPipelineError as error:
            # The run would say the same; a tick that fails is retried without a person having to look.
            return dg.SkipReason(str(error))
        if now is None or (not now and not settings.source.allow_empty):
            return dg.SkipReason("the source lists nothing")
        releases = Releases(context.instance, dataset, sensor_name(dataset), core.environment)
        seen, owed = _Seen.read(context.cursor), Owed()
        if seen is None:
            seen = _Seen(serial=releases.requested())
            changed = list(range(config.shards))
        else:
            owed = seen.owed
            changed = sorted(shard for shard in {*now, *seen.shards} if now.get(shard) != seen.shards.get(shard))
        if changed:
            owed = owed.plus(changed, releases.newest())
        standing = releases.standing(owed)
        if not standing.ask:
            said = f"{len(now)} shards, {len(changed) or 'none'} changed" + (
                standing.why_not and f"; {standing.why_not}"
            )
            return skipped(said, _Seen(now, seen.serial, standing.owed).write(), context.cursor)
        shards = list(range(config.shards)) if standing.whole else sorted(standing.owed.since)
        tags = {
            **range_tags(shards[0], shards[-1]),
            **own,
            "vector_pipeline/changed_shards": " ".join(shard_key(shard) for shard in shards),
            **({ATTEMPT_TAG: str(standing.attempt)} if standing.attempt else {}),
        }
        after = _Seen(now, seen.serial + 1, standing.owed.asked(releases.newest()))
        # Dagster drops a key that it has seen: a source that returns to an earlier state needs a new one.
        request = dg.RunRequest(run_key=f"{after.serial}-{fingerprint(after.state)}", tags=tags)
        return dg.SensorResult(run_requests=[request], cursor=after.write())

    return body


@dataclass(frozen=True, slots=True)
class _Seen:
    """The cursor: what the source was at the last look."""

    shards: dict[int, str] = field(default_factory=dict)
    serial: int = 0
    """Requests so far."""
    owed: Owed = field(default_factory=Owed)

    @property
    def state(self) -> dict[str, str]:
        return {shard_key(shard): digest for shard, digest in sorted(self.shards.items())}

    def write(self) -> str:
        return json.dumps({"serial": self.serial, "owed": self.owed.write(), "shards": self.state})

    @classmethod
    def read(cls, cursor: str | None) -> Self | None:
        held = json.loads(cursor) if cursor else {}
        if "owed" not in held:
            return None
        shards = {int(key): str(digest) for key, digest in held["shards"].items()}
        return cls(shards, int(held["serial"]), Owed.read(held["owed"]))
