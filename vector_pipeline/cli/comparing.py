"""``compare``: the answers of production and staging, or of any two versions, side by side."""

from pathlib import Path
from typing import Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Json, app, session_of, split_dataset, version_number
from vector_pipeline.cli.asking import parse_filter
from vector_pipeline.cli.output import console, emit, say, show
from vector_pipeline.errors import InputError

MOST = 100


@app.command(cls=Command)
def compare(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar='[DATASET] "QUESTION"', show_default=False)] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=MOST, help="Documents of each side.")] = 10,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="JSON", help="On metadata.", show_default=False)
    ] = None,
    versions: Annotated[
        tuple[str, str] | None,
        typer.Option("--versions", metavar="A B", help="Two versions. Default: production and staging.", show_default=False),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", metavar="FILE", show_default=False,
            help="Many questions, one a line (text, or JSON lines): a table, those that differ most first.",
        ),
    ] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Show what two versions answer to a question, side by side: what moved, what is new and what is gone."""
    from vector_pipeline.report.sidebyside import answer_lines, summary_lines
    from vector_pipeline.verify.canaries.search import Question
    from vector_pipeline.verify.suggest.log import read_log

    session, given = session_of(ctx), words or []
    pair = (version_number(versions[0]), version_number(versions[1])) if versions is not None else None
    restriction = parse_filter(filter_)
    if queries is None:
        dataset, (text,) = split_dataset(given, 1, '"QUESTION" (in quotes), or --queries FILE')
        if dataset is None and text in session.config().datasets:
            raise click.UsageError(f'the question is missing: compare {text} "QUESTION"')
        if not text.strip():
            raise InputError("the question is empty", fix="Ask something")
        questions = [Question(text, k, restriction)]
    else:
        dataset, _ = split_dataset(given, 0, "beside --queries FILE")
        questions = [Question(one.query, k, one.filter or restriction) for one in read_log(queries)]
    name = session.dataset(dataset)
    found = session.project().compare(name, questions, versions=pair)
    if json_:
        emit({"dataset": name, **found.to_json()})
        return
    if queries is None:
        show(answer_lines(found, found.answers[0], console().width))
    else:
        show(summary_lines(found, console().width))
    say()
    session.next("diff", *session.named(name), f"{found.left.version} {found.right.version}")
