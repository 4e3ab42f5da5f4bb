"""Plan and push."""

from dataclasses import replace

from vector_pipeline.drift import DriftReport
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.project.gating import DATA_GATES, DEPLOYMENT_GATES
from vector_pipeline.project.promoting import Promoting
from vector_pipeline.release.costs import cost_of, measured, timed
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.lines import (
    base_namespace,
    belongs,
    in_place_namespaces,
    is_in_place,
    lines_of,
    to_continue,
)
from vector_pipeline.release.plan import Goal, Plan, Stage, StageKind, Strategy
from vector_pipeline.release.planner import look_at
from vector_pipeline.release.planning import make_plan, require_place
from vector_pipeline.release.promote import PRODUCTION, STAGING, point_staging
from vector_pipeline.release.push import Pushed, push_version
from vector_pipeline.release.registry import DeploymentStatus, Version
from vector_pipeline.release.wishes import Wish


class Releasing(Promoting):
    """Steps that change what a target holds."""

    def plan(
        self, dataset: str, *, version: int | None = None, goal: Goal = "staging", strategy: str | None = None
    ) -> Plan:
        """What a push (goal ``staging``), or a push, its gates and a promotion (``production``) would do now. Writes nothing."""
        wanted = self.version(dataset, version)
        target = self.target(dataset, read_only=True)
        wish = self._wish(dataset, wanted, strategy)
        plan = make_plan(self.lake(read_only=True), self.registry(read_only=True), wanted, target, wish)
        if goal == "production":
            plan = self._to_production(wanted, plan)
        return self._annotated(plan)

    def push(
        self,
        dataset: str,
        *,
        version: int | None = None,
        saved: Plan | None = None,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        max_removed_share: float | None = None,
        over_budget: bool = False,
        strategy: str | None = None,
        on_drift: str | None = None,
    ) -> Pushed:
        """Bring the target to hold a version (default: the newest) and point ``staging`` at it.

        ``staging`` follows the serving space: a version of another space is written beside it, and pointed at by nobody.
        A saved plan for production is applied up to there; ``verify`` and ``promote`` do the rest. ``max_removed_share``,
        ``over_budget``: what a person allows beyond the gates.
        """
        settings = self.dataset(dataset)
        if saved is not None:
            require_place(saved, dataset=dataset, environment=self.environment, target=settings.target)
        wanted = self.version(dataset, saved.version if saved is not None else version)
        self._require_whole(dataset)
        wish = self._wish(dataset, wanted, strategy)
        self._mind_drift(dataset, wanted.number, saved, strategy, on_drift, by, run_id)
        pushed = push_version(
            self.lake(read_only=True), self.registry(), wanted, self.target(dataset), wish, run_id=run_id, saved=saved,
            guards=self._guards(dataset, max_removed_share, over_budget=over_budget),
            on_write=lambda done, total: self.progress.update("push", done, total, unit="records"),
        )  # fmt: skip
        if wish.stages:
            point_staging(self.registry(), pushed.deployment, by=by, run_id=run_id)
        return pushed

    def staged(self, dataset: str, space: str | None = None) -> int:
        """Version to verify: what ``staging`` points to, or the newest of a space that is not served."""
        if space is None or space == self.dataset(dataset).serving_space:
            alias = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if alias is not None:
                return alias.deployment.version
        return self.version(dataset, None, space).number

    def _wish(self, dataset: str, version: Version, strategy: str | None) -> Wish:
        settings = self.dataset(dataset)
        asked = strategy or settings.release.strategy
        if asked != "auto" and asked not in tuple(Strategy):
            raise InputError(f"there is no strategy {asked!r}", fix=f"One of auto, {', '.join(Strategy)}")
        return Wish(
            self.environment,
            None if asked == "auto" else Strategy(asked),
            stages=version.space == settings.serving_space,
            prices=self.settings.targets[settings.target].prices,
            parallel=self._parallel(settings.target),
            extend=lambda plan: self._to_production(version, plan),
        )

    def likely_line(self, version: Version, strategy: Strategy | None = None) -> str | None:
        """The line that a push would go on with, as the registry knows it; None when there is none."""
        base = base_namespace(version.dataset, version.space, version.fingerprint)
        if strategy is Strategy.IN_PLACE:
            return in_place_namespaces(base, self.environment)[0]
        target = self.dataset(version.dataset).target
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
        self, dataset: str, *, version: int | None = None, saved: Plan | None = None, strategy: str | None = None
    ) -> list[DriftReport]:
        """Another hand in the line that a push would go on with: what was found. Writes nothing."""
        wanted = self.version(dataset, saved.version if saved is not None else version)
        asked = self._wish(dataset, wanted, strategy).strategy
        line = saved.namespace if saved is not None else self.likely_line(wanted, asked)
        return [] if line is None else self.drift_before_push(dataset, line, self.target(dataset, read_only=True))

    def _mind_drift(
        self, dataset: str, version: int, saved: Plan | None, strategy: str | None, on_drift: str | None, by: str,
        run_id: str | None,
    ) -> None:  # fmt: skip
        """Before anything builds on what somebody else has changed: stop, repair, or go on, as was asked."""
        mode = on_drift or self.dataset(dataset).drift.on_drift
        if mode not in ("stop", "repair", "ignore"):
            raise InputError(f"on drift, {mode!r} cannot be done", fix="One of stop, repair, ignore")
        drifted = (
            [] if mode == "ignore" else self.drift_in_the_way(dataset, version=version, saved=saved, strategy=strategy)
        )
        if not drifted:
            return
        if mode == "stop":
            raise RefusedError(
                f"somebody else has written to {drifted[0].namespace}: {drifted[0].summary}",
                fix=f"Repair it: vector-pipeline repair {dataset}, or push with --on-drift repair or ignore",
            )
        self.repair(dataset, run_id=run_id, by=by)

    def _to_production(self, version: Version, plan: Plan) -> Plan:
        """A plan of a push, with what leads to production after it: gates, readers' line in place, the alias."""
        registry = self.registry(read_only=True)
        now = registry.alias(plan.dataset, plan.environment, PRODUCTION)
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
            more.append(Stage(StageKind.MOVE_ALIAS, where=PRODUCTION))
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
            return (*DATA_GATES, *DEPLOYMENT_GATES)
        try:
            self.require_current_gates(known)
        except RefusedError:
            return (*DATA_GATES, *DEPLOYMENT_GATES)
        missing = registry.verified(known.id, known.digest, DATA_GATES)
        return (*missing, *registry.verified(known.id, known.digest, DEPLOYMENT_GATES, mark=self.mark_of(known) or ""))

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

    def _guards(self, dataset: str, max_removed_share: float | None = None, *, over_budget: bool = False) -> Guards:
        """What a push may do: as configured, but for what a person allows."""
        gates = self.dataset(dataset).gates
        share = gates.max_removed_share if max_removed_share is None else max_removed_share
        return Guards(share) if over_budget else Guards(share, gates.max_vectors, gates.max_cost)
