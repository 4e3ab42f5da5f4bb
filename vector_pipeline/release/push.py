"""Push = plan + apply, under one lease: nobody else writes between the look and the deed.

Laws
----
1. The target learns of the lease's fence before the plan that will be applied is made: a writer that held the lease before, and
   does not know that it lost it, can change nothing after the look.
2. Nothing is written of a version that the lake does not hold any more as it was made.
3. However a push ends, short of the process being killed, the registry says how.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from vector_pipeline.errors import RefusedError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.apply import Applied, OnWrite, apply_plan, same_actions
from vector_pipeline.release.holding import Held
from vector_pipeline.release.journalling import Journalled, writer
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.planner import make_plan, namespace_of
from vector_pipeline.release.registry import Deployment, DeploymentStatus, PushStatus, Registry, Version
from vector_pipeline.release.snapshot import require_kept, require_whole, tables_of
from vector_pipeline.targets.base import NamespaceSpec, Target


@dataclass(frozen=True, slots=True)
class Pushed:
    """Outcome of a push."""

    plan: Plan
    deployment: Deployment
    applied: Applied


def plan_push(lake: Lake, version: Version, target: Target, *, environment: str) -> Plan:
    """What a push of this version would do now. Reads only."""
    require_kept(lake, version)
    namespace = namespace_of(version.dataset, version.space, version.fingerprint)
    return make_plan(lake, tables_of(version), version, target, environment=environment, namespace=namespace)


def push_version(
    lake: Lake,
    registry: Registry,
    version: Version,
    target: Target,
    *,
    environment: str,
    run_id: str | None = None,
    saved: Plan | None = None,
    max_removed_share: float = 1.0,
    on_plan: Callable[[Plan], None] | None = None,
    on_write: OnWrite | None = None,
) -> Pushed:
    """Bring the target to hold the version. ``saved``: apply exactly that plan or refuse.

    Nothing is written, not even in the registry, when the target holds it already. Pushing again after a crash continues.
    """
    namespace = namespace_of(version.dataset, version.space, version.fingerprint)
    known = registry.find_deployment(environment, target.name, namespace, version.number)
    plan = plan_push(lake, version, target, environment=environment)
    if plan.empty and known is not None and known.status == DeploymentStatus.PUSHED and saved is None:
        if on_plan is not None:
            on_plan(plan)
        return Pushed(plan, known, Applied())
    with writer(registry, target, namespace) as held:
        _fence_off(target, version, namespace, held)
        plan = plan_push(lake, version, target, environment=environment)
        if saved is not None:
            same_actions(saved, plan)
        guard_removal(plan, max_removed_share)
        if not plan.empty:
            require_whole(lake, version)
        if on_plan is not None:
            on_plan(plan)
        deployment = registry.begin_deployment(
            dataset=version.dataset, environment=environment, target=target.name, namespace=namespace,
            version=version.number, space=version.space, fingerprint=version.fingerprint, records=version.records,
            run_id=run_id,
        )  # fmt: skip
        push = registry.open_push(deployment.id, plan.to_json(), held.fence, run_id)
        try:
            journal = Journalled(registry, push, held)
            applied = apply_plan(lake, version, target, plan, journal, on_write=on_write)
            held.check()
        except BaseException:
            _failed(registry, held, push, deployment)
            raise
        registry.close_push(push, PushStatus.DONE)
        deployment = registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, version.digest)
    return Pushed(plan, deployment, applied)


def _fence_off(target: Target, version: Version, namespace: str, held: Held) -> None:
    """Law 1. A namespace that does not exist yet is made by the plan's first stage, which carries the fence."""
    if target.describe(namespace) is not None:
        spec = NamespaceSpec(namespace, version.dimension, version.metric, version.fingerprint)
        target.ensure_namespace(spec, fence=held.fence)


def _failed(registry: Registry, held: Held, push: int, deployment: Deployment) -> None:
    """Law 3. A registry that does not answer now must not hide what went wrong."""
    with suppress(VectorPipelineError):
        registry.close_push(push, PushStatus.FAILED)
    with suppress(VectorPipelineError):
        # Whoever took the lease over says what becomes of the deployment.
        held.check()
        registry.finish_deployment(deployment.id, DeploymentStatus.FAILED)


def guard_removal(plan: Plan, max_removed_share: float) -> None:
    """Mass-deletion guard, before anything is written."""
    before = plan.actions["remove"] + plan.actions["unchanged"] + plan.actions["metadata"]
    documents = plan.documents["removed"]
    # Asked this way round, a limit that is not a number allows nothing.
    allowed = not before or plan.actions["remove"] / before <= max_removed_share
    if documents and not allowed:
        raise RefusedError(
            f"the push of version {plan.version} would remove {plan.actions['remove']} of {before} records "
            f"({documents} whole documents), more than gates.max_removed_share allows ({max_removed_share:.0%})",
            fix="Check the source; if the removal is meant, push with --max-removed-share 1",
        )
