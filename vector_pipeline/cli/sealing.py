"""``environment``: the environments beside each other. ``seal``: who may write to this one."""

from dataclasses import asdict
from typing import Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Json, app, session_of
from vector_pipeline.cli.output import emit, say, show


@app.command(cls=Command)
def environment(ctx: typer.Context, json_: Json = False) -> None:
    """List the environments: which is meant here, what is sealed, whose registry and targets, what production serves there."""
    from vector_pipeline.report.tiers import tiers_table

    session = session_of(ctx)
    tiers = session.project().tiers()
    if json_:
        emit([{**asdict(one), "serves": dict(one.serves)} for one in tiers])
        return
    show(tiers_table(tiers))
    for one in tiers:
        if one.fault:
            say(f"{one.name}: {one.fault}")
    session.next("status")


@app.command(cls=Command)
def seal(
    ctx: typer.Context,
    share: Annotated[
        str | None,
        typer.Option("--share", metavar="ENV", show_default=False, help="Let another environment write to this registry."),
    ] = None,
    unshare: Annotated[
        str | None, typer.Option("--unshare", metavar="ENV", show_default=False, help="Not any more.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Take the seal off.")] = False,
    stand_for: Annotated[
        str | None,
        typer.Option(
            "--stand-for", metavar="ID", show_default=False,
            help="This registry is new and takes the place of one that was lost: what carries its id is this one's.",
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why, for the history: for --stand-for.")
    ] = "",
) -> None:  # fmt: skip
    """Seal this environment with the secret that its `sealed:` names, or say who else may write to its registry."""
    if sum((share is not None, unshare is not None, off, stand_for is not None)) > 1:
        raise click.UsageError("one thing at a time: --share, --unshare, --off or --stand-for")
    session = session_of(ctx)
    project = session.project()
    name = project.environment
    if share is not None or unshare is not None:
        other = str(share or unshare)
        project.share(other, on=share is not None)
        say(f"{other} {'may write' if share is not None else 'may write no more'} to the registry of {name}.")
    elif stand_for is not None:
        project.stand_for(stand_for, reason=reason)
        say(f"The registry of {name} stands for {stand_for}: what carries that id is its own.")
    elif off:
        say(f"{name} is not sealed any more." if project.unseal() else f"{name} was not sealed.")
    else:
        new = project.seal()
        say(f"{name} is sealed{'' if new else ' already'}: only who has its secret writes to it. Readers need none.")
    session.next("environment")
