"""``blame``: since which version does a document answer a question? ``erase``: remove a document for good."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, Reason, app, session_of, split_dataset
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.running import run, stop
from vector_pipeline.errors import UnavailableError

if TYPE_CHECKING:
    from vector_pipeline.trace.erased import Erased

Document = Annotated[str, typer.Option("--document", metavar="ID", help="Id of the document.", show_default=False)]
Space = Annotated[
    str | None, typer.Option("--space", metavar="NAME", help="Default: the one that is served.", show_default=False)
]


@app.command(cls=Command)
def blame(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar='[DATASET] "QUESTION"', show_default=False)],
    document: Document,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many hits count.")] = 10,
    space: Space = None,
    json_: Json = False,
) -> None:
    """Find the versions in which a document entered or left the answers to a question."""
    from vector_pipeline.report.traces import blame_lines

    session = session_of(ctx)
    dataset, (question,) = split_dataset(words, 1, '"QUESTION" (put the question in quotes)')
    if dataset is None and question in session.config().datasets:
        raise click.UsageError(f'the question is missing: blame {question} "QUESTION" --document ID')
    name = session.dataset(dataset)
    found = session.project().blame(name, question, document=document, top_k=top_k, space=space)
    if json_:
        emit(found.to_json())
        return
    show(blame_lines(found))
    last = next((change for change in reversed(found.changes) if change.previous is not None), None)
    words_ = (
        ("diff", *session.named(name), str(last.previous), str(last.version))
        if last
        else ("versions", *session.named(name))
    )
    session.next(*words_)


@app.command(cls=Command)
def erase(
    ctx: typer.Context,
    dataset: Dataset = None,
    document: Annotated[
        str | None,
        typer.Option(
            "--document", metavar="ID", show_default=False,
            help="Id of the document. Left out: finish the erasure that was interrupted.",
        ),
    ] = None,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without: only say what would be touched.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", show_default=False, help="Write the report there: JSON for .json, else Markdown."
        ),
    ] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Remove a document from every kept version, the vectors and the targets, for good. A dry run unless --yes is given."""
    from vector_pipeline.report.traces import erased_lines
    from vector_pipeline.trace.erased import Erased

    session = session_of(ctx)
    name = session.dataset(dataset)
    found = session.project().erase(name, document=document, reason=reason, dry_run=True)
    if yes:
        # Resolved already: the run must erase what was looked at.
        config: dict[str, Any] = {"document": found.document, "reason": reason}
        outcome = run(session, name, "erase", config)
        stop(outcome, [], "")
        found = Erased.from_json(outcome.values["erase"])
    if report is not None:
        _write(found, report)
    if json_:
        emit(found.to_json())
    else:
        show(erased_lines(found))
        if not yes:
            words = [
                "erase",
                *session.named(name),
                *(["--document", shlex.quote(document)] if document else []),
                *(["--reason", shlex.quote(reason)] if reason else []),
                *(["--report", shlex.quote(str(report))] if report is not None else []),
                "--yes",
            ]
            session.next(*words)
        else:
            say(f"The report is in {report}." if report is not None else "Keep this report: see --report FILE.")
            session.next("status", *session.named(name))
    if yes and not found.gone:
        raise typer.Exit(1)


def _write(found: "Erased", file: Path) -> None:
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False) if file.suffix == ".json" else found.to_markdown()
    try:
        file.write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
    except OSError as error:
        raise UnavailableError(
            f"the report cannot be written to {file}: {error.strerror}", fix="See --report"
        ) from None
