"""``canary``: fixed questions that an index must answer. ``suggest`` proposes, ``accept`` takes, ``check`` looks them over."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of, split_dataset
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.session import Session
from vector_pipeline.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from vector_pipeline.verify.suggest.file import Added, Block
    from vector_pipeline.verify.suggest.suggestion import Suggested

canary = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fixed questions that an index must answer before a version is promoted.",
)
app.add_typer(canary, name="canary")


@canary.command(cls=Command)
def suggest(
    ctx: typer.Context,
    dataset: Dataset = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="FILE", show_default=False,
            help="Questions that were really asked: text, one a line, or JSON lines with `query` (and `filter`, `count`).",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=500, help="Most suggestions.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", show_default=False,
            help="Where what nobody has decided on is written. Default: beside the canaries, as `….suggested.yaml`.",
        ),
    ] = None,
    accept_: Annotated[bool, typer.Option("--accept", help="Take them all, unseen.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Propose canaries from the documents, and from a log of real questions. At a terminal each is shown: take it or leave it."""
    from vector_pipeline.report.canaries import asked_line, suggestions_table
    from vector_pipeline.verify.suggest.file import add, block_of

    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    own = project.canaries_path(name)
    file = out or own.with_name(f"{own.stem}.suggested.yaml")
    if file.exists() and not accept_:
        raise RefusedError(
            f"{_here(file)} exists already, and may hold what a person wrote",
            fix=f"Take it (vector-pipeline canary accept {name} {_here(file)}), remove it, or choose another: --out FILE",
        )
    found = project.suggest_canaries(name, log=log, count=count)
    blocks = [block_of(one) for one in found.suggestions]
    if not found.suggestions:
        _nothing(found, json_=json_)
        return
    if accept_:
        added = add(own, blocks)
        if json_:
            emit({"dataset": name, **_json(found), "file": str(own), "added": added.added})
            return
        show(suggestions_table(found))
        _said(session, name, added)
    elif not json_ and sys.stdin.isatty() and sys.stdout.isatty():
        from vector_pipeline.cli.reviewing import review

        say(asked_line(found))
        taken, left = review(found)
        _taken(session, name, taken)
        if left:
            _write(session, name, file, found, left)
            say(f"{len(left)} not decided: in {_here(file)}")
    else:
        _write(session, name, file, found, blocks)
        if json_:
            emit({"dataset": name, **_json(found), "file": str(file), "added": 0})
            return
        show(suggestions_table(found))
        say(f"Written to {_here(file)}: look whether each expected document is the right one.")
        session.next("canary accept", *session.named(name), _here(file))


@canary.command(cls=Command)
def accept(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="[DATASET] FILE", show_default=False)],
    json_: Json = False,
) -> None:
    """Add the canaries of a file, such as suggestions that were looked at, to the dataset's own. Nothing is added twice."""
    from vector_pipeline.verify.suggest.file import add, blocks_of

    session = session_of(ctx)
    dataset, (word,) = split_dataset(words, 1, "FILE")
    name = session.dataset(dataset)
    file, own = Path(word), session.project().canaries_path(name)
    if file.resolve() == own.resolve():
        raise click.UsageError(f"{word} is the dataset's own file")
    added = add(own, blocks_of(file))
    if json_:
        emit({"dataset": name, "file": str(own), "added": added.added, "known": added.known})
        return
    _said(session, name, added)


@canary.command(cls=Command)
def check(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """Hold the canaries against the newest version: documents, patterns and filters that it has not, and questions asked twice."""
    from vector_pipeline.report.canaries import looked_lines

    session = session_of(ctx)
    name = session.dataset(dataset)
    found = session.project().check_canaries(name)
    if json_:
        emit({"dataset": name, **found.to_json()})
    else:
        show(looked_lines(found, str(session.project().gates(name).canaries)))
        if not found.errors:
            session.next("verify", *session.named(name))
    if found.errors:
        raise typer.Exit(1)


def _here(path: Path) -> str:
    """As it is written from where the command runs."""
    try:
        return shlex.quote(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))


def _json(found: "Suggested") -> dict[str, object]:
    return {"asked": found.asked.to_json(), "suggestions": [one.to_json() for one in found.suggestions]}


def _nothing(found: "Suggested", *, json_: bool) -> None:
    if json_:
        emit({**_json(found), "file": None, "added": 0})
        return
    say(
        f"Nothing to suggest: of {found.looked_at} candidates none finds its document clearly, or all are canaries already."
    )


def _taken(session: Session, name: str, blocks: "list[Block]") -> None:
    from vector_pipeline.verify.suggest.file import add

    if blocks:
        _said(session, name, add(session.project().canaries_path(name), blocks))
    else:
        say("None was taken.")


def _said(session: Session, name: str, added: "Added") -> None:
    twice = f" ({added.known} were there already)" if added.known else ""
    say(f"{added.added} added to {_here(added.path)}{twice}")
    if session.project().gates(name).canaries is None:
        say(
            f"No gate reads it yet: under `datasets: {name}:` write `gates: {{canaries: {added.path.name}}}`",
            style="yellow",
        )
    else:
        session.next("canary check", *session.named(name))


def _write(session: Session, name: str, file: Path, found: "Suggested", blocks: "list[Block]") -> None:
    from vector_pipeline.verify.suggest.file import suggestions_text, write

    if not file.parent.is_dir():
        raise NotFoundError(f"{file.parent} is no folder", fix="Make it, or choose another: --out FILE")
    accept_ = session.command("canary accept", *session.named(name), _here(file))
    write(file, suggestions_text(name, found, blocks, accept_))
