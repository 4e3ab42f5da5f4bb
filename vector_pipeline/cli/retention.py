"""``pin`` and ``unpin``, ``expire`` and ``collect``: what is kept, what may go, and deleting it. The last two are dry runs unless
``--yes`` is given.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import typer

from vector_pipeline.cli.app import Command, Json, app, session_of, split_dataset, version_number
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.running import run, stop
from vector_pipeline.cli.session import Session, who

Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without: only say what would be done.")]
Some = Annotated[
    str | None,
    typer.Argument(metavar="[DATASET]", help="Default: every dataset of the project.", show_default=False),
]
Words = Annotated[list[str], typer.Argument(metavar="[DATASET] VERSION", show_default=False)]
GRACE_S = 3600.0


@app.command(cls=Command)
def pin(ctx: typer.Context, words: Words, json_: Json = False) -> None:
    """Keep a version, whatever its age: it neither expires nor is collected."""
    _pinned(session_of(ctx), words, on=True, json_=json_)


@app.command(cls=Command)
def unpin(ctx: typer.Context, words: Words, json_: Json = False) -> None:
    """Stop keeping a version for its own sake."""
    _pinned(session_of(ctx), words, on=False, json_=json_)


@app.command(cls=Command)
def expire(
    ctx: typer.Context,
    dataset: Some = None,
    yes: Yes = False,
    grace: Annotated[
        float,
        typer.Option("--grace", metavar="SECONDS", min=0, help="Spare states of the lake that are younger than this."),
    ] = GRACE_S,
    json_: Json = False,
) -> None:
    """Let versions go that nothing reaches, and states of the lake that none needs. A dry run unless --yes is given."""
    from vector_pipeline.report.retention import expiry_lines

    session = session_of(ctx)
    names = _existing(session, dataset)
    if yes:
        value = _merged(_runs(session, names, "expire", {"dry_run": False, "grace_s": grace}))
    else:
        value = session.project().expire(dataset, dry_run=True, grace_s=grace).to_json()
    if json_:
        emit(value)
        return
    show(expiry_lines(value))
    count = len(value["snapshots"]) + sum(len(one["expired"]) for one in value["datasets"])
    _next(session, dataset, ["expire", *_given(grace)], "collect", yes, count)


@app.command(cls=Command)
def collect(
    ctx: typer.Context,
    dataset: Some = None,
    yes: Yes = False,
    grace: Annotated[
        float,
        typer.Option("--grace", metavar="SECONDS", min=0, help="Spare files that were given up less ago than this."),
    ] = GRACE_S,
    json_: Json = False,
) -> None:
    """Delete what no kept version needs, in the targets and in the lake. A dry run unless --yes is given."""
    from vector_pipeline.report.retention import collection_lines

    session = session_of(ctx)
    names = _existing(session, dataset)
    if yes:
        value = _merged(_runs(session, names, "collect", {"dry_run": False, "grace_s": grace, "by": who()}))
    else:
        value = session.project().collect(dataset, dry_run=True, grace_s=grace).to_json()
    if json_:
        emit(value)
        return
    show(collection_lines(value))
    lines = [line for one in value["collections"] for line in one["lines"] if line["skipped"] is None]
    count = len(value["files"]) + sum(line["records"] + len(line["retire"]) + line["drop"] for line in lines)
    _next(session, dataset, ["collect", *_given(grace)], "status", yes, count)


def _given(grace: float) -> list[str]:
    return [f"--grace {grace:g}"] if grace != GRACE_S else []


def _pinned(session: Session, words: list[str], *, on: bool, json_: bool) -> None:
    from vector_pipeline.cli.shapes import version_json

    dataset, (word,) = split_dataset(words, 1, "VERSION")
    name, number = session.dataset(dataset), version_number(word)
    # A pin is a word in the registry, not a run: nothing is computed, and nothing is written but that.
    session.project().registry(read_only=True)
    version = session.project().pin(name, number, on)
    if json_:
        emit(version_json(version))
        return
    say(f"v{version.number} of {name} is {'pinned: it is kept until it is unpinned' if on else 'no longer pinned'}.")
    session.next("versions", *session.named(name))


def _existing(session: Session, dataset: str | None) -> list[str]:
    """The datasets that are meant. Neither verb makes a lake or a registry: ``NotFoundError`` when there is none."""
    project = session.project()
    names = [session.dataset(dataset)] if dataset is not None else list(project.config.datasets)
    project.lake(read_only=True)
    project.registry(read_only=True)
    session.close()
    return names


def _runs(
    session: Session, names: Iterable[str], verb: Literal["expire", "collect"], config: dict[str, Any]
) -> list[Mapping[str, Any]]:
    """One run a dataset, as in the UI."""
    found: list[Mapping[str, Any]] = []
    for name in names:
        outcome = run(session, name, verb, config)
        stop(outcome, [], verb)
        found.append(outcome.values[verb])
    return found


def _merged(values: list[Mapping[str, Any]]) -> dict[str, Any]:
    """One result of several: lists one behind the other, each thing once."""
    merged: dict[str, Any] = {}
    for value in values:
        for key, one in value.items():
            if isinstance(one, list):
                merged[key] = merged.get(key, []) + [item for item in one if item not in merged.get(key, [])]
            else:
                merged[key] = one
    return merged


def _next(session: Session, dataset: str | None, verb: list[str], after: str, yes: bool, count: int) -> None:
    named = [dataset] if dataset is not None else []
    if count and not yes:
        session.next(verb[0], *named, *verb[1:], "--yes")
    else:
        several = after == "status" and not named and len(session.project().config.datasets) > 1
        session.next(*(("versions", *list(session.project().config.datasets)[:1]) if several else (after, *named)))
