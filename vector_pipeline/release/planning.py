"""The plan of a push: the chosen line's stages, and the alias that follows. Reads only.

Laws
----
1. A plan is empty when the line holds the version whole, the registry says so, and the alias points there.
2. A push that does anything begins with the namespace: made or checked, and closed to whoever wrote there before; an import makes
   it.
3. What is lost is judged against what production serves (else staging), and against the newest whole version of the line: the
   larger share counts. What a killed push left is nothing that anybody loses.
"""

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release import following
from vector_pipeline.release.choosing import Choice, choose
from vector_pipeline.release.costs import cost_of, timed
from vector_pipeline.release.fitting import refuse_lacking, refuse_zeros
from vector_pipeline.release.owned import require_free, require_ours
from vector_pipeline.release.plan import Action, Plan, Preconditions, Removal, Stage, StageKind
from vector_pipeline.release.planner import CHUNKS, WRITTEN, Look
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Alias, DeploymentStatus, Registry, Version
from vector_pipeline.release.removals import removal_of, removal_since
from vector_pipeline.release.snapshot import require_kept
from vector_pipeline.release.wishes import Wish
from vector_pipeline.targets.base import Target


def make_plan(lake: Lake, registry: Registry, version: Version, target: Target, wish: Wish) -> Plan:
    """What a push of a version would do now. Leaves the actions in the temporary table ``plan_actions`` for ``apply``."""
    return planned(lake, registry, version, target, wish)[0]


def planned(lake: Lake, registry: Registry, version: Version, target: Target, wish: Wish) -> tuple[Plan, Look]:
    """The same, with the look that it was made from."""
    require_kept(lake, version)
    choice = choose(lake, registry, version, target, wish)
    if choice.look.state is not None:
        require_ours(target, choice.look.state, registry.id)
    else:
        require_free(target, choice.look.namespace, registry.id)
    _refuse_vectors(lake, version, target, choice.look)
    staging = registry.alias(version.dataset, wish.environment, wish.alias) if wish.stages else None
    stages = timed(_stages(registry, version, target, choice, wish, staging), choice.rates)
    look = choice.look
    plan = Plan(
        dataset=version.dataset,
        environment=wish.environment,
        target=target.name,
        namespace=look.namespace,
        space=version.space,
        fingerprint=version.fingerprint,
        dimension=version.dimension,
        metric=version.metric,
        version=version.number,
        goal="staging",
        strategy=look.strategy,
        why=choice.why,
        actions=look.actions,
        documents=look.documents,
        examples=look.examples,
        stages=stages,
        preconditions=Preconditions(
            version.lake_snapshot, version.digest, look.state.mark if look.state is not None else None, look.digest,
            staging.generation if staging is not None else None,
        ),
        cost=cost_of(stages, choice.rates, wish.prices),
        alternatives=choice.alternatives,
        notes=(*choice.notes, *_notes(choice)),
        removal=_removal(lake, registry, version, wish, choice, staging),
    )  # fmt: skip
    return plan, look


def _refuse_vectors(lake: Lake, version: Version, target: Target, look: Look) -> None:
    """``RefusedError`` for vectors that the lake lacks, or the target would not take."""
    if look.ledger is None:
        refuse_lacking(lake, version, WRITTEN)
        refuse_zeros(lake, version, target, WRITTEN, chunks=CHUNKS)
        return
    following.load_places(lake, version, look.ledger)
    refuse_lacking(lake, version, WRITTEN, placed="follow_places")
    refuse_zeros(lake, version, target, WRITTEN, chunks=CHUNKS, vectors=following.vectors_within(lake))


def _stages(
    registry: Registry, version: Version, target: Target, choice: Choice, wish: Wish, staging: Alias | None
) -> tuple[Stage, ...]:
    look = choice.look
    known = registry.find_deployment(wish.environment, target.name, look.namespace, version.number)
    pushed = known is not None and known.status == DeploymentStatus.PUSHED and known.digest == version.digest
    stages = list(look.stages)
    importing = any(stage.kind is StageKind.IMPORT for stage in stages)
    if (stages or look.state is None or not pushed) and not importing:
        stages.insert(0, Stage(StageKind.ENSURE_NAMESPACE))
    if wish.stages and (known is None or staging is None or staging.deployment.id != known.id):
        stages.append(Stage(StageKind.MOVE_ALIAS, where=wish.alias))
    return tuple(stages)


def _removal(
    lake: Lake, registry: Registry, version: Version, wish: Wish, choice: Choice, staging: Alias | None
) -> Removal:
    """Law 3."""
    line = Removal() if choice.fresh else removal_of(choice.look)
    served = registry.alias(version.dataset, wish.environment, PRODUCTION) or staging
    if served is None or served.deployment.version == version.number:
        return line
    known = choice.look.ledger.of if choice.look.ledger is not None else None
    lost = removal_since(lake, registry.version(version.dataset, served.deployment.version), version, known)
    return max(line, lost, key=lambda one: (one.documents > 0, one.share))


def _notes(choice: Choice) -> tuple[str, ...]:
    foreign = choice.look.actions[Action.FOREIGN]
    if not foreign:
        return ()
    end = "deleted" if any(stage.kind is StageKind.DELETE for stage in choice.look.stages) else "closed"
    what = "1 record is" if foreign == 1 else f"{foreign:,} records are"
    return (f"{what} not of this pipeline, or stands twice: {end}",)


def require_same(saved: Plan, fresh: Plan) -> None:
    """``RefusedError``, in one line, unless a saved plan still describes exactly what would be done now."""
    if saved.identity() == fresh.identity():
        return
    reasons = _differences(saved, fresh) or ["something else would be done now"]
    raise RefusedError(f"the plan is stale: {'; '.join(reasons)}", fix="Plan again and look at the difference")


def _differences(saved: Plan, fresh: Plan) -> list[str]:
    was, now = saved.preconditions, fresh.preconditions
    found = []
    if (was.version_digest, was.lake_snapshot) != (now.version_digest, now.lake_snapshot):
        found.append(f"version {saved.version} is another content now")
    if was.mark != now.mark:
        found.append(
            f"{saved.namespace} was written to since (state {was.mark or 'absent'}, now {now.mark or 'absent'})"
        )
    if was.alias_generation != now.alias_generation:
        found.append(f"the alias has moved since (move {was.alias_generation or 0}, now {now.alias_generation or 0})")
    if not found and was.actions_digest != now.actions_digest:
        found.append(f"{saved.writes:,} records were to be written, now {fresh.writes:,}, or others")
    if not found and [stage.kind for stage in saved.stages] != [stage.kind for stage in fresh.stages]:
        steps = ", ".join(stage.kind for stage in fresh.stages) or "nothing"
        found.append(f"the steps are others now: {steps}")
    return found


def require_place(
    saved: Plan,
    *,
    dataset: str,
    environment: str,
    target: str,
    space: str | None = None,
    fingerprint: str | None = None,
) -> None:
    """``RefusedError`` for a plan that was made for another place. Before anything else is looked at."""
    wanted = {
        "dataset": dataset,
        "environment": environment,
        "target": target,
        "space": space,
        "fingerprint": fingerprint,
    }
    for name, value in wanted.items():
        if value is not None and getattr(saved, name) != value:
            raise RefusedError(
                f"the plan is for {name} {getattr(saved, name)}, not for {value}",
                fix="Make one for here: vector-pipeline plan",
            )
