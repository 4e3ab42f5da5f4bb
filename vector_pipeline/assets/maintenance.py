"""Maintenance verbs as op jobs: what tends an index, and materialises nothing.

Laws
----
1. A job ``<dataset>__<verb>`` makes one call: the project's method of that name, with the run's flat settings as its keyword
   arguments. A setting that the method does not take is an error before anything happens.
2. What the method returns goes whole into the output's metadata ``result``, as JSON: the command line prints from it.
3. Errors come out as those of every other step.
4. No pools. A command's own process waits for a pool's slot as a queued run does (measured on 1.13.27: for ever, and deaf to
   Ctrl-C), and after kill -9 the slot stays taken until a daemon frees it, where one runs. One run a dataset at a time is the run
   queue's rule (``vector_pipeline/resources/dagster.yaml``); one writer a line of the target is the registry's lease, which ends
   by itself.
"""

import inspect
import time
from collections.abc import Callable
from typing import Any, Protocol

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.names import (
    MAINTENANCE_VERBS,
    RESULT,
    MaintenanceVerb,
    job_name,
    maintenance_op,
    run_tags,
)
from vector_pipeline.assets.placing import takes_project
from vector_pipeline.assets.shown import forget_retired
from vector_pipeline.assets.steps import launched_by, step
from vector_pipeline.errors import InputError
from vector_pipeline.project import Project
from vector_pipeline.resources import ProjectResource

_SAYS: dict[MaintenanceVerb, str] = {
    "repair": "Restore what the target should hold, with the fewest writes.",
    "expire": "Forget versions and states of the lake that nothing needs any more. Only `dry_run: false` does it.",
    "collect": "Delete closed records, retired namespaces and files that nothing needs. Only `dry_run: false` does it.",
    "retire": "Drop the namespaces and lake tables of a space that nothing needs any more. Only `dry_run: false` does it.",
    "erase": "Remove a document from the lake, every kept version and the targets, and report what is gone.",
    "adopt": "Take over an index that grew by hand: its vectors that fit, and the rest embedded, make a baseline version.",
}


class Reported(Protocol):
    """What a maintenance verb returns."""

    def to_json(self) -> dict[str, Any]: ...


_METHODS: dict[MaintenanceVerb, Callable[..., Reported]] = {
    "repair": Project.repair,
    "expire": Project.expire,
    "collect": Project.collect,
    "retire": Project.retire,
    "erase": Project.erase,
    "adopt": Project.adopt,
}


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
    @takes_project(dataset)
    def body(context: dg.OpExecutionContext, project: ProjectResource) -> None:
        with step(context):
            started = time.perf_counter()
            given = {"dataset": dataset, "by": launched_by(context), "run_id": context.run.run_id}
            done = call(project.get(), verb, {**given, "on_step": context.log.info}, dict(context.op_config))
            took, returned = time.perf_counter() - started, show.plain(done.to_json())
            if verb == "retire" and forget_retired(context.instance, dataset, done.to_json()):
                context.log.info("what was materialised of the space is forgotten")
            facts = dict(returned.value or {}).items()
            context.add_output_metadata(
                {
                    **{name: one for name, one in facts if isinstance(one, bool | int | float | str)},
                    "seconds": show.seconds(took),
                    RESULT: returned,
                }
            )

    @dg.job(
        name=job_name(dataset, verb),
        description=f"{_SAYS[verb]}\n\nSettings: {', '.join(settings_of(verb))}.",
        tags=run_tags(dataset),
        executor_def=dg.in_process_executor,
    )
    def made() -> None:
        body()

    return made


def call(core: Project, verb: MaintenanceVerb, filled: dict[str, Any], settings: dict[str, Any]) -> Reported:
    """Law 1; of ``filled``, what the method takes. ``InputError`` names a setting that the verb does not have, or needs."""
    method = _METHODS[verb]
    takes = inspect.signature(method).parameters
    given = {**{name: value for name, value in filled.items() if name in takes}, **settings}
    needs = {name for name, one in takes.items() if one.default is inspect.Parameter.empty} - {"self", *given}
    if "dry_run" in needs:  # Nothing is deleted by a launch that does not say so.
        given["dry_run"] = True
        needs.remove("dry_run")
    unknown = sorted(set(settings) - set(settings_of(verb)))
    if unknown or needs:
        said = f"has no setting {unknown[0]!r}" if unknown else f"needs the setting {min(needs)!r}"
        raise InputError(f"{verb} {said}", fix=f"Its settings: {', '.join(settings_of(verb))}")
    return method(core, **given)


def settings_of(verb: MaintenanceVerb) -> list[str]:
    """What a run may say about a verb. The dataset is the job's; a callback is no setting."""
    return [name for name in inspect.signature(_METHODS[verb]).parameters if name not in ("self", "dataset", "on_step")]
