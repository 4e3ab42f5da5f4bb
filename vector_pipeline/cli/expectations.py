"""``expectations``: what must hold of every document, chunk and vector: written down, shown, and as Data Docs."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, VersionOption, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from vector_pipeline.project import Project
    from vector_pipeline.verify.expectations import Evaluated
    from vector_pipeline.verify.expectations.suite import Kind, Suite

expectations = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What must hold of every document, chunk and vector.",
)
app.add_typer(expectations, name="expectations")


@expectations.command(cls=Command)
def init(ctx: typer.Context, dataset: Dataset = None) -> None:
    """Write the default suites as YAML to edit. What is there already stays as it is."""
    from vector_pipeline.verify.expectations.reading import default_text
    from vector_pipeline.verify.expectations.suite import KINDS

    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    configured = project.gates(name).expectations
    folder = project.base / (configured if configured is not None else Path("expectations") / name)
    for kind in KINDS:
        path = folder / f"{kind}.yaml"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(default_text(kind))
        except FileExistsError:
            say(f"{path} is there already: left as it is.")
        except OSError as error:
            raise UnavailableError(f"{path} cannot be written: {error.strerror}", fix="Check the folder") from None
        else:
            say(f"Wrote {path}.")
    if configured is None:
        said = folder.relative_to(project.base)
        say(
            f"Name the folder in the configuration, or it is not read: datasets: {name}: gates: {{expectations: {said}}}"
        )
    session.next("expectations", "show", *session.named(name))


@expectations.command("show", cls=Command)
def show_(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """Show the suites in force, and the columns that they may use."""
    from vector_pipeline.report.tables import table
    from vector_pipeline.verify.facts import COLUMNS

    session = session_of(ctx)
    name = session.dataset(dataset)
    suites = _suites(session.project(), name)
    if json_:
        emit({suite.kind: _suite_json(suite) for suite in suites})
        return
    for suite in suites:
        say(f"{suite.kind}: {suite.path if suite.path is not None else 'the default suite'}", style="bold")
        show(
            table(
                ("expectation", "type", "severity"),
                ((one.says, one.type, one.severity) for one in suite.expectations),
            )
        )
        say()
        show(table(("column", "what it is"), COLUMNS[suite.kind].items()))
        if suite.kind != "embeddings":
            say("metadata.<key>: the value of a key of the metadata")
        say()
    session.next("expectations", "docs", *session.named(name))


@expectations.command(cls=Command)
def docs(
    ctx: typer.Context,
    dataset: Dataset = None,
    version: VersionOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the pages in a browser.")] = False,
    json_: Json = False,
) -> None:
    """Evaluate the suites over a version, or over the lake's present state, and build Great Expectations' Data Docs of them."""
    from vector_pipeline.verify.expectations.datadocs import DATA_DOCS, build

    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    found = _evaluated(project, name, version)
    state = f"v{version}" if version is not None else "lake"
    page = build(project.base / DATA_DOCS / name / state, name, state, found)
    if json_:
        held = {one.suite.kind: all(finding.success for finding in one.findings) for one in found}
        emit({"page": str(page), "success": held})
    else:
        for one in found:
            good = sum(finding.success for finding in one.findings)
            say(f"{one.suite.kind}: {good} of {len(one.findings)} expectations hold for {one.rows:,} rows")
        say(f"Data Docs: {page}")
    if open_ and not webbrowser.open(page.as_uri()):
        raise UnavailableError(f"no browser opens here: {page}", fix="Open the file by hand")
    if not json_:
        session.next("verify", *session.named(name), *(("--version", str(version)) if version is not None else ()))


def _suites(project: "Project", name: str) -> "list[Suite]":
    """Suites with the values of the serving space."""
    from vector_pipeline.verify.expectations.reading import suite_of
    from vector_pipeline.verify.expectations.suite import KINDS, fill, parameters_of

    settings, gates, space = project.dataset(name), project.gates(name), project.space(name)
    values = parameters_of(
        gates, shards=settings.shards, allow_empty=settings.source.allow_empty, dimension=space.dimension,
        normalized=settings.spaces[settings.serving_space].embedder.normalize,
    )  # fmt: skip
    return [fill(suite_of(kind, gates, project.base), values) for kind in KINDS]


def _suite_json(suite: "Suite") -> dict[str, object]:
    return {
        "file": str(suite.path) if suite.path is not None else None,
        "expectations": [
            {"says": one.says, "type": one.type, "kwargs": dict(one.kwargs), "severity": one.severity}
            for one in suite.expectations
        ],
    }


def _evaluated(project: "Project", name: str, version: int | None) -> "list[Evaluated]":
    from vector_pipeline.release.snapshot import tables_of
    from vector_pipeline.verify.expectations import evaluated
    from vector_pipeline.verify.expectations.suite import KINDS

    wanted = project.version(name, version) if version is not None else None
    if wanted is not None and wanted.expired_at is not None:
        raise NotFoundError(f"version {version} of {name} has expired", fix=f"See: vector-pipeline versions {name}")
    settings = project.dataset(name)
    space = settings.spaces.get(wanted.space if wanted is not None else settings.serving_space)

    def one(kind: "Kind") -> "Evaluated":
        return evaluated(
            kind, project.lake(read_only=True), tables_of(wanted) if wanted is not None else project.tables(name),
            wanted, settings=settings, gates=project.gates(name), base=project.base,
            normalized=space is None or space.embedder.normalize,
        )  # fmt: skip

    return [one(kind) for kind in KINDS]
