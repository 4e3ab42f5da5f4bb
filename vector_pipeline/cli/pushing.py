"""``push``: bring the target to hold a version; with a plan for production, all the way."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, VersionOption, app, session_of
from vector_pipeline.cli.output import complain, say
from vector_pipeline.cli.planning import LoadOption, StrategyOption, read_plan
from vector_pipeline.cli.running import run, show_gates, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.cli.writing import gates_in, moved_line
from vector_pipeline.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
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
    saved = read_plan(plan) if plan is not None else None
    if saved is not None and saved.dataset != name:
        raise RefusedError(
            f"{plan} is a plan of {saved.dataset}, not of {name}", fix="Make one for it: plan --out FILE"
        )
    on_drift = on_drift or _asked(session, name, version, saved, strategy)
    config: dict[str, Any] = {
        "version": _announced(session, name, version, saved, strategy, load, on_drift),
        "by": who(),
        "plan_json": plan.read_text(encoding="utf-8") if plan is not None else None,
        "allow_removed_share": max_removed_share,
        "over_budget": True if over_budget else None,
        "strategy": strategy,
        "load": load,
        "on_drift": on_drift,
    }
    _pushed(session, name, {key: value for key, value in config.items() if value is not None})
    if saved is None or saved.goal == "staging":
        session.next("promote", *session.named(name))
        return
    before = session.project().status(name).production
    stop(run(session, name, "promote", {"verb": "promote", "by": who(), "version": saved.version}), [], "")
    moved_line(session, name, before)
    session.next("query", *session.named(name), '"your question"')


def _asked(
    session: Session, name: str, version: int | None, saved: "Plan | None", strategy: str | None
) -> OnDrift | None:
    """What a person at the terminal wants done about another hand in the index; None without either."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    drifted = session.project().drift_in_the_way(name, version=version, saved=saved, strategy=strategy)
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
    saved: "Plan | None",
    strategy: str | None,
    load: "Load | None",
    on_drift: str | None,
) -> int:
    """Say what is about to happen, or in one line why it cannot; returns the version."""
    from vector_pipeline.report.changes import plan_summary

    project = session.project()
    if saved is not None:
        say(f"Applying the plan for v{saved.version}. {plan_summary(saved)}")
        return project.version(name, saved.version).number
    planned = project.plan(name, version=version, strategy=strategy, load=load)
    for note in planned.notes if load is not None else ():
        say(f"Note: {note}")
    if planned.empty:
        say(f"The target holds v{planned.version} already: nothing to write.")
    elif on_drift != "repair":
        say(f"Pushing v{planned.version}, {planned.strategy} into {planned.namespace}. {plan_summary(planned)}")
    return planned.version


def _pushed(session: Session, name: str, config: dict[str, Any]) -> None:
    number = config["version"]
    outcome = run(session, name, "push", config)
    gates = gates_in(session, name, outcome.run_id, number)
    try:
        stop(outcome, gates, f"v{number}")
    except typer.Exit as end:
        if end.exit_code == _INTERRUPTED:
            complain(f"Error: the push of v{number} {_how_far(session, name)}")
        raise
    say(f"v{number} is on staging.")
    retried = _retried(session, name, outcome.run_id)
    if retried:
        say(retried)
    show_gates(gates)


def _retried(session: Session, name: str, run_id: str) -> str:
    """What a run's writes tried again, in one line."""
    from vector_pipeline.release.journalling import retried_by
    from vector_pipeline.report.changes import retried_line

    project = session.project()
    return retried_line(retried_by(project.registry(read_only=True), name, project.environment, run_id))


def _how_far(session: Session, name: str) -> str:
    """Where the last push was stopped, as its journal says."""
    from vector_pipeline.release.apply import stopped
    from vector_pipeline.release.loading import GOING_ON
    from vector_pipeline.release.plan import Plan

    try:
        registry = session.project().registry(read_only=True)
        last = registry.pushes(name, session.project().environment, limit=1)
    except NotFoundError:
        last = []
    if not last:
        return stopped(0, 0)
    entries = registry.journal(last[0].id)
    if entries and entries[-1].step in GOING_ON:
        return "watches no longer; the import goes on: the same command watches it again, push --load upsert cancels it"
    landed = sum(int((entry.outcome_payload or {}).get("records", 0)) for entry in entries if entry.outcome == "landed")
    return stopped(landed, Plan.from_json(last[0].plan).writes)
