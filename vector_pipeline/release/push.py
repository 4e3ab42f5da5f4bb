"""Push = plan + apply, under one lease: nobody else writes between the look and the deed."""

from collections.abc import Callable
from dataclasses import dataclass

from vector_pipeline.errors import RefusedError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.apply import Applied, OnWrite, apply_plan, same_actions, writer
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.planner import make_plan, namespace_of
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Registry, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import Target


@dataclass(frozen=True, slots=True)
class Pushed:
    """Outcome of a push."""

    plan: Plan
    deployment: Deployment
    applied: Applied


def plan_push(lake: Lake, version: Version, target: Target, *, environment: str) -> Plan:
    """What a push of this version would do now. Reads only."""
    _require_kept(version)
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
    _require_kept(version)
    namespace = namespace_of(version.dataset, version.space, version.fingerprint)
    known = registry.find_deployment(environment, target.name, namespace, version.number)
    plan = plan_push(lake, version, target, environment=environment)
    if plan.empty and known is not None and known.status == DeploymentStatus.PUSHED and saved is None:
        if on_plan is not None:
            on_plan(plan)
        return Pushed(plan, known, Applied())
    with writer(registry, target, namespace) as held:
        plan = plan_push(lake, version, target, environment=environment)
        if saved is not None:
            same_actions(saved, plan)
        guard_removal(plan, max_removed_share)
        if on_plan is not None:
            on_plan(plan)
        deployment = registry.begin_deployment(
            dataset=version.dataset, environment=environment, target=target.name, namespace=namespace,
            version=version.number, space=version.space, fingerprint=version.fingerprint, records=version.records,
            run_id=run_id,
        )  # fmt: skip
        push = registry.open_push(deployment.id, plan.to_json(), held.fence, run_id)
        try:
            applied = apply_plan(
                lake, tables_of(version), registry, target, plan, held, push_id=push, on_write=on_write
            )
        except VectorPipelineError:
            registry.close_push(push, "failed")
            raise
        registry.close_push(push, "done")
        deployment = registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, version.digest)
    return Pushed(plan, deployment, applied)


def guard_removal(plan: Plan, max_removed_share: float) -> None:
    """Mass-deletion guard, before anything is written."""
    before = plan.actions["remove"] + plan.actions["unchanged"] + plan.actions["metadata"]
    documents = plan.documents["removed"]
    if before and plan.actions["remove"] / before > max_removed_share and documents:
        raise RefusedError(
            f"the push of version {plan.version} would remove {plan.actions['remove']} of {before} records "
            f"({documents} whole documents), more than gates.max_removed_share allows ({max_removed_share:.0%})",
            fix="Check the source; if the removal is meant, raise gates.max_removed_share for this push",
        )


def _require_kept(version: Version) -> None:
    if version.expired_at is not None:
        raise RefusedError(
            f"version {version.number} of {version.dataset} was expired", fix="See: vector-pipeline versions"
        )
