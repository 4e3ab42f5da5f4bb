"""Push = plan + apply, under one lease: nobody else writes between the look and the deed.

Laws
----
1. The target learns of the lease's fence before the plan that will be applied is made: a writer that held the lease before, and
   does not know that it lost it, can change nothing after the look. What it wrote is seen before the look (``settling``).
2. Nothing is written of a version that the lake does not hold any more as it was made.
3. However a push ends, short of the process being killed, the registry says how; what was killed is called abandoned by the next.
4. What a finished push left (mark and count) is recorded: another mark later is another hand. Where another hand was there before
   the push, nothing is: it stays visible until a repair has compared everything.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from vector_pipeline.errors import ConflictError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.apply import Applied, OnWrite, apply_plan, read_ahead
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.hands import explained, record
from vector_pipeline.release.holding import Held
from vector_pipeline.release.importing import OnFiles, make_way
from vector_pipeline.release.journalling import Journalled, abandon_open, fence_off, writer
from vector_pipeline.release.leaving import count_after, keep_marks
from vector_pipeline.release.loading import load_of, standing
from vector_pipeline.release.plan import Plan, StageKind
from vector_pipeline.release.planner import Look
from vector_pipeline.release.planning import planned, require_place, require_same
from vector_pipeline.release.records import Batches
from vector_pipeline.release.registry import Deployment, DeploymentStatus, PushStatus, Registry, Version
from vector_pipeline.release.remembering import forget
from vector_pipeline.release.resuming import is_rest_of
from vector_pipeline.release.settling import has_counted, settle
from vector_pipeline.release.snapshot import require_whole
from vector_pipeline.release.wishes import Wish
from vector_pipeline.targets.base import NamespaceSpec, Target

_ATTEMPTS = 3
"""Looks, when another push changes meanwhile which line is the right one."""
_NONE = Guards()


@dataclass(frozen=True, slots=True)
class Pushed:
    """Outcome of a push."""

    plan: Plan
    deployment: Deployment
    applied: Applied
    mirrors: tuple["Pushed", ...] = ()
    """What was pushed to further places, in their order."""
    waits_for: tuple[str, ...] = ()
    """Places that do not hold the version yet: ``staging`` moves when they do."""


def push_version(
    lake: Lake,
    registry: Registry,
    version: Version,
    target: Target,
    wish: Wish,
    *,
    run_id: str | None = None,
    saved: Plan | None = None,
    guards: Guards = _NONE,
    on_plan: Callable[[Plan], None] | None = None,
    on_write: OnWrite | None = None,
    on_files: OnFiles | None = None,
) -> Pushed:
    """Bring a line of the target to hold the version. ``saved``: apply exactly that plan, or its unfinished rest, or refuse.

    ``on_files`` hears how far the files of an import are written; ``on_write`` how far the target holds the records.
    Nothing is written, not even in the registry, when the target holds it already. Pushing again after a crash continues.
    Aliases are the caller's.
    """
    if saved is not None:
        require_place(
            saved, dataset=version.dataset, environment=wish.environment, target=target.name, space=version.space,
            fingerprint=version.fingerprint,
        )  # fmt: skip
        wish = replace(wish, strategy=saved.strategy, namespace=saved.namespace, load=load_of(saved))
    then = _known(registry, version, wish)
    plan, look = planned(lake, registry, version, target, wish)
    if all(stage.kind is StageKind.MOVE_ALIAS for stage in plan.stages):
        known = registry.find_deployment(wish.environment, target.name, plan.namespace, version.number)
        if known is not None and known.status == DeploymentStatus.PUSHED and known.digest == version.digest:
            plan, look = _checked(lake, registry, version, target, wish, saved, (plan, look))
            if on_plan is not None:
                on_plan(plan)
            return Pushed(plan, known, Applied())
    for _ in range(_ATTEMPTS):
        with writer(registry, target, plan.namespace) as held:
            importing = standing(registry, target, wish.environment, version, plan.namespace)
            if importing is None and target.describe(plan.namespace) is not None:
                # Law 1. One that does not exist yet is made by the plan's first stage, which carries the fence.
                spec = NamespaceSpec(plan.namespace, version.dimension, version.metric, version.fingerprint)
                fence_off(target, spec, held)
            settled = saved
            if importing is None and settle(registry, target, plan.namespace):
                settled = _as_settled(saved, plan, target)
            now, state = _known(registry, version, wish), target.describe(plan.namespace)
            # An equal mark is an unchanged namespace: where nothing else changed either, a second look would see the same.
            same = target.capabilities.sees_foreign_writes or state is None
            if not same or now != then or plan.preconditions.mark != (state.mark if state is not None else None):
                elsewhere, then = plan.namespace, now
                plan, look = planned(lake, registry, version, target, wish)
                if plan.namespace != elsewhere:
                    continue
            plan, look = _checked(lake, registry, version, target, wish, saved, (plan, look), settled)
            guards.refuse(plan)
            if on_plan is not None:
                on_plan(plan)
            with read_ahead(lake, version, target, plan, placed=look.ledger is not None) as ahead:
                if plan.writes and look.ledger is None:
                    # A plan of what changed was made from states whose digests were looked at.
                    require_whole(lake, version)
                return _pushed(
                    lake, registry, version, target, wish, plan, look, held, run_id, ahead, on_write, on_files
                )
    raise ConflictError(f"other pushes of {version.dataset} change its lines meanwhile", fix="Run the command again")


def _known(registry: Registry, version: Version, wish: Wish) -> tuple[object, ...]:
    """What a plan depends on beside lake and target."""
    return registry.deployments(version.dataset), registry.aliases(version.dataset, wish.environment)


def _as_settled(saved: Plan | None, plan: Plan, target: Target) -> Plan | None:
    """A saved plan of just what was looked at before the line was settled: what moved its mark since was our own hand."""
    if saved is None or saved.preconditions.mark != plan.preconditions.mark:
        return saved
    state = target.describe(plan.namespace)
    return replace(saved, preconditions=replace(saved.preconditions, mark=state.mark if state is not None else None))


def _checked(
    lake: Lake,
    registry: Registry,
    version: Version,
    target: Target,
    wish: Wish,
    saved: Plan | None,
    made: tuple[Plan, Look],
    settled: Plan | None = None,
) -> tuple[Plan, Look]:
    """The plan that will be applied (with its look), if it may be: the saved one's equal.

    ``settled``: the saved one, of the line's mark as it is since then.
    """
    plan = made[0]
    if saved is not None:
        extended = wish.extend(plan) if wish.extend is not None and saved.goal == "production" else plan
        if not is_rest_of(registry, saved, extended):
            require_same(settled or saved, extended)
        if extended is not plan:
            # The extension may have looked at another line: the actions must be this one's again.
            return planned(lake, registry, version, target, wish)
    return made


def _pushed(
    lake: Lake,
    registry: Registry,
    version: Version,
    target: Target,
    wish: Wish,
    plan: Plan,
    look: Look,
    held: Held,
    run_id: str | None,
    ahead: Batches | None,
    on_write: OnWrite | None,
    on_files: OnFiles | None,
) -> Pushed:
    ours = explained(registry, wish.environment, target.name, plan.namespace, plan.preconditions.mark)
    abandon_open(registry, wish.environment, target.name, plan.namespace)
    deployment = registry.begin_deployment(
        dataset=version.dataset, environment=wish.environment, target=target.name, namespace=plan.namespace,
        version=version.number, space=version.space, fingerprint=version.fingerprint, records=version.records,
        run_id=run_id, strategy=plan.strategy,
    )  # fmt: skip
    push = registry.open_push(deployment.id, plan.to_json(), held.fence, run_id)
    try:
        journal = Journalled(registry, push, held, parallel=wish.parallel)
        make_way(registry, target, plan, journal)
        if look.state is None or not ours:
            # It was dropped, put back or written to past us: a mark that comes now may be one that is remembered of another state.
            forget(lake, target, plan.namespace)
        applied = apply_plan(lake, version, target, plan, journal, ahead, on_write=on_write, on_files=on_files)
        held.check()
        if ours and has_counted(target, plan.namespace, count_after(lake, look, plan)):
            marks = {plan.preconditions.mark or "", *journal.marks}
            after = record(registry, version.dataset, wish.environment, target, plan.namespace, marks)
            if after is not None and journal.certain:
                keep_marks(lake, registry.id, push, version, target, plan, look, after)
    except BaseException:
        _failed(registry, held, push, deployment)
        raise
    registry.close_push(push, PushStatus.DONE)
    deployment = registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, version.digest)
    return Pushed(plan, deployment, applied)


def _failed(registry: Registry, held: Held, push: int, deployment: Deployment) -> None:
    """Law 3. A registry that does not answer now must not hide what went wrong."""
    with suppress(VectorPipelineError):
        registry.close_push(push, PushStatus.FAILED)
    with suppress(VectorPipelineError):
        # Whoever took the lease over says what becomes of the deployment.
        held.check()
        registry.finish_deployment(deployment.id, DeploymentStatus.FAILED)
