"""``report``: one version as a page, for people who decide."""

import shlex
from pathlib import Path
from typing import Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Json, app, session_of, version_number
from vector_pipeline.cli.output import complain, emit, say
from vector_pipeline.cli.session import Session


@app.command(cls=Command)
def report(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="[DATASET] [N]", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", show_default=False,
            help="Where to write it. Default: .vector_pipeline/reports beside the configuration file.",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Write a page on a version (default: the one on staging): gates, answers, charts, plan, what changed. It needs no network."""
    from vector_pipeline.report.page.shapes import facts_json

    session = session_of(ctx)
    dataset, version = _named(session, words or [])
    name = session.dataset(dataset)
    facts, file = session.project().write_report(name, version, out=out)
    if json_:
        emit({**facts_json(facts), "file": str(file)})
    else:
        say(f"{name} v{facts.version.number}: {facts.outlook.value}. The report is in {shlex.quote(str(file))}")
        for why, command in facts.commands[:1]:
            say(f"{why}: {session.repeatable(command)}", style="dim")
    if open_:
        _show(file)


def say_report(session: Session, dataset: str, version: int) -> None:
    """Say where the run of the gates left its report, and how to look at it; nothing where it left none."""
    project = session.project()
    if project.report_file(dataset, version).exists():
        words = ("report", *session.named(dataset), str(version), "--open")
        say(f"Look at it: {session.command(*words)}", style="dim")


def _named(session: Session, words: list[str]) -> tuple[str | None, int | None]:
    """The dataset and the version, each of which may be left out. One word is a dataset if there is one of that name."""
    if len(words) > 2:
        raise click.UsageError(f"expected [DATASET] [N], got {len(words)} words")
    if len(words) == 2:
        return words[0], version_number(words[1])
    if not words:
        return None, None
    if words[0] not in session.config().datasets and words[0].removeprefix("v").isdigit():
        return None, version_number(words[0])
    return words[0], None


def _show(file: Path) -> None:
    import webbrowser

    try:
        shown = webbrowser.open(file.resolve().as_uri())
    except webbrowser.Error:
        shown = False
    if not shown:
        complain(f"No browser could be opened: open {shlex.quote(str(file))} yourself")
