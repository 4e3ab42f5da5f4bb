"""``blame``: since which version does a document answer a question? ``erase``: remove a document for good."""

from typing import Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Json, app, session_of, split_dataset
from vector_pipeline.cli.output import emit, show

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
