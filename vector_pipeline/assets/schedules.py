"""What happens by the clock: one schedule a verb, each launching the job that a person launches. Off until ``automation.enabled``
names them, or somebody turns them on.
"""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from vector_pipeline.assets.jobs import full_range, run_config
from vector_pipeline.assets.names import Verb, job_name, run_tags
from vector_pipeline.config import DatasetConfig
from vector_pipeline.config.automation import Automatic


@dataclass(frozen=True, slots=True)
class _Clockwork:
    what: Automatic
    name: str
    """After the dataset's."""
    verb: Verb
    says: str
    settings: tuple[tuple[str, Any], ...] = ()


_CLOCKWORKS = (
    _Clockwork("refresh", "refresh", "release", "Releases what changed, looking at every shard"),
    _Clockwork("audit", "audits", "audit", "Compares what production serves with what it should hold"),
    _Clockwork("attest", "attests", "attest", "Embeds golden texts and some of what production serves again"),
    # A launch that says nothing deletes nothing: what is scheduled is meant.
    _Clockwork("expire", "expires", "expire", "Forgets versions that `retention` does not keep", (("dry_run", False),)),
    _Clockwork("collect", "collects", "collect", "Deletes what nothing needs any more", (("dry_run", False),)),
)


def schedules(dataset: str, config: DatasetConfig) -> list[dg.ScheduleDefinition]:
    """The schedules of a dataset, whether they are on or off."""
    return [_schedule(dataset, config, one) for one in _CLOCKWORKS]


def _schedule(dataset: str, config: DatasetConfig, one: _Clockwork) -> dg.ScheduleDefinition:
    times = config.automation.schedules
    when: str = getattr(times, one.what)
    on = one.what in config.automation.enabled
    shards = full_range(config) if one.verb == "release" else {}
    tags = {**shards, **run_tags(dataset)}

    @dg.schedule(
        name=f"{dataset}__{one.name}",
        job_name=job_name(dataset, one.verb),
        cron_schedule=when,
        execution_timezone=times.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED,
        description=f"{one.says}, at `{when}` ({times.timezone}).",
    )
    def body() -> dg.RunRequest:
        settings = run_config(dataset, config, one.verb, dict(one.settings)) if one.settings else {}
        return dg.RunRequest(run_config=settings, tags=tags)

    return body
