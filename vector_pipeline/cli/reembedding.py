"""``reembed``: fill a space that does not serve, up to a judged version beside production; and how far it is."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Json, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.reporting import say_report
from vector_pipeline.cli.running import checks_of, run, show_gates, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.errors import InputError, NotFoundError
from vector_pipeline.report.units import plural

if TYPE_CHECKING:
    from vector_pipeline.release.spacefill import SpaceFill

STATUS = "status"
_WATCH_S = 2.0


@app.command(cls=Command)
def reembed(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[status] [DATASET]", help="`status` only tells how far it is.", show_default=False),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space", metavar="NAME", help="The space. Default: the only one that does not serve.", show_default=False
        ),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option("--shards", metavar="A-B", help="These shards alone. Default: all.", show_default=False),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="N", min=0.001, help="Texts a second. Default: reembed.max_texts_per_s.", show_default=False
        ),
    ] = None,
    over_budget: Annotated[bool, typer.Option("--over-budget", help="Embed more than reembed.max_texts or max_cost.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Of status: tell it again and again until it is whole.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Fill a new embedding space in the background of the one that serves, and write its version beside production."""
    session, given = session_of(ctx), list(words or [])
    asked = given[:1] == [STATUS]
    if len(given) > 1 + asked:
        raise typer.BadParameter(f"expected [status] [DATASET], got {len(given)} words")
    if asked and (shards or rate or over_budget):
        raise typer.BadParameter("status fills nothing: it takes no --shards, --rate or --over-budget")
    if not asked and (watch or json_):
        raise typer.BadParameter("--watch and --json go with `reembed status`")
    name = session.dataset(given[asked] if len(given) > asked else None)
    wanted = _space(session, name, space)
    if asked:
        _tell(session, name, wanted, watch=watch, json_=json_)
        return
    _fill(
        session,
        name,
        wanted,
        {"shards": _range(session, name, shards), "texts_per_s": rate, "over_budget": over_budget or None},
    )


def _space(session: Session, name: str, asked: str | None) -> str:
    settings = session.project().dataset(name)
    if asked is not None:
        session.project().space(name, asked)
        return asked
    others = [one for one in settings.spaces if one != settings.serving_space]
    if not others:
        raise InputError(
            f"{name} has one space, {settings.serving_space}, and it serves",
            fix="Add the new one under `spaces:` in vector_pipeline.yaml, and leave `serving:` as it is",
        )
    if len(others) > 1:
        raise InputError(
            f"{name} has several spaces that do not serve: {', '.join(others)}", fix="Name one: --space NAME"
        )
    return others[0]


def _range(session: Session, name: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    count = session.project().dataset(name).shards
    bounds = [first, last or first]
    if not all(one.isascii() and one.isdigit() for one in bounds) or not int(bounds[0]) <= int(bounds[1]) < count:
        raise typer.BadParameter(f"{text!r} names no shards: write A-B, from 0 to {count - 1}")
    return list(range(int(bounds[0]), int(bounds[1]) + 1))


def _fill(session: Session, name: str, space: str, asked: dict[str, Any]) -> None:
    project = session.project()
    if project.serves(name, space):
        raise InputError(f"{space} serves {name}: a build fills it", fix=f"vector-pipeline build {name}")
    if not project.fill_status(name, space).total.documents:
        raise NotFoundError(f"{name} has no documents yet", fix=f"Build it first: vector-pipeline build {name}")
    config = {"space": space, "by": who(), **{option: value for option, value in asked.items() if value is not None}}
    outcome = run(session, name, "reembed", config)
    values = {key.rpartition("/")[2]: value for key, value in outcome.values.items() if "passed" not in value}
    made = values.get("embeddings", {})
    if made:
        rate = f" ({made['texts_per_second']:,.1f} a second)" if made.get("texts_per_second") else ""
        say(f"Space {space}: {plural(made.get('embedded', 0), 'text')} embedded{rate}")
    elif outcome.success:
        say(f"Space {space}: nothing to embed")
    stop(outcome, checks_of(outcome), f"space {space} of {name}", lambda: "Production is unchanged")
    left = session.project().unfilled(name, space)
    if left:
        status = session.project().fill_status(name, space)
        say(_left(left, status))
        look = () if status.whole else (STATUS,)
        session.next("reembed", *look, *session.named(name), f"--space {space}")
        return
    pushed = values.get("staging_index", {})
    if not pushed:
        raise NotFoundError(
            f"nothing of space {space} was pushed", fix=f"vector-pipeline reembed {name} --space {space}"
        )
    number = int(pushed["version"])
    say(
        f"v{number} of space {space} stands beside production in {pushed['namespace']}: {plural(pushed['records'], 'record')}."
    )
    gates = checks_of(outcome)
    show_gates(
        [one for one in gates if one.name not in ("chunks expectations", "embeddings expectations")],
        project.modes(name),
    )
    say_report(session, name, number)
    if session.project().status(name).production is not None:
        share = session.command("route", *session.named(name), f"--version {number}", "--share 5%")
        say(f"To try it on a share of the readers first: {share}")
    say(f"To serve it, set `serving: {space}` in vector_pipeline.yaml; then:")
    session.next("push", *session.named(name))


def _left(left: int, status: "SpaceFill") -> str:
    """How many shards are left, and how many of these have documents: as the table of `reembed status` counts them."""
    said = f"{left} of {plural(len(status.shards), 'shard')} are left"
    empty = max(left - sum(not one.state.whole for one in status.shards), 0)
    if not empty:
        return f"{said}."
    if empty == left:
        return f"{said}, and none of them has a document: all is embedded, and the next fill of all shards makes the version."
    return f"{said}, of which {empty} have no document."


def _tell(session: Session, name: str, space: str, *, watch: bool, json_: bool) -> None:
    from vector_pipeline.report.filling import fill_json, fill_lines

    while True:
        status = session.project().fill_status(name, space)
        if json_:
            emit(fill_json(status))
        else:
            show(fill_lines(status))
        if not watch or status.whole:
            break
        time.sleep(_WATCH_S)
        session.close()
    if not json_:
        _next(session, name, status)


def _next(session: Session, name: str, status: "SpaceFill") -> None:
    named = session.named(name)
    if status.serves:
        session.next("status", *named)
    elif not status.whole or status.newest is None:
        if status.whole:
            say("Every document is in it, and it has no version yet.")
        session.next("reembed", *named, f"--space {status.space}")
    else:
        say(f"It is whole. To serve it, set `serving: {status.space}` in vector_pipeline.yaml; then:")
        session.next("push", *named)
