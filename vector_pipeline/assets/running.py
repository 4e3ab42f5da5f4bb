"""Execute a job in this process, on the same instance that the UI shows.

Laws
----
1. A run is recorded like any other; what it raised of ours comes back as itself, so that a command prints the same line as the UI.
2. A run of a process that died is closed by the next one: nothing of ours stands in the UI as running for ever.
3. Dagster's own console log is off, unless ``VECTOR_PIPELINE_DEBUG`` is set: the run's log has everything.
"""

import logging
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

from vector_pipeline.assets.interrupts import interrupts
from vector_pipeline.assets.jobs import SHARDED_VERBS, run_config, sharded_keys
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import (
    DATASET_TAG,
    ENVIRONMENT_TAG,
    FILL_TAG,
    LOCATION,
    PROCESS_TAG,
    RESULT,
    Verb,
    job_name,
)
from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.assets.steps import take_errors
from vector_pipeline.config import DatasetConfig
from vector_pipeline.errors import InputError, VectorPipelineError
from vector_pipeline.processes import is_gone
from vector_pipeline.project import Project
from vector_pipeline.resources.home import ensure_home
from vector_pipeline.resources.project import open_project

DEBUG = "VECTOR_PIPELINE_DEBUG"
_PLAN_LOG = "dagster._core.execution.plan.active"
"""Says of each check below a step that had nothing to do that it said nothing: of every release while a space is filled in part."""
_PLACE = {"dagster/code_location": LOCATION, ".dagster/repository": f"{SINGLETON_REPOSITORY_NAME}@{LOCATION}"}
"""Tags by which the UI finds a run under its job; a run that Dagster launches gets the same."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run in this process did."""

    success: bool
    run_id: str
    errors: list[VectorPipelineError] = field(default_factory=list)
    """Errors of ours that stopped steps, in order."""
    messages: list[str] = field(default_factory=list)
    """One line for each step that failed: errors of ours, blocked checks, and anything else."""
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Metadata as plain values. Assets by their key (``handbook/minilm/snapshot``; of a sharded asset its run's totals), checks by
    ``<asset>:<check>`` with ``passed``. Of a maintenance verb, ``audit`` and ``attest``: what it returned, by the verb."""
    interrupted_in: str | None = None
    """Step that Ctrl-C stopped (``staging_index``; empty before the first); None: nobody interrupted, or the run was done."""


def run_job(
    project_config: Path,
    dataset: str,
    verb: Verb,
    *,
    environment: str | None = None,
    config: Mapping[str, Any] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> RunOutcome:
    """Run ``<dataset>__<verb>`` here and now.

    ``config`` is flat. build: ``message``; push: ``version``, ``allow_removed_share``, ``over_budget``, ``plan_json``,
    ``strategy``, ``on_drift``, ``by``; verify: ``version``; promote: ``verb``, ``version``, ``to``, ``only_from``, ``by``,
    ``reason``; release: what build and push take, but no version; reembed: ``space``, ``texts_per_s``, ``over_budget``,
    ``message``; audit: ``level``, ``by``; attest: ``space``, ``quarantine``,
    ``whole``, ``everything``, ``sample``, ``seed``; a maintenance verb: keyword arguments of the project's
    method of that name.
    Raises ``NotFoundError`` for an unknown dataset, ``ConfigError`` for a bad file, ``InputError`` for an unknown setting;
    whatever happens inside the run is in the outcome.
    """
    project = open_project(project_config, environment)
    settings, given = project.dataset(dataset), dict(config or {})
    space, shards = (given.get("space"), given.pop("shards", None)) if verb == "reembed" else (None, None)
    try:
        values = run_config(dataset, settings, verb, given)
    except KeyError as error:
        raise InputError(f"{verb} has no setting {error}") from None
    with ExitStack() as stack:
        if instance is None:
            ensure_home(project.base)
            instance = stack.enter_context(_instance())
        close_dead_runs(instance)
        definitions = project_definitions(project_config, environment=environment, only=dataset)
        job, tags = _covering(
            definitions.resolve_job_def(job_name(dataset, verb, space)),
            instance,
            dataset,
            settings,
            verb,
            project,
            space,
            shards,
        )
        if not os.environ.get(DEBUG):
            logging.getLogger(_PLAN_LOG).setLevel(logging.ERROR)
            values["loggers"] = {"console": {"config": {"log_level": "CRITICAL"}}}
        run_id = str(uuid.uuid4())
        interrupted = stack.enter_context(interrupts())
        result = job.execute_in_process(
            run_config=values,
            instance=instance,
            raise_on_error=False,
            run_id=run_id,
            tags={
                **tags,
                **_PLACE,
                FILL_TAG if space else DATASET_TAG: dataset,
                ENVIRONMENT_TAG: project.environment,
                PROCESS_TAG: _this_process(),
            },
        )
        events = result.all_events
        return RunOutcome(
            result.success, run_id, take_errors(run_id), _messages(events), _values(events, verb),
            _last_step(events) if interrupted.any and not result.success else None,
        )  # fmt: skip


def _instance() -> dg.DagsterInstance:
    """The instance of ``$DAGSTER_HOME``, without the capture of standard output: that would take the terminal away from the bars
    of a step that runs in this process, and its helper processes answer Ctrl-C with tracebacks of their own.
    Its files are kept open meanwhile.
    """
    from vector_pipeline.resources.storage import kept_open

    overrides = {"compute_logs": {"module": NoOpComputeLogManager.__module__, "class": NoOpComputeLogManager.__name__}}
    return dg.DagsterInstance.from_ref(kept_open(InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=overrides)))


def _covering(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    dataset: str,
    settings: DatasetConfig,
    verb: Verb,
    project: Project,
    space: str | None,
    shards: Sequence[int] | None,
) -> tuple[dg.JobDefinition, dict[str, str]]:
    """The job and the tags that make a run cover the shards with something to do: an event costs more than a shard that is skipped.

    A shard that this instance has never materialised counts too. Without any, only what has no shards is run, and the checks.
    """
    if verb not in SHARDED_VERBS:
        return job, {}
    sharded = sharded_keys(dataset, settings, space)
    try:
        wanted = (
            project.pending(dataset) | project.inbox_shards(dataset)
            if space is None
            else project.to_fill(dataset, space)
        )
    except VectorPipelineError:
        wanted = set(range(settings.shards))  # The run meets the same error, and keeps it where people look.
    for key in sharded:
        if len(wanted) == settings.shards:
            break
        done = {int(name) for name in instance.get_materialized_partitions(key)}
        wanted |= _told_here(project, dataset, key, space, settings) - done
    if shards is not None:
        wanted &= set(shards)
    if wanted:
        return job, range_tags(min(wanted), max(wanted))
    # The checks of the shards still run, and stop what is below them: one that failed before has not passed since.
    covered = job.asset_layer.selected_asset_keys
    checks = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key in covered}
    return job.get_subset(asset_selection=set(covered) - set(sharded), asset_check_selection=checks), {}


def _told_here(
    project: Project, dataset: str, key: dg.AssetKey, space: str | None, settings: DatasetConfig
) -> set[int]:
    """Shards of an asset that this instance ought to show: of a space that does not serve, those that are filled."""
    every = set(range(settings.shards))
    branch = key.path[1] if len(key.path) == 3 else None
    if branch is None or branch == space:
        return every
    return set(project.shards_to_build(dataset, branch, sorted(every)) or [])


def _this_process() -> str:
    return f"{socket.gethostname()}/{os.getpid()}"


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed the runs that a process of this machine executed and did not live to finish; returns their ids."""
    closed = []
    going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(going):
        host, _, pid = run.tags.get(PROCESS_TAG, "").rpartition("/")
        if host != socket.gethostname() or not is_gone(pid):
            continue
        instance.report_run_failed(run, f"The process that executed this run ({pid}) is gone. Run the command again.")
        closed.append(run.run_id)
    return closed


def _messages(events: Sequence[dg.DagsterEvent]) -> list[str]:
    found = []
    for event in events:
        if event.event_type is not DagsterEventType.STEP_FAILURE:
            continue
        failure = event.step_failure_data
        said = failure.user_failure_data.description if failure.user_failure_data else None
        if said is None and failure.error is not None:
            cause = failure.error.cause or failure.error
            said = cause.message
        found.append(" ".join((said or event.message or "").split()))
    return found


def _last_step(events: Sequence[dg.DagsterEvent]) -> str:
    """The step that began last, without its dataset."""
    begun = [event.step_key for event in events if event.event_type is DagsterEventType.STEP_START and event.step_key]
    return begun[-1].partition("__")[2] if begun else ""


def _values(events: Sequence[dg.DagsterEvent], verb: Verb) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            found[made.asset_key.to_user_string()] = _plain(made.metadata)
            continue
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            name = f"{check.asset_key.to_user_string()}:{check.check_name}"
            found[name] = {**_plain(check.metadata), "passed": check.passed}
            returned = check.metadata.get(RESULT)
        elif event.event_type is DagsterEventType.STEP_OUTPUT:
            returned = (event.step_output_data.metadata or {}).get(RESULT)
        else:
            continue
        if isinstance(returned, dg.JsonMetadataValue):
            found[verb] = dict(returned.value or {})
    return found


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.value
        for name, value in metadata.items()
        if not name.startswith("shard_") and hasattr(value, "value")
    }
