"""``bridge``: queries of a new model, answered from the space that production is still in. ``fit`` measures, ``on`` allows."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import complain, emit, say, show
from vector_pipeline.cli.session import who

if TYPE_CHECKING:
    from vector_pipeline.project.bridging import BridgeState, Prepared
    from vector_pipeline.release.registry import Bridge

bridge = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Answer queries of a new model from the space that production is still in, while the new one fills.",
)
app.add_typer(bridge, name="bridge")
_From = Annotated[
    str | None,
    typer.Option("--space", metavar="NEW", help="Space that queries come from. Default: any.", show_default=False),
]


@bridge.command(cls=Command)
def fit(
    ctx: typer.Context,
    dataset: Dataset = None,
    space: Annotated[
        str, typer.Option("--space", metavar="NEW", help="Space whose model embeds the queries.", show_default=False)
    ] = "",
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", metavar="N", min=100, max=20_000, show_default=False,
            help="Texts to fit and measure on. Default: the configuration's `bridge: sample:`.",
        ),
    ] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Fit a map from the new model's queries to what production serves, and measure what it keeps. Turns nothing on."""
    import click

    from vector_pipeline.cli.progress import watching

    if not space:
        raise click.UsageError("say from which space: --space NEW")
    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    prepared = project.prepare_bridge(name, space, sample=sample)
    if not json_:
        say(_cost(prepared))
    with watching():
        found = project.fit_prepared(prepared, by=who())
    if json_:
        emit({"dataset": name, **_json(found)})
    else:
        show(_kinds(found.detail))
        say(_verdict(found.detail))
        if found.passed:
            session.next("bridge on", *session.named(name), "--space", space)
    if not found.passed:
        complain(
            f"Error: bridge {found.fingerprint} is not good enough, and is kept but cannot be turned on. Queries wait for the "
            f"new space: {session.command('reembed', *session.named(name), '--space', space)}"
        )
        raise typer.Exit(1)


@bridge.command(cls=Command)
def status(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """What is on, what was fitted, and what each is worth."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    found = session.project().bridge_status(name)
    if json_:
        emit({"dataset": name, "bridges": [one.to_json() for one in found]})
        return
    if not found:
        say(f"No bridge of {name} was fitted.")
        settings, held = session.project().dataset(name), session.project().standing(name, "production")
        # A bridge leads to where readers are, whatever the configuration says that serves next.
        inside = held[0].deployment.space if held else settings.serving_space
        others = [one for one in settings.spaces if one != inside]
        session.next("bridge fit", *session.named(name), "--space", others[0] if len(others) == 1 else "NEW")
        return
    show(_states(found))
    for line in dict.fromkeys(filter(None, map(_meaning, found))):
        say(line)
    ready = [one for one in found if one.bridge.passed and not one.on]
    if any(one.on and not one.used for one in found):
        session.next("bridge off", *session.named(name))
    elif ready and not any(one.on for one in found):
        session.next("bridge on", *session.named(name))


@bridge.command(cls=Command)
def on(ctx: typer.Context, dataset: Dataset = None, space: _From = None, json_: Json = False) -> None:
    """Let readers that ask for the new space go through the newest bridge. Refused where it did not pass."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    found = session.project().bridge_on(name, by=who(), space=space)
    if json_:
        emit({"dataset": name, **_json(found)})
        return
    detail = found.detail
    say(
        f"On: bridge {found.fingerprint}, from {detail['from_space']} to {detail['to_space']}, keeps {found.recall:.1%} of the "
        f'answers. Readers ask with: open_index("{name}", space="{detail["from_space"]}")'
    )
    session.next("bridge status", *session.named(name))


@bridge.command(cls=Command)
def off(ctx: typer.Context, dataset: Dataset = None, space: _From = None, json_: Json = False) -> None:
    """Let nobody go through a bridge any more: queries of the new space are refused until production is in it."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    count = session.project().bridge_off(name, by=who(), space=space)
    if json_:
        emit({"dataset": name, "ended": count})
        return
    say(f"Off: {count} bridge{'s' if count != 1 else ''} of {name}." if count else f"No bridge of {name} was on.")
    session.next("bridge status", *session.named(name))


def _cost(prepared: "Prepared") -> str:
    work, version = prepared.work, prepared.old.version
    said = (
        f"Fits from space {prepared.new.space.name} to {version.space} on {work.texts:,} texts of version {version.number}: "
        f"{work.known:,} have vectors of {prepared.new.space.model}, {work.embedded:,} are embedded for this "
        f"({work.characters / 1e6:.2f} M characters, about {work.tokens:,} tokens)"
    )
    if prepared.money is not None:
        said += f", for {prepared.money[0]:,.2f} {prepared.money[1]}"
    if prepared.seconds is not None and work.embedded:
        said += f", in about {_time(prepared.seconds)} at the rate of its fills"
    return f"{said}; and {work.questions:,} questions and first sentences, by both models."


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def _kinds(detail: "dict[str, Any] | Any") -> Any:
    from rich.table import Table

    judged = detail["ndcg"] is not None
    table = Table(box=None, pad_edge=False)
    for column in ("map", "settings", "recall", "95% interval", "real queries", "first sentences"):
        table.add_column(column, justify="left" if column in ("map", "settings") else "right")
    if judged:
        table.add_column("nDCG@10", justify="right")
    for one in detail["kinds"]:
        sources = [_source(one["by_source"].get(source)) for source in ("queries", "texts")]
        ndcg = [f"{one['ndcg']['bridge']:.3f}"] if judged else []
        table.add_row(one["kind"], _settings(one), f"{one['recall']:.1%}", _interval(one), *sources, *ndcg)
    if judged:
        table.add_row("old model", "", "100.0%", "", "", "", f"{detail['ndcg']['old']:.3f}")
    return table


def _interval(one: "dict[str, Any] | Any") -> str:
    return f"{one['low']:.1%} to {one['high']:.1%}"


def _settings(one: "dict[str, Any]") -> str:
    if one["kind"] == "affine":
        return f"correction of rank {one['rank']}, ridge {one['ridge']:g}"
    return "about the middle" if one["centred"] else "about the origin"


def _source(found: "dict[str, Any] | None") -> str:
    return "-" if found is None else f"{found['mean']:.1%} of {found['count']}"


def _verdict(detail: "Any") -> str:
    first = f"the first {detail['depth']} documents" if detail["depth"] > 1 else "the first document"
    said = "passes" if detail["passed"] else "does not pass"
    return (
        f"{detail['kinds'][0]['kind']} {said}: of {first} that {detail['to_model'] or detail['to_space']} finds, it surely brings "
        f"{detail['low']:.1%}, and {detail['min_recall']:.0%} are wanted ({detail['questions']} questions; fitted on "
        f"{detail['pairs']:,} texts)."
    )


def _states(found: "list[BridgeState]") -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    numbers = ("recall", "95% interval", "wanted", "version", "questions")
    for column in ("bridge", "from", "to", "map", *numbers, "since", "state"):
        whole = column in ("bridge", "since", *numbers)
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=whole)
    for one in found:
        row, detail = one.bridge, one.bridge.detail
        table.add_row(
            row.fingerprint, detail["from_space"], detail["to_space"], row.kind, f"{row.recall:.1%}", _interval(detail),
            f"{detail['min_recall']:.0%}", f"v{detail['version']}", f"{detail['questions']:,}", f"{row.at:%Y-%m-%d %H:%M}",
            _state(one),
        )  # fmt: skip
    return table


def _state(one: "BridgeState") -> str:
    if one.on:
        return "on" if one.used else "unused"
    return "off" if one.bridge.passed else "not good enough"


def _meaning(one: "BridgeState") -> str | None:
    """What a state comes to, in one line; None where its word says it."""
    name = one.bridge.fingerprint
    if one.used:
        return f"{name} is on: readers who ask for its space go through it."
    if one.on:
        return f"{name} is on, and unused: production serves version {one.serving}, in another space."
    if one.bridge.passed and not one.fits:
        return f"{name} is of no use to production, which serves another space now."
    return None


def _json(found: "Bridge") -> "dict[str, Any]":
    return {
        "fingerprint": found.fingerprint, "kind": found.kind, "recall": found.recall, "passed": found.passed,
        "on": found.in_force, "from_embedder": found.from_embedder, "to_embedder": found.to_embedder,
        "detail": dict(found.detail),
    }  # fmt: skip
