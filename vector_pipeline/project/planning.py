"""Plan: what a push would do to a place, and what leads to production after it. Writes nothing."""

from collections.abc import Collection
from dataclasses import replace

from vector_pipeline.drift import DriftReport
from vector_pipeline.errors import InputError, RefusedError, UnavailableError
from vector_pipeline.project.promoting import Promoting
from vector_pipeline.release.costs import cost_of, measured, timed
from vector_pipeline.release.guards import Guards, begins
from vector_pipeline.release.lines import (
    base_namespace,
    belongs,
    in_place_namespaces,
    is_in_place,
    lines_of,
    to_continue,
)
from vector_pipeline.release.plan import Goal, Load, Plan, Stage, StageKind, Strategy
from vector_pipeline.release.planner import look_at
from vector_pipeline.release.planning import make_plan
from vector_pipeline.release.promote import PRODUCTION, STAGING
from vector_pipeline.release.registry import DeploymentStatus, Version
from vector_pipeline.release.wishes import Wish


class Planning(Promoting):
    """Plans, one a place."""

    def plan(
        self,
        dataset: str,
        *,
        version: int | None = None,
        goal: Goal = "staging",
        strategy: str | None = None,
        load: Load | None = None,
        target: str | None = None,
    ) -> Plan:
        """What a push (goal ``staging``), or a push, its gates and a promotion (``production``) would do now to one place (default:
        the first in service). Writes nothing.
        """
        wanted = self.version(dataset, version)
        place = self.place(dataset, target)
        wish = self._wish(dataset, wanted, strategy, place, load)
        there = self.target_named(place, read_only=True)
        plan = make_plan(self.lake(read_only=True), self.registry(read_only=True), wanted, there, wish)
        if goal == "production":
            plan = self._to_production(wanted, plan)
        return self._annotated(plan)

    def plans(
        self,
        dataset: str,
        *,
        version: int | None = None,
        goal: Goal = "staging",
        strategy: str | None = None,
        load: Load | None = None,
        target: str | None = None,
    ) -> list[Plan]:
        """The plan of every place in service, the first one first; of ``target`` alone where it is named.

        ``RefusedError`` for one of several places and production: that moves in all of them.
        """
        number = self.version(dataset, version).number
        names = self.places(dataset) if target is None else [self.place(dataset, target)]
        if goal == "production":
            self.require_every_place(dataset, names)
        made = []
        for name in names:
            try:
                made.append(self.plan(dataset, version=number, goal=goal, strategy=strategy, load=load, target=name))
            except UnavailableError as error:
                if len(names) == 1:
                    raise
                others = " or ".join(f"--target {one}" for one in names if one != name)
                fix = f"{(error.fix or 'Try again').rstrip('.')}; or plan without it: {others}"
                raise type(error)(f"target {name}: {error.what}", fix=fix, kind=error.code) from None
        if len(names) == 1 < len(self.configured(dataset)):
            made = [replace(one, notes=(*one.notes, *_of_one_place(one))) for one in made]
        return made

    def _wish(
        self, dataset: str, version: Version, strategy: str | None, target: str | None, load: Load | None = None
    ) -> Wish:
        settings, place = self.dataset(dataset), self.place(dataset, target)
        asked = strategy or settings.release.strategy
        if asked != "auto" and asked not in tuple(Strategy):
            raise InputError(f"there is no strategy {asked!r}", fix=f"One of auto, {', '.join(Strategy)}")
        self.require_movable(dataset, asked)
        return Wish(
            self.environment,
            None if asked == "auto" else Strategy(asked),
            stages=version.space == settings.serving_space,
            alias=self.name_at(dataset, STAGING, place),
            prices=self.settings.targets[place].prices,
            parallel=self._parallel(place),
            load=load or settings.release.load,
            extend=lambda plan: self._to_production(version, plan),
        )

    def require_movable(self, dataset: str, strategy: str) -> None:
        """``RefusedError`` for what several places cannot do together."""
        if strategy == Strategy.IN_PLACE and len(self.configured(dataset)) > 1:
            raise RefusedError(
                f"{dataset} has mirrors: written in place, several targets cannot change together",
                fix="Use another strategy, or take `mirrors` out of the configuration",
            )

    def refusal(self, plan: Plan) -> RefusedError | None:
        """What the guards would refuse a push of a plan with, as they are configured; None where they let it through."""
        return self._guards(plan.dataset).refusal(plan) if begins(plan) else None

    def require_every_place(self, dataset: str, names: Collection[str]) -> None:
        """``RefusedError`` when a way to production leaves out a place: what one plan says of some would happen to all."""
        left_out = [one for one in self.places(dataset) if one not in names]
        if left_out:
            raise RefusedError(
                f"production of {dataset} moves in every target together, and the plan leaves out {', '.join(left_out)}",
                fix=f"Plan them all: vector-pipeline plan {dataset} --to production, without --target",
            )

    def likely_line(self, version: Version, target: str, strategy: Strategy | None = None) -> str | None:
        """The line of a target that a push would go on with, as the registry knows it; None when there is none."""
        base = base_namespace(version.dataset, version.space, version.fingerprint)
        if strategy is Strategy.IN_PLACE:
            return in_place_namespaces(base, self.environment)[0]
        found = self.registry(read_only=True).deployments(version.dataset, self.environment)
        lines = [
            line
            for line in lines_of(one for one in found if one.target == target and belongs(one.namespace, base))
            if not is_in_place(line.namespace)
        ]
        begun = [line for line in lines if any(one.version == version.number for one in line.deployments)]
        goes_on = begun[0] if begun else to_continue(lines)
        return goes_on.namespace if goes_on is not None else None

    def drift_in_the_way(
        self,
        dataset: str,
        *,
        version: int | None = None,
        saved: Plan | None = None,
        strategy: str | None = None,
        target: str | None = None,
    ) -> list[DriftReport]:
        """Another hand in the line of a place that a push would go on with: what was found. Writes nothing."""
        wanted = self.version(dataset, saved.version if saved is not None else version)
        place = saved.target if saved is not None else self.place(dataset, target)
        asked = self._wish(dataset, wanted, strategy, place).strategy
        line = saved.namespace if saved is not None else self.likely_line(wanted, place, asked)
        there = self.target_named(place, read_only=True)
        return [] if line is None else self.drift_before_push(dataset, line, there)

    def _to_production(self, version: Version, plan: Plan) -> Plan:
        """A plan of a push, with what leads to production after it: gates, readers' line in place, the alias."""
        registry = self.registry(read_only=True)
        alias = self.name_at(plan.dataset, PRODUCTION, plan.target)
        now = registry.alias(plan.dataset, plan.environment, alias)
        live = self._live_stages(version, plan) if plan.strategy is Strategy.IN_PLACE else ()
        namespace = plan.namespace
        if plan.strategy is Strategy.IN_PLACE:
            base = base_namespace(plan.dataset, plan.space, plan.fingerprint)
            namespace = in_place_namespaces(base, plan.environment)[1]
        place = (plan.target, namespace, plan.version)
        served = now is not None and (now.deployment.target, now.deployment.namespace, now.deployment.version) == place
        more: list[Stage] = []
        missing = () if served and not live else self._unverified(plan)
        if missing:
            more.append(Stage(StageKind.VERIFY))
        more += live
        if not served:
            more.append(Stage(StageKind.MOVE_ALIAS, where=alias))
        target = self.target_named(plan.target, read_only=True)
        rates = measured(registry, target, plan.environment, parallel=self._parallel(plan.target))
        stages = (*plan.stages, *timed(more, rates))
        return replace(
            plan,
            goal="production",
            stages=stages,
            cost=cost_of(stages, rates, self.settings.targets[plan.target].prices),
            preconditions=replace(plan.preconditions, alias_generation=now.generation if now is not None else None),
            notes=(*plan.notes, *([f"to be checked first: {', '.join(missing)}"] if missing else [])),
        )

    def _unverified(self, plan: Plan) -> tuple[str, ...]:
        """Gates without a verdict that would hold after the push."""
        registry = self.registry(read_only=True)
        known = registry.find_deployment(plan.environment, plan.target, plan.namespace, plan.version)
        writes = any(stage.kind is not StageKind.MOVE_ALIAS for stage in plan.stages)
        if writes or known is None or known.status != DeploymentStatus.PUSHED or known.digest is None:
            return self.gates_of(plan.dataset, plan.target)
        return tuple(one.name for one in self.said_now(known, mark=self.mark_of(known) or "") if one.blocks)

    def _live_stages(self, version: Version, plan: Plan) -> tuple[Stage, ...]:
        """What writing a version over what readers read takes."""
        base = base_namespace(plan.dataset, plan.space, plan.fingerprint)
        live = in_place_namespaces(base, plan.environment)[1]
        target = self.target_named(plan.target, read_only=True)
        look = look_at(self.lake(read_only=True), version, target, live, Strategy.IN_PLACE)
        known = self.registry(read_only=True).find_deployment(plan.environment, plan.target, live, plan.version)
        if look.whole and known is not None and known.status == DeploymentStatus.PUSHED:
            return ()
        stages = (Stage(StageKind.ENSURE_NAMESPACE), *look.stages)
        return tuple(replace(stage, where=live) for stage in stages)

    def _annotated(self, plan: Plan) -> Plan:
        """With what a person should know before it is applied."""
        return replace(plan, notes=(*plan.notes, *self._guards(plan.dataset).notes(plan)))

    def _guards(
        self,
        dataset: str,
        max_removed_share: float | None = None,
        *,
        max_changed_share: float | None = None,
        over_budget: bool = False,
    ) -> Guards:
        """What a push may do: as configured, but for what a person allows."""
        gates = self.gates(dataset)
        share = gates.max_removed_share if max_removed_share is None else max_removed_share
        changed = gates.max_changed_share if max_changed_share is None else max_changed_share
        vectors, cost = (None, None) if over_budget else (gates.max_vectors, gates.max_cost)
        return Guards(share, vectors, cost, changed)


def _of_one_place(plan: Plan) -> tuple[str, ...]:
    """What a plan cannot show where others are planned apart."""
    if not any(stage.kind is StageKind.MOVE_ALIAS for stage in plan.stages):
        return ()
    return (
        f"staging moves in every target together, once all hold v{plan.version}; a later version that is staged stays",
    )
