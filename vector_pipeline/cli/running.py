"""Writing verbs run as Dagster jobs, in this process: the same runs, events and checks as the UI shows."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import click
import typer

from vector_pipeline.cli import INTERRUPTED
from vector_pipeline.cli.output import complain, say, show
from vector_pipeline.cli.progress import watching
from vector_pipeline.cli.session import Session

if TYPE_CHECKING:
    from vector_pipeline.config.gates import Mode
    from vector_pipeline.definitions import RunOutcome
    from vector_pipeline.verify.outcome import CheckResult

_UNCHANGED = "Production is unchanged"
Verb = Literal[
    "build",
    "push",
    "verify",
    "promote",
    "release",
    "reembed",
    "audit",
    "attest",
    "repair",
    "expire",
    "collect",
    "retire",
    "erase",
    "adopt",
]
"""The jobs of a dataset; of the last eight, ``outcome.values[verb]`` is what the project's method returned, as JSON."""


def run(session: Session, dataset: str, verb: Verb, config: dict[str, Any] | None = None) -> "RunOutcome":
    """Run a dataset's job to its end. Dagster is imported here and nowhere else in the command line."""
    environment = session.project().environment
    path = session.config_path()
    # Before a run is begun, and recorded as one that failed.
    session.project().require_writable()
    # The run opens a project of its own in this process; ours is opened anew afterwards.
    session.close()
    from vector_pipeline.definitions import run_job

    with watching() as seen:
        outcome = run_job(path, dataset, verb, environment=environment, config=config)
    if outcome.interrupted_in is not None:
        # Whatever the interrupt became in the libraries that it met, it was no error.
        session.stopped = f" in {outcome.interrupted_in}" if outcome.interrupted_in else " before it began"
        session.stopped += f" ({seen.last})" if outcome.interrupted_in and seen.last else ""
        raise typer.Exit(INTERRUPTED)
    return outcome


def stop(
    outcome: "RunOutcome",
    gates: "list[CheckResult]",
    what: str,
    left: Callable[[], str] = lambda: _UNCHANGED,
    *,
    modes: "Mapping[str, Mode] | None" = None,
) -> None:
    """End the command with exit code 1 if the run failed: gates and their faults first, then one line for each error.

    ``left``: where a version stands all the same whose gates failed.
    """
    if outcome.success:
        return
    blocking = [gate.name for gate in gates if gate.blocks]
    if blocking:
        show_gates(gates, modes)
        complain(f"Error: {what} did not pass: {', '.join(blocking)}. {left()}")
        raise typer.Exit(1)
    lines = [str(error) for error in outcome.errors] or outcome.messages
    session = click.get_current_context().ensure_object(Session)
    for line in dict.fromkeys(lines):
        complain(f"Error: {session.repeatable(' '.join(line.split()))}")
    if not lines:
        complain(f"Error: the run failed; Dagster has its log (run {outcome.run_id})")
    raise typer.Exit(1)


def standing_of(session: Session, dataset: str, number: int, *, pushed: bool = False) -> str:
    """Where a version stands, as sentences without the last stop. ``pushed``: staging may have moved just now."""
    from vector_pipeline.report.places import named

    project = session.project()
    several = len(project.configured(dataset)) > 1

    def held(rank: str, before: str) -> str | None:
        on = [one.deployment.target for one in project.standing(dataset, rank) if one.deployment.version == number]
        return None if not on else f"{before} {named(on)}" if several else ""

    staging, production = held("staging", " of") if pushed else None, held("production", " on")
    said = [f"It is on staging{staging}"] if staging is not None else []
    return ". ".join([*said, _UNCHANGED if production is None else f"Production serves it{production}"])


def checks_of(outcome: "RunOutcome") -> "list[CheckResult]":
    """The checks that a run evaluated, from its events: name, status and summary."""
    from vector_pipeline.verify.outcome import CheckResult, Status

    found = []
    for name, value in outcome.values.items():
        if "passed" in value and "summary" in value:
            status = Status(value["status"]) if value.get("status") in set(Status) else Status.UNKNOWN
            found.append(CheckResult(name.rpartition(":")[2].replace("_", " "), status, str(value["summary"])))
    return found


def show_gates(gates: "list[CheckResult]", modes: "Mapping[str, Mode] | None" = None) -> None:
    """Gates by name, status and summary, how strict they are where they do not block, and up to five faults."""
    from vector_pipeline.report.tables import failing_examples, gates_table, off_line

    if not gates:
        return
    show(gates_table(gates, modes or {}))
    if off := off_line(modes or {}):
        say(off)
    faults = failing_examples(gates)
    if faults:
        say()
        say("Faults, for example:")
        for line in faults:
            say(f"  {line}")
