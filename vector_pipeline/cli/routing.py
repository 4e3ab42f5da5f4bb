"""``route``: a share of production's readers gets another version, before everybody does."""

from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, Reason, VersionOption, app, session_of
from vector_pipeline.cli.output import emit, say, show

if TYPE_CHECKING:
    from vector_pipeline.release.registry import Route


def share_of(text: str) -> float:
    """``5%``, ``0.05`` or ``1``; a number above 1 wants its sign: ``5`` might be either."""
    digits, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(digits) / (100 if percent else 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no share: write 5% or 0.05") from None
    if not 0 < value <= 1:
        raise typer.BadParameter(f"{text!r} is no share of the readers: write 5% or 0.05, above 0 and at most 100%")
    return value


def shown(share: float) -> str:
    """``5%``, ``0.5%``."""
    return f"{share * 100:.4g}%"


@app.command(cls=Command)
def route(
    ctx: typer.Context,
    dataset: Dataset = None,
    version: VersionOption = None,
    share: Annotated[
        float | None,
        typer.Option("--share", metavar="SHARE", parser=share_of, help="Of the readers: 5% or 0.05.", show_default=False),
    ] = None,
    reason: Reason = "",
    off: Annotated[bool, typer.Option("--off", help="End the route: every reader gets what production names.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Give a share of production's readers another version. It moves no alias; promotion and rollback end it. Alone: show it."""
    from vector_pipeline.cli.session import who

    session = session_of(ctx)
    if off and (version is not None or share is not None):
        raise click.UsageError("--off ends the route: it takes neither --version nor --share")
    if (version is None) != (share is None):
        raise click.UsageError("a route needs both: --version N --share 5%")
    name = session.dataset(dataset)
    project = session.project()
    # A route is a word in the registry, not a run: nothing is computed, and nothing is written but that. None is made here.
    project.registry(read_only=True)
    named = session.named(name)
    if off:
        ended = project.unroute(name, by=who())
        if json_:
            emit(route_json(ended))
        elif ended is None:
            say(f"No reader of {name} was routed.")
        else:
            say(
                f"Every reader of {name} gets what production names; {shown(ended.share)} were routed to v{ended.version}."
            )
        return
    if version is not None and share is not None:
        found = project.route(name, version, share, by=who(), reason=reason)
        if json_:
            emit(route_json(found))
            return
        say(f"{shown(share)} of the readers of {name} get v{version}; the others what production names.")
        session.next("route", *named)
        return
    current = project.routed(name)
    if json_:
        emit(route_json(current))
        return
    if current is None:
        say(f"No reader of {name} is routed: all get what production names.")
        session.next("status", *named)
        return
    _show(current)
    space = project.version(name, current.version).space
    if project.serves(name, space):
        session.next("promote", *named, f"--version {current.version}")
        return
    say(f"To serve it to every reader, set `serving: {space}` in vector_pipeline.yaml; then:")
    session.next("push", *named)


def route_json(found: "Route | None") -> dict[str, Any] | None:
    """A route; None where there is none."""
    if found is None:
        return None
    return {
        "dataset": found.dataset,
        "environment": found.environment,
        "version": found.version,
        "deployments": list(found.deployments),
        "share": found.share,
        "since": found.at.isoformat(),
        "by": found.by,
        "reason": found.reason,
        "run_id": found.run_id,
    }


def _show(found: "Route") -> None:
    from vector_pipeline.report.tables import table
    from vector_pipeline.report.units import moment

    row = (f"v{found.version}", shown(found.share), moment(found.at), found.by, found.reason)
    show(table(("version", "share", "since (UTC)", "by", "reason"), [row], right=("share",)))
