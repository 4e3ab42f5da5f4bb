"""Whose word moves ``production``, and for which version it counts.

Laws
----
1. Approval is a person's launch: what the chain, a sensor or a schedule asks for is none.
2. It counts for what its giver could see. A launch that names no version means what staging held then; a run that is executed again
   names one, or is refused: what was right once is not what somebody wants now.
"""

from datetime import timedelta

import dagster as dg
from dagster._core.storage.tags import (
    AUTO_MATERIALIZE_TAG,
    PARENT_RUN_ID_TAG,
    ROOT_RUN_ID_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)

from vector_pipeline.assets.names import PROCESS_TAG, job_name
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.promote import STAGING

_BY_MACHINES = frozenset({SENSOR_NAME_TAG, SCHEDULE_NAME_TAG, AUTO_MATERIALIZE_TAG})
"""Tags of runs that no person launched."""
_RESOLUTION = timedelta(seconds=1)
"""Of the time at which SQLite keeps that a run was asked for."""


def nobody_asked(run: dg.DagsterRun, dataset: str) -> bool:
    """Whether production moves because the chain ran, not because a person wants it (law 1)."""
    return run.job_name == job_name(dataset, "release") or not _BY_MACHINES.isdisjoint(run.tags)


def first_run(run: dg.DagsterRun) -> str | None:
    """The run that a run repeats; None for one that repeats none."""
    return run.tags.get(ROOT_RUN_ID_TAG) or run.tags.get(PARENT_RUN_ID_TAG)


def require_seen(context: dg.AssetExecutionContext, core: Project, dataset: str, *, verb: str, named: bool) -> None:
    """Law 2: ``RefusedError`` where a person's launch names no version (``named``), and means another than it was given for."""
    run = context.run
    if named or nobody_asked(run, dataset):
        return
    first = first_run(run)
    if first is not None:
        raise RefusedError(
            f"this run repeats {first}, and names no version of {dataset}: production may have moved since",
            fix="Ask anew, or name it in the run's configuration: " + ("`to`" if verb == "rollback" else "`version`"),
        )
    # A command asks and moves at once; a run of Dagster's may wait for others.
    if verb == "promote" and PROCESS_TAG not in run.tags:
        _require_unmoved(context, core, dataset)


def _require_unmoved(context: dg.AssetExecutionContext, core: Project, dataset: str) -> None:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    moves = core.registry(read_only=True).alias_moves(dataset, core.environment, STAGING)
    # What the run itself brought there is what was asked for.
    if record is None or not moves or moves[0].run_id == context.run.run_id:
        return
    asked = record.create_timestamp
    since = [one for one in moves if one.at > asked + _RESOLUTION]
    if not since or since[-1].from_version == moves[0].to_version:
        return
    now = moves[0]
    raise RefusedError(
        f"staging of {dataset} holds version {now.to_version} since {now.at:%Y-%m-%d %H:%M:%S} UTC, "
        f"and production was asked for at {asked:%H:%M:%S}, before that",
        fix=f"Look at it, then ask again, or name it in the run's configuration: `version: {now.to_version}`",
    )
