"""Drift and repair: what was recorded as deployed against what the target holds now."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vector_pipeline.drift import DriftReport, Level, Subject, audit_line
from vector_pipeline.drift.held import Depth
from vector_pipeline.drift.lines import kept_lines, subjects
from vector_pipeline.drift.repair import repair_line
from vector_pipeline.drift.repair_plan import LinePlan, RepairLine, RepairPlan, plan_line
from vector_pipeline.errors import ConflictError, CorruptError, InputError, NotFoundError, RefusedError
from vector_pipeline.project.agreeing import Agreeing
from vector_pipeline.release.apply import Applied
from vector_pipeline.release.hands import explained
from vector_pipeline.release.native import catch_up
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry import Deployment, DeploymentStatus
from vector_pipeline.release.retention import kept
from vector_pipeline.targets.base import Target
from vector_pipeline.verify.outcome import CheckResult

_REPAIRABLE = (Level.IDS, Level.FULL)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did."""

    plan: RepairPlan
    """As it was executed."""
    applied: tuple[Applied, ...]
    """By line, in the plan's order."""
    reports: tuple[DriftReport, ...]
    """What an audit found afterwards, of every alias."""
    gates: dict[str, tuple[CheckResult, ...]]
    """By alias: the gates of the index, which were run again where it was written to."""

    @property
    def drifted(self) -> bool:
        """Whether something is still wrong."""
        return any(report.drifted for report in self.reports)

    @property
    def writes(self) -> int:
        """Records written, closed, reopened or deleted."""
        return sum(one.records for one in self.applied)

    def to_json(self) -> dict[str, Any]:
        names = ("upserted", "derived", "closed", "deleted", "bytes", "requests")
        return {
            "dataset": self.plan.dataset,
            "environment": self.plan.environment,
            "drifted": self.drifted,
            "writes": self.writes,
            **{name: sum(getattr(one, name) for one in self.applied) for name in names},
            "retried": dict(sum((one.retried for one in self.applied), Counter())),
            "plan": self.plan.to_json(),
            "reports": [report.to_json() for report in self.reports],
            "gates": {alias: [result.to_json() for result in results] for alias, results in self.gates.items()},
        }


class Drifting(Agreeing):
    """Looks for somebody else's hand in the index, and restores what should be there."""

    def drift(
        self,
        dataset: str,
        alias: str | None = None,
        level: str | None = None,
        *,
        sample: int | None = None,
        seed: int | None = None,
        record: bool = True,
        run_id: str | None = None,
        by: str = "",
        only: tuple[str, str] | None = None,
    ) -> list[DriftReport]:
        """Compare what aliases point at (default: every one, production first) with what the target holds.

        ``record`` keeps the result as the dataset's history. ``only``: this target and namespace alone.
        ``NotFoundError`` when no such alias is there.
        """
        settings = self.dataset(dataset).drift
        found = self._subjects(dataset, alias)
        reports: list[DriftReport] = []
        for line in found:
            if only not in (None, (line[0].deployment.target, line[0].deployment.namespace)):
                continue
            reports += audit_line(
                self.lake(read_only=True), self.registry(read_only=True),
                self.target_named(line[0].deployment.target, read_only=True), line,
                level=level or settings.audit_level, sample=sample or settings.sample, seed=seed,
            )  # fmt: skip
        # Whoever has no seal may look, and leaves no trace of it.
        if record and not self.is_sealed():
            for report in reports:
                self._record_audit(report, run_id, by)
        return reports

    def plan_repair(self, dataset: str, alias: str | None = None, *, level: str = Level.IDS) -> RepairPlan:
        """What a repair would write now, over every line that holds a kept version. Writes nothing."""
        wanted = _level(level)
        lines, notes = self._lines(dataset, alias)
        plans = [
            plan_line(
                self.lake(read_only=True), self.registry(read_only=True),
                self.target_named(line.first.target, read_only=True), line, level=wanted,
                prices=self.settings.targets[line.first.target].prices,
            )
            for line in lines
        ]  # fmt: skip
        return RepairPlan(dataset, self.environment, tuple(plans), tuple(notes))

    def repair(
        self,
        dataset: str,
        alias: str | None = None,
        *,
        level: str = Level.IDS,
        run_id: str | None = None,
        by: str = "",
        only: tuple[str, str] | None = None,
    ) -> Repaired:
        """Restore every kept version, with the fewest writes; audit afterwards, and run the index's gates where it wrote.

        ``only``: this target and namespace alone. Writes nothing where nothing drifted. Killed and run again, it ends as if it had
        not been.
        """
        wanted = _level(level)
        lines, notes = self._lines(dataset, alias, only=only)
        self._require_whole(dataset)
        done = [self._repair(line, alias, wanted, run_id) for line in lines]
        plan = RepairPlan(dataset, self.environment, tuple(made for made, _ in done), tuple(notes))
        self._caught_up(dataset, only[0] if only is not None else None)
        reports = self.drift(dataset, alias, level=wanted, run_id=run_id, by=by, only=only)
        written = {(made.target, made.namespace) for made, applied in done if applied.records}
        judged: dict[str, tuple[CheckResult, ...]] = {}
        for report in reports:
            if (report.target, report.namespace) in written:
                deployment = self.registry().deployment(report.deployment)
                gates = self.index_gates_of(dataset, report.target)
                _, results = self.verify(dataset, only=gates, run_id=run_id, deployment=deployment)
                judged[report.alias or ""] = tuple(results)
        return Repaired(plan, tuple(applied for _, applied in done), tuple(reports), judged)

    def _caught_up(self, dataset: str, target: str | None) -> None:
        """The systems' own names (or that target's) follow ours where a move could not make them."""
        registry = self.registry()
        for name in sorted({one.deployment.target for one in registry.aliases(dataset, self.environment)}):
            if name in self.settings.targets and target in (None, name):
                self._warnings += catch_up(self.target_named(name), registry, dataset, self.environment)

    def drift_before_push(self, dataset: str, namespace: str, target: Target) -> list[DriftReport]:
        """Reports of what aliases point at in a line, where it drifted; none where nobody wrote since our last write."""
        registry = self.registry(read_only=True)
        here = [
            subject
            for line in subjects(registry, dataset, self.environment)
            for subject in line
            if (subject.deployment.target, subject.deployment.namespace) == (target.name, namespace)
            and not _half_written(subject.deployment)
        ]
        if not here:
            return []
        gone = next((one for one in here if one.version.expired_at is not None), None)
        known = registry.namespace_record(self.environment, target.name, namespace)
        state = target.describe(namespace)
        sees = target.capabilities.sees_foreign_writes
        same = known is not None and state is not None and (state.mark, state.records) == (known.mark, known.records)
        if same and sees:
            return []
        # Ids alone do not show everything that another hand can have done. What is fetched now, the plan finds remembered.
        ours = explained(registry, self.environment, target.name, namespace, state.mark if state is not None else None)
        depth = Depth.LISTED if ours else Depth.KNOWN
        try:
            if gone is not None:
                raise NotFoundError(f"version {gone.version.number} expired, and {gone.alias} points at it")
            reports = audit_line(self.lake(read_only=True), registry, target, here, level=Level.IDS, depth=depth)
        except (NotFoundError, CorruptError) as error:
            raise RefusedError(
                f"something has written to {namespace}, and what it should hold cannot be told: {error.what}",
                fix="Push with --on-drift ignore to go on all the same",
            ) from None
        return [report for report in reports if report.drifted]

    def _repair(
        self, line: RepairLine, alias: str | None, level: Level, run_id: str | None
    ) -> tuple[LinePlan, Applied]:
        target = self.target_named(line.first.target)
        settings = self.settings.targets[line.first.target]
        return repair_line(
            self.lake(read_only=True), self.registry(), target, line,
            again=lambda: self._line_now(line, alias), level=level, prices=settings.prices,
            parallel=settings.parallel_writes or target.capabilities.parallel_writes, run_id=run_id,
            on_write=lambda done, total: self.progress.update("repair", done, total, unit="records"),
        )  # fmt: skip

    def _line_now(self, line: RepairLine, alias: str | None) -> RepairLine:
        place = (line.first.target, line.first.namespace)
        found, _ = self._lines(line.first.dataset, alias, only=place)
        if not found:
            raise ConflictError(f"{place[1]} of {place[0]} has changed meanwhile", fix="Repair again")
        return found[0]

    def _subjects(self, dataset: str, alias: str | None) -> Sequence[list[Subject]]:
        self.dataset(dataset)
        found = subjects(self.registry(read_only=True), dataset, self.environment, alias)
        if not found:
            what = f"alias {alias}" if alias is not None else "alias"
            raise NotFoundError(
                f"{dataset} has no {what} in environment {self.environment}: nothing is deployed that could drift",
                fix=f"Push first: vector-pipeline push {dataset}",
            )
        return found

    def _lines(
        self, dataset: str, alias: str | None, *, only: tuple[str, str] | None = None
    ) -> tuple[list[RepairLine], list[str]]:
        self._subjects(dataset, alias)
        retention = self.dataset(dataset).retention
        registry = self.registry(read_only=True)
        held = kept(
            registry, dataset, self.environment, keep_versions=retention.keep_versions,
            grace_s=retention.reader_grace_s,
        )  # fmt: skip
        lake = self.lake(read_only=True)
        lines, notes = kept_lines(lake, registry, dataset, self.environment, held.deployments, alias=alias, only=only)
        every = {line.first.target for line in lines}
        gone = every - set(self.settings.targets)
        out = (every & set(self.withdrawn(dataset))) - gone
        here = [line for line in lines if line.first.target not in gone | out]
        notes += [f"target {name} is not in the configuration any more: left as it is" for name in sorted(gone)]
        return here, [*notes, *(f"target {name} is out of service: left as it is" for name in sorted(out))]

    def _record_audit(self, report: DriftReport, run_id: str | None, by: str) -> None:
        value = report.to_json()
        self.registry().record_audit(
            dataset=report.dataset, environment=report.environment, alias=report.alias,
            deployment_id=report.deployment, level=report.level, drifted=report.drifted, counts=report.counts,
            detail={name: one for name, one in value.items() if name not in report.counts}, run_id=run_id, by=by,
        )  # fmt: skip


def _half_written(deployment: Deployment) -> bool:
    """In place, a write that did not end: what is wrong there is ours, and the next push writes over all of it."""
    return deployment.strategy is Strategy.IN_PLACE and deployment.status != DeploymentStatus.PUSHED


def _level(level: str) -> Level:
    if level not in _REPAIRABLE:
        raise InputError(f"a repair looks at {' or '.join(_REPAIRABLE)}, not at {level!r}")
    return Level(level)
