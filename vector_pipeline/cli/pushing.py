"""``push``: bring the target to hold a version; with a plan for production, all the way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, VersionOption, app, session_of
from vector_pipeline.cli.moving import moved_line
from vector_pipeline.cli.output import complain, say
from vector_pipeline.cli.planning import LoadOption, StrategyOption, TargetOption, read_plans
from vector_pipeline.cli.reporting import say_report
from vector_pipeline.cli.running import run, show_gates, standing_of, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.cli.writing import gates_in
from vector_pipeline.errors import NotFoundError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from vector_pipeline.drift import DriftReport
    from vector_pipeline.release.plan import Load, Plan

_INTERRUPTED = 130
OnDrift = Literal["stop", "repair", "ignore"]


@app.command(cls=Command)
def push(
    ctx: typer.Context,
    dataset: Dataset = None,
    version: VersionOption = None,
    strategy: StrategyOption = None,
    load: LoadOption = None,
    target: TargetOption = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Apply exactly this saved plan, or refuse.", show_default=False),
    ] = None,
    on_drift: Annotated[
        OnDrift | None,
        typer.Option(
            "--on-drift", show_default=False,
            help="When somebody else has written to the index. Default: ask at a terminal, else drift.on_drift.",
        ),
    ] = None,
    max_removed_share: Annotated[
        float | None,
        typer.Option(
            "--max-removed-share", metavar="0..1", min=0, max=1, show_default=False,
            help="Allow this push to remove more than gates.max_removed_share.",
        ),
    ] = None,
    max_changed_share: Annotated[
        float | None,
        typer.Option(
            "--max-changed-share", metavar="0..1", min=0, max=1, show_default=False,
            help="Allow this push to replace or remove more than gates.max_changed_share.",
        ),
    ] = None,
    over_budget: Annotated[
        bool,
        typer.Option("--over-budget", help="Allow this push more than gates.max_vectors and gates.max_cost."),
    ] = False,
) -> None:  # fmt: skip
    """Bring the target to hold a version, point staging at it, and run the gates."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    if plan is not None and (version, strategy, load) != (None, None, None):
        raise click.UsageError("--plan names version, strategy and load already: leave them out")
    if plan is not None and target is not None:
        raise click.UsageError("--plan names its targets already: leave --target out")
    saved = read_plans(plan) if plan is not None else []
    if saved and saved[0].dataset != name:
        raise RefusedError(
            f"{plan} is a plan of {saved[0].dataset}, not of {name}", fix="Make one for it: plan --out FILE"
        )
    project = session.project()
    targets = [one.target for one in saved] or ([project.place(name, target)] if target else project.places(name))
    on_drift = on_drift or _asked(session, name, version, saved, strategy, targets)
    config: dict[str, Any] = {
        "version": _announced(session, name, version, saved, strategy, load, on_drift, targets),
        "by": who(),
        "plan_json": plan.read_text(encoding="utf-8") if plan is not None else None,
        "allow_removed_share": max_removed_share,
        "allow_changed_share": max_changed_share,
        "over_budget": True if over_budget else None,
        "strategy": strategy,
        "load": load,
        "on_drift": on_drift,
        "target": target,
    }
    staged = _pushed(session, name, {key: value for key, value in config.items() if value is not None}, targets)
    if not staged:
        return
    if not saved or saved[0].goal == "staging":
        session.next("promote", *session.named(name))
        return
    before = session.project().standing(name, "production")
    stop(run(session, name, "promote", {"verb": "promote", "by": who(), "version": saved[0].version}), [], "")
    moved_line(session, name, before)
    session.next("query", *session.named(name), '"your question"')


def _asked(
    session: Session, name: str, version: int | None, saved: "list[Plan]", strategy: str | None, targets: list[str]
) -> OnDrift | None:
    """What a person at the terminal wants done about another hand in an index; None without either."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    parts: list[Plan | None] = [*saved] or [None] * len(targets)
    drifted: list[DriftReport] = []
    for part, target in zip(parts, targets, strict=True):
        with _left_to_its_turn(targets):
            drifted += session.project().drift_in_the_way(
                name, version=version, saved=part, strategy=strategy, target=target
            )
    if not drifted:
        return None
    for report in drifted:
        complain(f"Somebody else has written to {report.namespace}: {report.summary}")
    answer: OnDrift = typer.prompt(
        "Stop, repair it first, or ignore it?",
        type=click.Choice(["stop", "repair", "ignore"]),
        default="stop",
        err=True,
    )
    if answer == "stop":
        say("Nothing was written.")
        raise typer.Exit(1)
    return answer


def _announced(
    session: Session,
    name: str,
    version: int | None,
    saved: "list[Plan]",
    strategy: str | None,
    load: "Load | None",
    on_drift: str | None,
    targets: list[str],
) -> int:
    """Say what is about to happen, or in one line why it cannot; returns the version."""
    from vector_pipeline.report.changes import plan_summary

    project = session.project()
    number = project.version(name, saved[0].version if saved else version).number
    plans = list(saved)
    for place in [] if saved else targets:
        with _left_to_its_turn(targets):
            plans.append(project.plan(name, version=number, strategy=strategy, load=load, target=place))
    for planned in plans:
        # A target that is the only one needs no name.
        where = f"{planned.target}: " if len(project.configured(name)) > 1 else ""
        if saved:
            say(f"{where}Applying the plan for v{planned.version}. {plan_summary(planned)}")
            continue
        for note in planned.notes if load is not None else ():
            say(f"{where}Note: {note}")
        if planned.empty:
            say(f"{where}The target holds v{planned.version} already: nothing to write.")
        elif on_drift != "repair":
            into = f"{planned.strategy} into {planned.namespace}"
            say(f"{where}Pushing v{planned.version}, {into}. {plan_summary(planned)}")
    return number


@contextmanager
def _left_to_its_turn(targets: list[str]) -> Iterator[None]:
    """Of several targets one that does not answer stops the push when its turn comes, with what can be done about it."""
    try:
        yield
    except UnavailableError:
        if len(targets) == 1:
            raise


def _pushed(session: Session, name: str, config: dict[str, Any], targets: list[str]) -> bool:
    """Run it and say where that leaves the version; returns whether it is on staging."""
    number = config["version"]
    try:
        outcome = run(session, name, "push", config)
    except typer.Exit:
        # Interrupted.
        session.stopped += _going_on(session, name)
        raise
    gates, modes = gates_in(session, name, outcome.run_id, number), session.project().modes(name)
    if gates:
        say_report(session, name, number)
    try:
        stop(outcome, gates, f"v{number}", lambda: standing_of(session, name, number, pushed=True), modes=modes)
    except typer.Exit as end:
        if end.exit_code == _INTERRUPTED:
            complain(f"Error: the push of v{number} {_how_far(session, name)}")
        raise
    staged, line, advice = _where(session, name, number, targets)
    say(line)
    retried = _retried(session, name, outcome.run_id)
    if retried:
        say(retried)
    show_gates(gates, modes)
    if advice:
        session.next(*advice)
    return staged


def _where(session: Session, name: str, number: int, targets: list[str]) -> tuple[bool, str, tuple[str, ...]]:
    """Whether a version that was pushed is on staging, how to say it, and what comes next where it is not."""
    from vector_pipeline.report.places import named

    project = session.project()
    if len(project.configured(name)) == 1:
        return True, f"v{number} is on staging.", ()
    on = [one.deployment.target for one in project.standing(name, "staging") if one.deployment.version == number]
    missing = [one for one in project.places(name) if one not in on]
    if not missing:
        return True, f"v{number} is on staging of {named(on)}.", ()
    held = {one.target for one in project.held_at(project.version(name, number))}
    lacking = [one for one in missing if one not in held]
    words = (*session.named(name), f"--version {number}")
    if lacking:
        line = f"v{number} is on {named(targets)}. Staging moves when it is on {named(lacking)} too."
        return False, line, ("push", *words)
    return (
        False,
        f"v{number} is on {named(targets)}. Staging holds a later version and was not moved.",
        ("promote", *words),
    )


def _retried(session: Session, name: str, run_id: str) -> str:
    """What a run's writes tried again, in one line."""
    from vector_pipeline.release.journalling import retried_by
    from vector_pipeline.report.changes import retried_line

    project = session.project()
    return retried_line(retried_by(project.registry(read_only=True), name, project.environment, run_id))


def _how_far(session: Session, name: str) -> str:
    """Where the last push was stopped, as its journal says."""
    from vector_pipeline.release.apply import stopped
    from vector_pipeline.release.plan import Plan

    try:
        registry = session.project().registry(read_only=True)
        last = registry.pushes(name, session.project().environment, limit=1)
    except NotFoundError:
        last = []
    if not last:
        return stopped(0, 0)
    entries = registry.journal(last[0].id)
    landed = sum(int((entry.outcome_payload or {}).get("records", 0)) for entry in entries if entry.outcome == "landed")
    return stopped(landed, Plan.from_json(last[0].plan).writes)


def _going_on(session: Session, name: str) -> str:
    """What the service does when a push is interrupted that watched an import."""
    from vector_pipeline.release.loading import GOING_ON

    try:
        registry = session.project().registry(read_only=True)
        last = registry.pushes(name, session.project().environment, limit=1)
    except NotFoundError:
        return ""
    entries = registry.journal(last[0].id) if last else []
    if not entries or entries[-1].step not in GOING_ON:
        return ""
    return "; the import goes on at the service: push watches it again, push --load upsert cancels it"
