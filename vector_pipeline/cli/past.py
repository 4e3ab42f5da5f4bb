"""``history``: the timeline, one version's story, and what production served at a time. Uses the core directly."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, VersionOption, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.session import Session


@app.command(cls=Command)
def history(
    ctx: typer.Context,
    dataset: Dataset = None,
    version: VersionOption = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="WHEN", show_default=False,
            help="What production served then (UTC): 2026-11-20, 2026-11-20T14:30, today or yesterday.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most lines.")] = 50,
    json_: Json = False,
) -> None:  # fmt: skip
    """Tell what happened: moves of the aliases and what they changed, audits, repairs. With --version: all of one version."""
    session = session_of(ctx)
    if version is not None and at is not None:
        raise click.UsageError("--version and --at are two questions: ask one at a time")
    # Read before anything is opened: wrong usage is told even where there is no project.
    times = parse_when(at, datetime.now(UTC)) if at is not None else None
    name = session.dataset(dataset)
    if version is not None:
        _version(session, name, version, json_=json_)
    elif times is not None:
        _served(session, name, *times, json_=json_)
    else:
        _timeline(session, name, limit, json_=json_)


def _timeline(session: Session, name: str, limit: int, *, json_: bool) -> None:
    from vector_pipeline.cli.pastshapes import event_json
    from vector_pipeline.report.history import timeline_table

    events = session.project().timeline(name, limit=limit)
    spaces = session.project().version_spaces(name)
    if json_:
        emit([event_json(event, spaces) for event in events])
        return
    if events:
        show(timeline_table(events, spaces))
        if len(events) == limit:
            say(f"The newest {limit} are shown: see --limit.")
    else:
        say(f"Nothing has happened to {name} here yet.")
    session.next("status", *session.named(name))


def _version(session: Session, name: str, number: int, *, json_: bool) -> None:
    from vector_pipeline.cli.pastshapes import version_past_json
    from vector_pipeline.release.restoring import Touch
    from vector_pipeline.report.history import version_lines

    project, command = session.project(), _commands(session, name)
    past = project.version_past(name, number)
    if json_:
        emit(version_past_json(past, command))
        return
    show(version_lines(past, project.environment, command))
    touched = any(placed.index.touch is Touch.TOUCHED for placed in past.placed)
    session.next("drift" if touched else "history", *session.named(name))


def _served(session: Session, name: str, since: datetime, until: datetime, *, json_: bool) -> None:
    from vector_pipeline.cli.pastshapes import served_json
    from vector_pipeline.report.history import served_table

    command = _commands(session, name)
    found = session.project().served(name, since, until)
    if json_:
        emit({
            "dataset": name, "environment": session.project().environment, "from": since.isoformat(),
            "until": until.isoformat(), "served": [served_json(one, command) for one in found],
        })  # fmt: skip
        return
    if found:
        show(served_table(found, command))
    else:
        say(f"Production served nothing of {name} then.")
    session.next("history", *session.named(name))


def _commands(session: Session, name: str) -> Callable[[tuple[str, ...]], str]:
    return lambda words: session.command(words[0], *session.named(name), *words[1:])


def parse_when(text: str, now: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of a day, or one moment twice. A time without a zone is UTC. Wrong usage for what is neither."""
    days = {"today": now.date(), "yesterday": now.date() - timedelta(days=1)}
    word = text.strip().lower()
    if word == "now":
        return now, now
    try:
        day = days[word] if word in days else date.fromisoformat(word)
    except ValueError:
        return _moment(text, now)
    since = datetime.combine(day, time(), UTC)
    if since > now:
        raise typer.BadParameter(f"{text!r} is still to come")
    try:
        return since, since + timedelta(days=1)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is no time") from None


def _moment(text: str, now: datetime) -> tuple[datetime, datetime]:
    try:
        found = datetime.fromisoformat(text.strip())
        at = (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-20, 2026-11-20T14:30, today or yesterday"
        ) from None
    if at > now:
        raise typer.BadParameter(f"{text!r} is still to come")
    return at, at
