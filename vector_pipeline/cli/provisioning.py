"""``provision``: make what the configuration of an environment names. Shows a plan first; deletes nothing, ever."""

import sys
from typing import TYPE_CHECKING, Annotated

import click
import typer

from vector_pipeline.cli.app import Command, Json, app, session_of
from vector_pipeline.cli.output import complain, emit, say

if TYPE_CHECKING:
    from vector_pipeline.provision.things import Thing


@app.command(cls=Command)
def provision(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Make it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    detailed: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode",
            help="With --dry-run: exit 0 for nothing to make, 2 for changes, 1 for an error or something in the way.",
        ),
    ] = False,
    tfvars: Annotated[
        bool,
        typer.Option("--tfvars", help="Print the variables of deploy/terraform and deploy/pulumi instead, as JSON."),
    ] = False,
    json_: Json = False,
) -> None:
    """Make what this environment names: databases, roles, bucket, registry, lake, indexes. Shows a plan first; deletes nothing."""
    from vector_pipeline.provision.lines import plan_lines
    from vector_pipeline.provision.provisioning import Provisioning

    if detailed and not dry_run:
        raise click.UsageError("--detailed-exitcode belongs to --dry-run")
    session = session_of(ctx)
    project = session.project()
    with Provisioning(project.config, project.base, project.environment) as work:
        if tfvars:
            from vector_pipeline.provision.variables import left_out, variables

            emit(variables(work))
            for line in left_out(work):
                complain(line)
            return
        plan = work.provision_plan()
        if not json_:
            for line in plan_lines(plan):
                say(line)
        if dry_run or plan.empty:
            if json_:
                emit(plan.to_json())
            else:
                session.next(*(("check",) if plan.empty else ("provision",)))
            if detailed and not plan.empty:
                raise typer.Exit(1 if plan.blocked else 2)
            return
        if not plan.blocked and not yes:
            _ask(json_=json_)
        made = work.provision(plan, None if json_ else _told)
    if json_:
        emit({**plan.to_json(), "made": made})
        return
    say(f"{made} made. Nothing was deleted.")
    session.next("check")


def _told(thing: "Thing") -> None:
    say(f"made: {thing.kind} {thing.name}")


def _ask(*, json_: bool) -> None:
    if json_ or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("nobody is there to ask: say --yes to make it, or --dry-run to only look")
    if not typer.confirm("Make it?"):
        complain("Nothing was made.")
        raise typer.Exit(1)
