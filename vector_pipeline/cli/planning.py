"""``plan``: what a push would write; and how a saved plan is read back."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, VersionOption, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.errors import InputError


@app.command(cls=Command)
def plan(
    ctx: typer.Context,
    dataset: Dataset = None,
    version: VersionOption = None,
    json_: Json = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Save the plan for `push --plan FILE`.", show_default=False),
    ] = None,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 0 for no changes, 2 for changes, 1 for an error.")
    ] = False,
) -> None:
    """Show what a push would write to the target now. Writes nothing there."""
    from vector_pipeline.cli.shapes import plan_json
    from vector_pipeline.report.changes import plan_lines

    session = session_of(ctx)
    name = session.dataset(dataset)
    made = session.project().plan(name, version=version)
    if out is not None:
        _save(out, plan_json(made))
    if json_:
        emit(plan_json(made))
    else:
        show(plan_lines(made))
        if out is not None:
            say(f"Saved to {out}")
            session.next("push", *session.named(name), f"--plan {out}")
        elif made.empty:
            session.next("status", *session.named(name))
        else:
            session.next("push", *session.named(name), *([f"--version {version}"] if version else []))
    if detailed and not made.empty:
        raise typer.Exit(2)


def _save(path: Path, value: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"the plan cannot be saved to {path}: {error.strerror}") from None


def read_plan(path: Path) -> dict[str, Any]:
    """A saved plan, checked to be one. ``InputError`` where it is not."""
    from vector_pipeline.release.plan import Plan

    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the plan {path} cannot be read: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(
            f"{path} is no plan: it is not JSON", fix="Make one: vector-pipeline plan --out FILE"
        ) from None
    return Plan.from_json(value).to_json()
