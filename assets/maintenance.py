"""Maintenance verbs as op jobs: what tends an index, and materialises nothing.

Laws
----
1. A job ``<dataset>__<verb>`` makes one call: the project's method of that name, with the run's flat settings as its keyword
   arguments. A setting that the method does not take is an error before anything happens.
2. What the method returns goes whole into the output's metadata ``result``, as JSON: the command line prints from it.
3. Errors come out as those of every other step.
"""

import inspect
import time
from collections.abc import Callable
from typing import Any, Protocol

import dagster as dg

from assets import metadata as show
from assets.names import DATASET_TAG, MAINTENANCE_VERBS, RESULT, MaintenanceVerb, job_name, maintenance_op
from assets.steps import launched_by, step
from resources import ProjectResource
from vector_pipeline.errors import InputError
from vector_pipeline.project import Project

_SAYS: dict[MaintenanceVerb, str] = {
    "repair": "Restore what the target should hold, with the fewest writes.",
    "expire": "Forget versions and states of the lake that nothing needs any more. `dry_run: false` does it.",
    "collect": "Delete closed records, retired namespaces and files that nothing needs. `dry_run: false` does it.",
    "erase": "Remove a document from the lake, every kept version and the targets, and report what is gone.",
    "adopt": "Take over an index that grew by hand: an accepted plan makes its baseline version.",
}


class Reported(Protocol):
    """What a maintenance verb returns."""

    def to_json(self) -> dict[str, Any]: ...


def maintenance_jobs(dataset: str) -> list[dg.JobDefinition]:
    """The op jobs of a dataset, one a verb."""
    return [_job(dataset, verb) for verb in MAINTENANCE_VERBS]


def _job(dataset: str, verb: MaintenanceVerb) -> dg.JobDefinition:
    @dg.op(
        name=maintenance_op(dataset, verb),
        description=_SAYS[verb],
        out=dg.Out(dg.Nothing),
        config_schema=dict,
    )
    def body(context: dg.OpExecutionContext, project: ProjectResource) -> None:
        with step(context):
            started = time.perf_counter()
            done = call(
                project.get(),
                dataset,
                verb,
                dict(context.op_config),
                by=launched_by(context),
                run_id=context.run.run_id,
            )
            value = done.to_json()
            context.add_output_metadata(
                {
                    **{name: one for name, one in value.items() if isinstance(one, bool | int | float | str)},
                    "seconds": show.seconds(time.perf_counter() - started),
                    RESULT: dg.MetadataValue.json(value),
                }
            )

    @dg.job(
        name=job_name(dataset, verb),
        description=_SAYS[verb],
        tags={DATASET_TAG: dataset},
        executor_def=dg.in_process_executor,
    )
    def made() -> None:
        body()

    return made


def call(
    core: Project, dataset: str, verb: MaintenanceVerb, settings: dict[str, Any], *, by: str, run_id: str
) -> Reported:
    """Law 1. ``InputError`` names a setting that the verb does not have."""
    method: Callable[..., Reported] = getattr(core, verb)
    takes = inspect.signature(method).parameters
    filled = {"dataset": dataset, "run_id": run_id, "by": by}
    given = {**{name: value for name, value in filled.items() if name in takes}, **settings}
    unknown = sorted(set(given) - set(takes))
    if unknown:
        raise InputError(f"{verb} has no setting {unknown[0]!r}")
    return method(**given)
