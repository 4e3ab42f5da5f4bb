"""The report of a version: what is known of it, gathered from the registry, the lake and the targets, and written as a page.

Laws
----
1. Reads only, but for the page's own file. What cannot be read is said in the page, and costs nothing else.
2. A verdict is shown as it counts now: one on other content, another state of the index, other settings or another production is
   unknown here, as it is for a promotion.
3. An override is shown for ever, and lets past only while the version is served: promoted again it is judged anew.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from vector_pipeline.errors import NotFoundError, VectorPipelineError
from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.project.agreeing import Agreeing
from vector_pipeline.project.demanding import MIRROR_DRIFT
from vector_pipeline.project.past import Past
from vector_pipeline.project.planning import Planning
from vector_pipeline.release.journalling import retried_by
from vector_pipeline.release.plan import FORMAT, Plan
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Deployment, Override, PushStatus, Verdict, VerdictStatus, Version
from vector_pipeline.report.page import REPORTS
from vector_pipeline.report.page.facts import Facts, GateSaid, Missing, Outlook, Pushed, outlook_of
from vector_pipeline.report.page.writing import require_file, write_page
from vector_pipeline.report.units import moment
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.catalogue import key_of
from vector_pipeline.verify.outcome import CheckResult, Status

_EVENTS = 200
_SAYS = {
    MIRROR_DRIFT: "The target holds the version as the lake has it.",
    MIRRORS_AGREE: "Every mirror answers as the first target does.",
}
_GOALS = ("staging", "production")
T = TypeVar("T")


class Reporting(Past, Planning, Agreeing):
    """Reports."""

    def report_facts(self, dataset: str, version: int | None = None, *, now: datetime | None = None) -> Facts:
        """What is known of a version (default: what staging holds, else the newest). ``NotFoundError``: there is none."""
        wanted = self.version(dataset, version if version is not None else self._reported(dataset))
        held = self.held_at(wanted)
        registry = self.registry(read_only=True)
        aliases = tuple(
            one.name for one in registry.aliases(dataset, self.environment) if one.deployment.version == wanted.number
        )
        serving = PRODUCTION in aliases
        gates = tuple(
            gate
            for number, one in enumerate(held)
            for gate in self._gates_said(wanted, one, number, len(held), serving)
        )
        against = self._compared_with(wanted, held[0] if held else None)
        served = against.version if against is not None else None
        outlook = outlook_of(gates, pushed=bool(held), serving=serving)
        return Facts(
            version=wanted,
            environment=self.environment,
            places=tuple(f"{one.target}/{one.namespace}" for one in held),
            aliases=aliases,
            served=served,
            outlook=outlook,
            gates=gates,
            pushed=_or_missing(lambda: self._how_pushed(wanted, held[0] if held else None)),
            changes=_or_missing(lambda: self._changes(wanted, served)),
            map=_or_missing(lambda: self._map(wanted, held[0] if held else None)),
            history=_told(_or_missing(lambda: self._events(wanted))),
            spaces=self.version_spaces(dataset),
            policy=self._policy_said(dataset),
            commands=self._commands(wanted, served, outlook, gates),
            made_at=now or datetime.now(UTC),
        )

    def report_file(self, dataset: str, version: int) -> Path:
        """Where the report of a version lies."""
        return self.base / REPORTS / dataset / self.environment / f"v{version}.html"

    def write_report(
        self, dataset: str, version: int | None = None, *, out: Path | None = None, now: datetime | None = None
    ) -> tuple[Facts, Path]:
        """Write a report; returns what it tells, and the file. ``InputError`` for a folder, ``UnavailableError`` where it cannot
        be written.
        """
        from vector_pipeline.report.page.render import render

        if out is not None:
            require_file(out)
        facts = self.report_facts(dataset, version, now=now)
        file = out if out is not None else self.report_file(dataset, facts.version.number)
        write_page(file, render(facts))
        return facts, file

    def _reported(self, dataset: str) -> int | None:
        staging = self.registry(read_only=True).alias(dataset, self.environment, "staging")
        return staging.deployment.version if staging is not None else None

    def _gates_said(
        self, version: Version, held: Deployment, number: int, places: int, serving: bool
    ) -> list[GateSaid]:
        """Gates of a place in the catalogue's order; those that look at the version are told with the first place alone."""
        once, registry = self.version_gates(version.dataset), self.registry(read_only=True)
        mark, modes, past = self._mark_before(held), self.modes(version.dataset), self.overridden(held)
        verdicts = {one.check: one for one in registry.verdicts(held.id)}
        return [
            _said(
                result, verdicts.get(result.name), modes.get(result.name, "block"), past.get(result.name),
                place=held.target if places > 1 and result.name not in once else "", serving=serving,
            )
            for result in self.said_now(held, mark=mark or "")
            if not number or result.name not in once
        ]  # fmt: skip

    def _how_pushed(self, version: Version, held: Deployment | None) -> Pushed:
        """The newest push that wrote the version there; where there is none, what a push would do now."""
        registry = self.registry(read_only=True)
        found = [] if held is None else registry.pushes(version.dataset, self.environment, deployment_id=held.id)
        ours = [one for one in found if one.plan.get("format") == FORMAT and one.plan.get("goal") in _GOALS]
        if not ours:
            return Pushed(self.plan(version.dataset, version=version.number))
        wrote = [one for one in ours if Plan.from_json(one.plan).writes]
        last = (wrote or ours)[0]
        took = (last.closed_at - last.opened_at).total_seconds() if last.closed_at is not None else None
        retried = retried_by(registry, version.dataset, self.environment, last.run_id) if last.run_id else {}
        done = last.status is PushStatus.DONE
        return Pushed(Plan.from_json(last.plan), done, last.opened_at, took if done else None, retried)

    def _changes(self, version: Version, served: Version | None) -> VersionDiff:
        if served is None:
            raise NotFoundError("nothing else is served, or was: there is nothing to compare with")
        return self.diff(version.dataset, served.number, version.number, examples=50)

    def _map(self, version: Version, held: Deployment | None) -> Mapping[str, Any]:
        from vector_pipeline.verify.shift.projection import project_map

        made = project_map(self.gate_context(version, held))
        if not made["points"]:
            raise NotFoundError("there are too few vectors for a map")
        return made

    def _events(self, version: Version) -> list[Any]:
        events = self.timeline(version.dataset, limit=_EVENTS)
        return [one for one in events if version.number in (one.from_version, one.to_version)]

    def _policy_said(self, dataset: str) -> str:
        policy = self.promotion_of(dataset)
        who = "The chain promotes by itself" if policy.policy == "automatic" else "A person promotes"
        return f"{who} in environment {self.environment}{', and says why' if policy.require_reason else ''}."

    def _commands(
        self, version: Version, served: Version | None, outlook: Outlook, gates: tuple[GateSaid, ...]
    ) -> tuple[tuple[str, str], ...]:
        """What comes next, the likeliest first."""
        several = [version.dataset] if len(self.config.datasets) > 1 else []
        environment = [] if self.environment == next(iter(self.config.environments)) else [f"--env {self.environment}"]
        number = f"--version {version.number}"

        def line(why: str, verb: str, *words: str) -> tuple[str, str]:
            return why, " ".join(["vector-pipeline", verb, *several, *words, *environment])

        reason = ' --reason "why"' if self.promotion_of(version.dataset).require_reason else ""
        blocking = [gate for gate in gates if gate.blocks]
        found = []
        if outlook in (Outlook.READY, Outlook.WARNED):
            found.append(line("Let readers have it", "promote", f"{number}{reason}"))
        if outlook is Outlook.NOT_PUSHED:
            found += [line("See what a push would do", "plan", number), line("Push it", "push", number)]
        if outlook is Outlook.SERVING and served is not None:
            found.append(line("Go back to what was served before", "rollback", f"--to {served.number}"))
        if blocking:
            found.append(line("Run the gates again", "verify", number))
        # What has not looked at what is there now may pass when it does: only then there is something to decide.
        looked = all(gate.at is not None and not gate.outdated for gate in blocking)
        if blocking and looked and outlook in (Outlook.BLOCKED, Outlook.UNPROVEN):
            past = " ".join(dict.fromkeys(f"--override {key_of(gate.name)}" for gate in blocking))
            found.append(
                line("Let it past all the same: the history keeps why", "promote", f'{number} {past} --reason "why"')
            )
        if served is not None:
            found.append(
                line(
                    "Answers of both, side by side",
                    "compare",
                    '"your question"',
                    f"--versions {served.number} {version.number}",
                )
            )
            found.append(line("Which documents changed", "diff", str(served.number), str(version.number)))
        found.append(line("Its whole story", "history", number))
        return tuple(found)


def _said(
    result: CheckResult, verdict: Verdict | None, mode: str, past: Override | None, *, place: str, serving: bool
) -> GateSaid:
    """Laws 2 and 3. Of a verdict that does not count any more what it said is kept, beside why."""
    gate = catalogue.BY_NAME.get(result.name)
    outdated = verdict is not None and result.status is Status.UNKNOWN and not _as_recorded(verdict, result)
    shown = result
    if verdict is not None and outdated and "status" in verdict.detail:
        shown = CheckResult.from_json(
            {"detail": {}, "examples": [], "summary": "", **verdict.detail, "name": result.name}
        )
    return GateSaid(
        result.name, result.status, shown.summary, says=gate.says if gate is not None else _SAYS.get(result.name, ""),
        mode=mode, place=place, detail=shown.detail, examples=shown.examples,
        at=verdict.created_at if verdict is not None else None, outdated=result.summary if outdated else "",
        override=f"{past.by}, {moment(past.at)} UTC: {past.reason}" if past is not None else "",
        in_force=past is not None and serving,
    )  # fmt: skip


def _as_recorded(verdict: Verdict, result: CheckResult) -> bool:
    """Of one that is unknown: whether the gate itself said so."""
    return verdict.status == VerdictStatus.UNKNOWN and result.summary == verdict.detail.get("summary", "")


def _or_missing(work: Callable[[], T]) -> T | Missing:
    """Law 1."""
    try:
        return work()
    except VectorPipelineError as error:
        return Missing(error.what)


def _told(found: list[Any] | Missing) -> tuple[Any, ...]:
    return () if isinstance(found, Missing) else tuple(found)
