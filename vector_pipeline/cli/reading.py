"""Verbs that list: versions, diff, documents. They use the core directly."""

from typing import Annotated, Any

import click
import typer

from vector_pipeline.cli.app import (
    Command,
    Dataset,
    Json,
    VersionOption,
    app,
    session_of,
    split_dataset,
    version_number,
)
from vector_pipeline.cli.output import emit, say, show


@app.command(cls=Command)
def versions(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """List the versions of a dataset, oldest first."""
    from vector_pipeline.cli.shapes import version_json
    from vector_pipeline.report.tables import versions_table

    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    found = project.versions(name)
    if json_:
        emit([version_json(version) for version in found])
        return
    if not found:
        say(f"{name} has no version yet.")
        session.next("build", *session.named(name))
        return
    names: dict[int, list[str]] = {}
    for alias in project.registry(read_only=True).aliases(name, project.environment):
        names.setdefault(alias.deployment.version, []).append(alias.name)
    show(versions_table(found, names))
    session.next("plan", *session.named(name))


@app.command(cls=Command)
def diff(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="[DATASET] A B", show_default=False)],
    json_: Json = False,
) -> None:
    """Show what changed from version A to version B, by document and by record."""
    from vector_pipeline.cli.shapes import diff_json
    from vector_pipeline.report.changes import diff_lines

    session = session_of(ctx)
    dataset, pair = split_dataset(words, 2, "A B")
    old, new = (version_number(word) for word in pair)
    name = session.dataset(dataset)
    found = session.project().diff(name, old, new)
    if json_:
        emit(diff_json(name, old, new, found))
        return
    show(diff_lines(old, new, found))
    session.next("plan", *session.named(name), f"--version {new}")


@app.command(cls=Command)
def documents(
    ctx: typer.Context,
    dataset: Dataset = None,
    version: VersionOption = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="List what could not become a document, with the reason.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most documents.")] = 100,
    json_: Json = False,
) -> None:
    """List the documents of a version, or of the lake's present state."""
    from vector_pipeline.report.tables import documents_table, quarantine_table

    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    if quarantined and version is not None:
        raise click.UsageError("--quarantined shows the present state: leave --version out")
    found: list[dict[str, Any]] = (
        list(project.quarantined(name)) if quarantined else project.documents(name, version=version, limit=limit)
    )
    if json_:
        emit(found)
        return
    if not found:
        say("Nothing is quarantined." if quarantined else "No document.")
    else:
        show(quarantine_table(found) if quarantined else documents_table(found))
        if not quarantined and len(found) == limit:
            say(f"The first {limit} are shown: see --limit.")
    session.next(*(("documents", *session.named(name)) if quarantined else ("versions", *session.named(name))))
