"""``space``: the spaces of a dataset. ``list`` shows them with what needs them, ``retire`` drops one that nothing needs."""

from typing import Annotated

import typer

from vector_pipeline.cli.app import Command, Json, app, session_of, split_dataset
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.running import run, stop
from vector_pipeline.cli.session import who

space = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The spaces of a dataset: which there are, what needs them, and retiring one.",
)
app.add_typer(space, name="space")


@space.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="[DATASET]", help="Default: every dataset of the project.", show_default=False),
    ] = None,
    json_: Json = False,
) -> None:
    """List every space that a dataset has or had: what it takes, what needs it, whether it can be retired."""
    from vector_pipeline.report.spacestable import spaces_lines

    session = session_of(ctx)
    project = session.project()
    names = [session.dataset(dataset)] if dataset is not None else list(project.config.datasets)
    found = [one.to_json() for name in names for one in project.spaces_of(name)]
    if json_:
        emit(found)
        return
    show(spaces_lines(found))
    idle = next((one for one in found if one["retire"] == "yes"), None)
    if idle is not None:
        twins = [one for one in found if (one["dataset"], one["space"]) == (idle["dataset"], idle["space"])]
        which = [f"--fingerprint {idle['fingerprint'][:8]}"] if len(twins) > 2 else []
        session.next("space", "retire", *session.named(idle["dataset"]), idle["space"], *which)


@space.command(cls=Command)
def retire(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="[DATASET] SPACE", show_default=False)],
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", metavar="FP", show_default=False,
            help="Of several that had that name: the beginning of its fingerprint. Default: the one that is not configured.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without: only say what would be done.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Retire a space that nothing needs: its versions, namespaces and lake tables. A dry run unless --yes is given."""
    from vector_pipeline.report.spacestable import retirement_lines

    session = session_of(ctx)
    given, (name,) = split_dataset(words, 1, "SPACE")
    dataset = session.dataset(given)
    # Refused before a run begins, and asked again within it.
    value = session.project().retire(dataset, space=name, fingerprint=fingerprint, dry_run=True).to_json()
    again = ["space", "retire", *session.named(dataset), name]
    again += [f"--fingerprint {fingerprint}"] if fingerprint is not None else []
    if yes:
        config = {"space": name, "fingerprint": value["fingerprint"], "dry_run": False, "by": who()}
        outcome = run(session, dataset, "retire", config)
        stop(outcome, [], "retire")
        value = dict(outcome.values["retire"])
    if json_:
        emit(value)
        return
    show(retirement_lines(value))
    if not yes:
        left = value["versions"] or value["namespaces"] or value["tables"]
        session.next(*([*again, "--yes"] if left else ["space", "list", *session.named(dataset)]))
        return
    if value["files"]:
        from vector_pipeline.report.units import plural

        freed = plural(value["files"], "file")
        say(f"The collection frees its {freed} in the lake, an hour from now or later.")
    session.next("collect", *session.named(dataset), "--yes")
