"""The one way to drop a namespace: ``drop_line``. Every caller goes through it, and it goes through the registry.

Laws
----
1. A namespace that an alias serves, in whatever environment, is never dropped, nor one that an alias left within the readers'
   grace, one that holds a deployment the caller did not name, or one that the registry does not know.
2. Its deployments are retired before it is dropped, all or none: no alias can be moved to them afterwards.
3. It is dropped under its lease, journalled like every other write. An import into it that is under way is cancelled first, also
   where it has not made the namespace yet, and the files of its imports are deleted.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from vector_pipeline.errors import RefusedError, VectorPipelineError
from vector_pipeline.release.clearing import cancel, clear_up, importer_into, under_way
from vector_pipeline.release.holding import Held
from vector_pipeline.release.journalling import Journalled
from vector_pipeline.release.native import let_go
from vector_pipeline.release.reading_back import dropping
from vector_pipeline.release.registry import Deployment, DeploymentStatus, PushStatus, Registry
from vector_pipeline.targets.base import Target


def drop_line(
    registry: Registry,
    target: Target,
    namespace: str,
    deployments: Collection[int],
    *,
    held: Held,
    grace_s: float,
    run_id: str | None = None,
    by: str = "",
) -> None:
    """Retire ``deployments`` and drop the namespace that they are in. ``held``: its lease. What is gone already is no error.

    ``RefusedError`` (law 1): nothing was retired, and nothing dropped.
    """
    there = line_deployments(registry, target.name, namespace)
    _may_be_dropped(registry, target, namespace, there, deployments)
    registry.retire_deployments([one.id for one in there], grace_s=grace_s)
    let_go(target, registry, namespace)
    importer = importer_into(registry, target, there[-1])
    importing = under_way(importer) if importer is not None else None
    if importing is not None or target.describe(namespace) is not None:
        note = {"goal": "collect", "namespace": namespace, "drop": True, "by": by}
        with journalled(registry, held, there[-1], note, run_id) as journal:
            if importer is not None and importing is not None:
                cancel(importer, importing, journal)
            journal.write("drop-namespace", {"namespace": namespace}, dropping(target, namespace, held.fence))
    if importer is not None:
        clear_up(importer)
    for environment in sorted({one.environment for one in there}):
        registry.forget_namespace(environment, target.name, namespace)


def line_deployments(registry: Registry, target: str, namespace: str) -> list[Deployment]:
    """Every deployment of a namespace, of whatever environment and status, oldest first."""
    return sorted(
        (
            one
            for dataset in registry.datasets()
            for one in registry.deployments(dataset)
            if (one.target, one.namespace) == (target, namespace)
        ),
        key=lambda one: one.id,
    )


def _may_be_dropped(
    registry: Registry, target: Target, namespace: str, there: list[Deployment], named: Collection[int]
) -> None:
    where = f"namespace {namespace} of {target.name}"
    if not there:
        raise RefusedError(
            f"{where} is not in the registry: nobody knows who reads it", fix="drop it with the target's own tools"
        )
    ids = {one.id for one in there}
    for dataset in sorted({one.dataset for one in there}):
        for alias in registry.aliases(dataset):
            if alias.deployment.id in ids:
                raise RefusedError(
                    f"{where} is what alias {alias.name} of {dataset} in {alias.environment} points into "
                    f"(v{alias.deployment.version}): it is not dropped",
                    fix="Move the alias first",
                )
    for one in there:
        if one.id not in named and one.status != DeploymentStatus.RETIRED:
            raise RefusedError(
                f"{where} holds v{one.version} of {one.dataset} for {one.environment}, which is {one.status} and not "
                "retired: it is not dropped",
                fix=f"Collect there first: vector-pipeline --env {one.environment} collect {one.dataset}",
            )


@contextmanager
def journalled(
    registry: Registry,
    held: Held,
    deployment: Deployment,
    note: Mapping[str, Any],
    run_id: str | None,
    *,
    parallel: int = 1,
) -> Iterator[Journalled]:
    """A push of its own for writes that no plan makes: closed however the block ends, short of the process being killed."""
    push = registry.open_push(deployment.id, note, held.fence, run_id)
    try:
        yield Journalled(registry, push, held, parallel=parallel)
        held.check()
    except BaseException:
        # A registry that does not answer now must not hide what went wrong.
        with suppress(VectorPipelineError):
            registry.close_push(push, PushStatus.FAILED)
        raise
    registry.close_push(push, PushStatus.DONE)
