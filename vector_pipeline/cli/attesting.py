"""``attest``: is the model still the one that made the vectors, and are they what it makes?"""

from typing import Annotated, Any

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import complain, emit, say, show
from vector_pipeline.cli.running import run, stop
from vector_pipeline.cli.session import Session


@app.command(cls=Command)
def attest(
    ctx: typer.Context,
    dataset: Dataset = None,
    space: Annotated[
        str | None, typer.Option("--space", metavar="NAME", help="Default: the serving space.", show_default=False)
    ] = None,
    quarantine: Annotated[
        bool,
        typer.Option("--quarantine", help="Move what is not believed out of the way: the next build makes it anew."),
    ] = False,
    whole: Annotated[
        bool, typer.Option("--all", help="Look at every stored text, not at a sample: names the wrong ones and no others.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything", help="Believe no vector of the space and no golden text: all are made anew with the model as it is."
        ),
    ] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Stored texts to look at.", show_default=False)
    ] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Embed golden texts and stored texts again, and compare. Moves nothing unless --quarantine is given."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    if whole and sample is not None:
        raise click.UsageError("--all looks at every text: leave --sample out")
    project = session.project()
    asked = space or project.dataset(name).serving_space
    found = project.attest(name, space=asked, whole=whole, everything=everything, sample=sample).to_json()
    doubted = found["doubted"] is not None and bool(found["doubted"]["rows"])
    if not json_:
        _show(found)
    if quarantine and doubted:
        settings = {"whole": whole, "everything": everything, "sample": sample, "seed": found["seed"]}
        outcome = run(session, name, "attest", {"space": asked, "quarantine": True, **settings})
        if not outcome.values.get("attest"):
            stop(outcome, [], f"the attestation of {name}")
        found = outcome.values["attest"]
        if not json_:
            say(f"Moved {found['moved']:,} rows into quarantine: no push can take them.")
    if json_:
        emit(found)
    else:
        _next(session, name, space, found, doubted=doubted, everything=everything)
    if not found["passed"] and not found["moved"]:
        complain(f"Error: {found['summary']}")
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("looked at", "compared", "differ", "worst distance", "verdict"):
        table.add_column(column, justify="left" if column in ("looked at", "verdict") else "right")
    table.add_row("golden texts", *_row(found["golden"], found["golden_moved"], found["golden_worst"]))
    # Where the model itself is another one, nothing is compared with it.
    of = f"stored vectors, of {found['vectors']:,}"
    table.add_row(of, *_row(found["sampled"], found["wrong"], found["worst"]))
    show(table)
    say(f"{found['space']}: {found['model']}. {found['summary']}.")
    doubted = found["doubted"]
    if doubted is not None and doubted["rows"]:
        documents = ", ".join(doubted["examples"][:5]) + (" …" if doubted["documents"] > 5 else "")
        say(
            f"Not believed: {doubted['vectors']:,} vectors of {doubted['documents']:,} documents ({documents}), written in "
            f"{doubted['commits']:,} commits."
        )
        for one in found["touched"]:
            of = f", which {' and '.join(one['aliases'])} serves" if one["aliases"] else ""
            say(f"  version {one['version']}{of}: {one['records']:,} records need them")
    if found["in_quarantine"]:
        say(f"In quarantine, and not made anew yet: {found['in_quarantine']:,} rows.")


def _row(compared: int, differ: int, worst: float) -> tuple[str, str, str, str]:
    if not compared:
        return "0", "-", "-", "not looked at"
    return f"{compared:,}", f"{differ:,}", f"{worst:.2g}", "differ" if differ else "as they were"


def _next(
    session: Session, name: str, space: str | None, found: dict[str, Any], *, doubted: bool, everything: bool
) -> None:
    given = ["--space", space] if space else []
    if found["moved"] or found["in_quarantine"]:
        session.next("build", *session.named(name))
    elif doubted:
        session.next("attest", *session.named(name), *given, *(["--everything"] if everything else []), "--quarantine")
    else:
        session.next("status", *session.named(name))
