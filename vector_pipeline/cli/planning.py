"""``plan``: what a push, or the whole way to production, would do; and how a saved plan is read back."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, VersionOption, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.cli.session import Session
from vector_pipeline.errors import InputError

if TYPE_CHECKING:
    from vector_pipeline.release.plan import Plan

StrategyName = Literal["auto", "versioned", "blue-green", "in-place"]
StrategyOption = Annotated[
    StrategyName | None,
    typer.Option(
        "--strategy", help="How the version gets into the target. Default: release.strategy.", show_default=False
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="One of several targets of the dataset, alone. Default: all.",
        show_default=False,
    ),
]
LoadName = Literal["auto", "upsert", "import"]
LoadOption = Annotated[
    LoadName | None,
    typer.Option(
        "--load", show_default=False,
        help="How a namespace that does not exist yet is filled: upserts, or an import of files. Default: release.load.",
    ),
]  # fmt: skip


SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space", metavar="NAME", show_default=False,
        help="What this space takes until it is whole and loaded, estimated: chunks, texts, tokens, time, money.",
    ),
]  # fmt: skip
SampleOption = Annotated[
    int | None,
    typer.Option(
        "--sample", metavar="N", show_default=False,
        help="With --space: documents that are cut to estimate what the lake does not hold. Default: 200.",
    ),
]  # fmt: skip


@app.command(cls=Command)
def plan(
    ctx: typer.Context,
    dataset: Dataset = None,
    to: Annotated[
        Literal["staging", "production"],
        typer.Option("--to", help="staging: what a push would do. production: the gates and the promotion too."),
    ] = "staging",
    version: VersionOption = None,
    strategy: StrategyOption = None,
    load: LoadOption = None,
    target: TargetOption = None,
    json_: Json = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Save the plan for `push --plan FILE`.", show_default=False),
    ] = None,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 0 for no changes, 2 for changes, 1 for an error.")
    ] = False,
    space: SpaceOption = None,
    sample: SampleOption = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="With --space: embed a few texts now, where no earlier fill tells how fast that goes.",
        ),
    ] = True,
) -> None:
    """Show what would be written to the target now, what it costs, and how; or what a new space takes. Writes nothing."""
    if space is not None:
        others = {
            "--version": version, "--strategy": strategy, "--load": load, "--out": out, "--detailed-exitcode": detailed or None,
            "--to production": True if to == "production" else None,
        }  # fmt: skip
        _plan_space(session_of(ctx), dataset, space, target, sample, others, measure=measure, json_=json_)
        return
    if sample is not None or not measure:
        raise click.UsageError(f"{'--no-measure' if sample is None else '--sample'} belongs to --space")
    from vector_pipeline.release.parts import plans_to_json
    from vector_pipeline.report.changes import plan_lines
    from vector_pipeline.report.places import plans_table

    session = session_of(ctx)
    name = session.dataset(dataset)
    made = session.project().plans(name, version=version, goal=to, strategy=strategy, load=load, target=target)
    if out is not None:
        _save(out, plans_to_json(made))
    if json_:
        emit(plans_to_json(made))
    else:
        for number, one in enumerate(made):
            if number:
                say()
            show(plan_lines(one))
        if len(made) > 1:
            say()
            show(plans_table(made))
        if out is not None:
            say(f"Saved to {out}")
        asked = {"--strategy": strategy, "--load": load, "--target": target}
        _next(session, name, made, out, version, {option: word for option, word in asked.items() if word})
    if detailed and not all(one.empty for one in made):
        raise typer.Exit(2)


def _plan_space(
    session: Session, dataset: str | None, space: str, target: str | None, sample: int | None, others: dict[str, Any], *,
    measure: bool, json_: bool,
) -> None:  # fmt: skip
    """``plan --space``. ``others``: options of a push's plan, which mean nothing to it."""
    from vector_pipeline.report.spaces import space_plan_lines

    given = [option for option, value in others.items() if value is not None]
    if given:
        raise click.UsageError(f"{given[0]} is of a push's plan: leave it out with --space")
    name = session.dataset(dataset)
    count = {} if sample is None else {"sample": sample}
    made = session.project().space_plan(name, space, measure=measure, target=target, **count)
    if json_:
        emit(made.to_json())
        return
    show(space_plan_lines(made))
    if not made.serves:
        session.next("reembed", *session.named(name), f"--space {space}")
    else:
        session.next("plan" if made.done else "build", *session.named(name))


def _next(
    session: Session, name: str, plans: "list[Plan]", out: Path | None, version: int | None, asked: dict[str, str]
) -> None:
    named = session.named(name)
    options = [f"--version {version}"] if version else []
    # All go the same way; what some place has yet to do comes first.
    made = next((one for one in plans if one.goal == "staging" or _writes(one)), plans[0])
    made = next((one for one in plans if not one.empty), made) if made.empty else made
    refused = next(filter(None, map(session.project().refusal, plans)), None)
    if refused is not None:
        say(f"A push would refuse this plan. {refused.fix}.")
    elif out is not None:
        session.next("push", *named, f"--plan {out}")
    elif made.empty:
        session.next("status", *named)
    elif made.goal == "staging" or _writes(made):
        session.next("push", *named, *options, *(f"{option} {word}" for option, word in asked.items()))
    else:
        session.next("verify" if made.stages[0].kind == "verify" else "promote", *named, *options)


def _writes(plan: "Plan") -> bool:
    return any(stage.kind != "verify" for stage in plan.stages[:-1])


def _save(path: Path, value: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"the plan cannot be saved to {path}: {error.strerror}") from None


def read_plans(path: Path) -> "list[Plan]":
    """What was saved, one plan a place, checked to be that. ``InputError`` where it is not."""
    from vector_pipeline.release.parts import plans_from_json

    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the plan {path} cannot be read: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(
            f"{path} is no plan: it is not JSON", fix="Make one: vector-pipeline plan --out FILE"
        ) from None
    return plans_from_json(value)
