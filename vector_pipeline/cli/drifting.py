"""``drift``: what the target holds against what it should hold; ``repair``: restore it."""

import sys
from typing import Annotated, Any, Literal

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import complain, emit, say, show
from vector_pipeline.cli.running import run, stop
from vector_pipeline.cli.session import Session, who

_ALIASES = ("production", "staging")


@app.command(cls=Command)
def drift(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATASET] [production|staging]", show_default=False,
            help="Both may be left out: the project's one dataset, and every alias.",
        ),
    ] = None,
    level: Annotated[
        Literal["count", "ids", "sample", "full"],
        typer.Option(
            "--level",
            help="count: did anybody write? ids: every record's identity and marks. sample: and some values. full: all values.",
        ),
    ] = "ids",
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, help="Records whose values `sample` compares.", show_default=False),
    ] = None,
    json_: Json = False,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 0 for no drift, 2 for drift, 1 for an error.")
    ] = False,
) -> None:  # fmt: skip
    """Compare what the target holds with what was deployed. Writes nothing to the target."""
    from vector_pipeline.report.drift import drift_lines

    session = session_of(ctx)
    dataset, alias = _split(session, words or [])
    name = session.dataset(dataset)
    # An audit of an hour that nobody can look up later was half done: it is kept, as the scheduled ones are.
    session.project().registry(read_only=True)
    reports = session.project().drift(
        name, alias, "sample" if sample is not None and level == "ids" else level, sample=sample, by=who()
    )
    drifted = any(report.drifted for report in reports)
    if json_:
        emit([report.to_json() for report in reports])
    else:
        show(drift_lines(reports))
        deep = ("--level full",) if level != "ids" else ()
        # Of a count nobody knows yet what is wrong.
        verb = "status" if not drifted else "drift" if level == "count" else "repair"
        session.next(verb, *session.named(name), *(deep if drifted else ()))
    if detailed and drifted:
        raise typer.Exit(2)


def _split(session: Session, words: list[str]) -> tuple[str | None, str | None]:
    """Dataset and alias. A dataset that is called like an alias is meant first."""
    if len(words) > 2:
        raise click.UsageError(f"expected [DATASET] [production|staging], got {len(words)} words")
    if len(words) == 1 and words[0] in _ALIASES and words[0] not in session.config().datasets:
        return None, words[0]
    alias = words[1] if len(words) == 2 else None
    if alias is not None and alias not in _ALIASES:
        raise click.UsageError(f"{alias!r} is no alias: it is production or staging")
    return (words[0] if words else None), alias


@app.command(cls=Command)
def repair(
    ctx: typer.Context,
    dataset: Dataset = None,
    level: Annotated[
        Literal["ids", "full"],
        typer.Option("--level", help="ids: what identity and marks show. full: compare and mend all values too."),
    ] = "ids",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_: Json = False,
) -> None:
    """Restore what the target should hold, of every kept version, with the fewest writes."""
    from vector_pipeline.report.drift import repair_lines

    session = session_of(ctx)
    name = session.dataset(dataset)
    plan = session.project().plan_repair(name, level=level)
    if not json_:
        show(repair_lines(plan))
    # A full look at what was compared and found right is worth recording: from then on a changed mark is news again.
    settled = plan.empty and level != "full"
    if dry_run or settled:
        if json_:
            emit(plan.to_json())
        else:
            given = ["--level full"] if level == "full" else []
            session.next(
                *(("status", *session.named(name)) if plan.empty else ("repair", *session.named(name), *given))
            )
        return
    if not yes and not plan.empty:
        _ask(json_=json_)
    outcome = run(session, name, "repair", {"level": level, "by": who()})
    stop(outcome, [], f"the repair of {name}")
    _told(session, name, outcome.values["repair"], json_=json_)


def _ask(*, json_: bool) -> None:
    if json_ or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("nobody is there to ask: say --yes to repair, or --dry-run to only look")
    if not typer.confirm("Repair now?"):
        complain("Nothing was changed.")
        raise typer.Exit(1)


def _told(session: Session, name: str, value: dict[str, Any], *, json_: bool) -> None:
    if json_:
        emit(value)
    else:
        written = value["upserted"] + value["derived"]
        say(f"Repaired: {written:,} written, {value['closed']:,} ended or reopened, {value['deleted']:,} deleted.")
        for report in value["reports"]:
            say(report["summary"])
        for alias, results in value["gates"].items():
            for result in results:
                say(f"{alias}: {result['name']} {result['status']}: {result['summary']}")
        session.next("drift" if value["drifted"] else "status", *session.named(name))
    if value["drifted"]:
        complain("Error: the target still differs from what it should hold. Somebody else may be writing to it")
        raise typer.Exit(1)
