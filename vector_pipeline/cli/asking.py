"""``query``: a question to what an alias points at, through the reader that applications use."""

import json
from typing import Annotated, Any

import click
import typer

from vector_pipeline.cli.app import Command, Json, app, session_of, split_dataset
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.errors import InputError, NotFoundError


def parse_filter(text: str | None) -> dict[str, Any] | None:
    """A filter as JSON. ``InputError`` says where it is not."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"--filter is not JSON: {error}", fix='Write it like \'{"category": "statements"}\'') from None
    if not isinstance(value, dict):
        raise InputError("--filter must be a JSON object", fix='Write it like \'{"category": "statements"}\'')
    return value


@app.command(cls=Command)
def query(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar='[DATASET] "TEXT"', show_default=False)],
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="Hits.")] = 5,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="JSON", help="On metadata.", show_default=False)
    ] = None,
    alias: Annotated[str, typer.Option("--alias", metavar="NAME", help="production or staging.")] = "production",
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="NAME", help="One of several targets. Default: the first.", show_default=False
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Ask a question of what an alias points at."""
    from vector_pipeline.cli.shapes import hit_json
    from vector_pipeline.report.tables import hits_lines
    from vector_pipeline.serving import open_index

    session = session_of(ctx)
    dataset, (text,) = split_dataset(words, 1, '"TEXT" (put the question in quotes)')
    if dataset is None and text in session.config().datasets:
        raise click.UsageError(f'the question is missing: query {text} "TEXT"')
    name = session.dataset(dataset)
    wanted = parse_filter(filter_)
    if not text.strip():
        raise InputError("the query is empty", fix="Ask something")
    if alias not in ("production", "staging"):
        raise NotFoundError(f"no alias {alias!r}", fix="It is production or staging")
    path = session.config_path()
    # What an operator asks about is what the alias names: neither chance nor an outage chooses another version.
    with open_index(
        name, project=path, environment=session.environment, alias=alias, target=target, route=False, fallback=False
    ) as index:  # fmt: skip
        index.reach()  # Loading a model takes seconds: that there is nothing to ask is said before.
        hits = index.query(text, top_k=top_k, filter=wanted)
    if json_:
        emit([hit_json(hit) for hit in hits])
        return
    if hits:
        show(hits_lines(hits, session.project().version_spaces(name)))
    else:
        say("No hit.")
    session.next("status", *session.named(name))
