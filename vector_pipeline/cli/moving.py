"""Verbs that move production: promote, rollback. Each is a run of the dataset's Dagster job."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, Reason, VersionOption, app, session_of, version_number
from vector_pipeline.cli.output import emit, say
from vector_pipeline.cli.running import run, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from vector_pipeline.definitions import RunOutcome
    from vector_pipeline.release.registry import Alias, Route

WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without", metavar="TARGET", show_default=False,
        help="Take one of several targets out of service with it; wants a reason. A push that names it brings it back.",
    ),
]  # fmt: skip

OverrideOption = Annotated[
    list[str] | None,
    typer.Option(
        "--override", metavar="GATE", show_default=False,
        help="Let the version past a gate that stops it; wants a reason, and is kept in the history. May be given several times.",
    ),
]  # fmt: skip


@app.command(cls=Command)
def promote(
    ctx: typer.Context, dataset: Dataset = None, version: VersionOption = None, without: WithoutOption = None,
    override: OverrideOption = None, reason: Reason = "", json_: Json = False,
) -> None:  # fmt: skip
    """Move production to a verified version (default: the one on staging). Only in place is the index written."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    if version is not None:
        project.version(name, version)
        if len(project.configured(name)) == 1:
            project.deployment_of(project.version(name, version))
    elif not project.standing(name, "staging"):
        raise NotFoundError(f"nothing of {name} is on staging", fix=f"Push first: vector-pipeline push {name}")
    past = list(project.gates_to_override(name, override or [], reason))
    before, routed = project.standing(name, "production"), project.routed(name)
    config: dict[str, Any] = {
        "verb": "promote", "by": who(), "reason": reason, "without": without or None, "override": past or None,
    }  # fmt: skip
    if version is not None:
        config["version"] = version
    outcome = run(session, name, "promote", config)
    stop(outcome, [], "")
    if json_:
        _emit(session, name, before, outcome)
        return
    moved_line(session, name, before)
    _ended_line(session, name, routed)
    _past_lines(session, name)
    found = session.project().status(name)
    if version is None and found.staging is not None and found.newest is not None:
        staged = found.staging.deployment
        if staged.version < found.newest.number and staged.space == found.newest.space:
            say(f"v{found.newest.number} was built since, and is not on staging.")
            session.next("push", *session.named(name))
            return
    session.next("query", *session.named(name), '"your question"')


def _ended_line(session: Session, name: str, routed: "Route | None") -> None:
    """That a route is over, which every move of production ends."""
    if routed is not None and session.project().routed(name) is None:
        from vector_pipeline.cli.routing import shown

        say(f"The route of {shown(routed.share)} of the readers to v{routed.version} has ended with it.")


def _past_lines(session: Session, name: str) -> None:
    """Which gates production was let past."""
    from vector_pipeline.report.tables import override_words

    for one in session.project().status(name).overridden:
        say(f"It was let past {override_words(one)}")


@app.command(cls=Command)
def rollback(
    ctx: typer.Context,
    dataset: Dataset = None,
    to: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="N", parser=version_number, show_default=False,
            help="Version that was in production before. Default: the one before the last promotion.",
        ),
    ] = None,
    only_from: Annotated[
        int | None,
        typer.Option(
            "--from", metavar="N", parser=version_number, show_default=False,
            help="Only where production serves this version: what somebody promoted since is left alone, and the exit code is 0.",
        ),
    ] = None,
    without: WithoutOption = None,
    reason: Reason = "",
    json_: Json = False,
) -> None:  # fmt: skip
    """Move production back to a version that it served before. Only in place is the index written."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    if to is not None:
        project.version(name, to)
    before, routed = project.standing(name, "production"), project.routed(name)
    if not before:
        raise NotFoundError(f"{name} has no production alias", fix=f"Promote first: vector-pipeline promote {name}")
    config: dict[str, Any] = {"verb": "rollback", "by": who(), "reason": reason, "without": without or None}
    config |= {key: value for key, value in (("to", to), ("only_from", only_from)) if value is not None}
    outcome = run(session, name, "promote", config)
    stop(outcome, [], "")
    if json_:
        _emit(session, name, before, outcome)
        return
    serves = session.project().standing(name, "production")[0].deployment.version
    if only_from is not None and not _moved(name, outcome) and serves != only_from:
        say(f"production serves v{serves}, not v{only_from}: nothing moved.")
    else:
        moved_line(session, name, before)
        _ended_line(session, name, routed)
    session.next("status", *session.named(name))


def _emit(session: Session, name: str, before: "list[Alias]", outcome: "RunOutcome") -> None:
    """What a job asks for: whether this run, and no other, moved production."""
    from vector_pipeline.cli.shapes import moved_json

    after = session.project().standing(name, "production")
    emit(moved_json(name, before, after, moved=_moved(name, outcome)))


def _moved(name: str, outcome: "RunOutcome") -> bool:
    return bool(outcome.values.get(f"{name}/production_index", {}).get("moved"))


def moved_line(session: Session, name: str, before: "list[Alias]") -> None:
    """Say where production points now, and what became of where it did."""
    from vector_pipeline.report.places import named

    project = session.project()
    after = project.standing(name, "production")
    if not after:
        raise NotFoundError(f"{name} has no production alias")
    where = f" on {named([one.deployment.target for one in after])}" if project.apart(name) else ""
    now = f"v{after[0].deployment.version}{where}"
    if not before:
        say(f"production serves {now}.")
    elif [(one.name, one.generation) for one in before] == [(one.name, one.generation) for one in after]:
        say(f"production serves {now} already: nothing moved.")
    else:
        left = sorted({one.deployment.target for one in before} - {one.deployment.target for one in after})
        also = f" It is not on {named(left)} any more." if left and (where or len(before) > 1) else ""
        new, old = after[0].deployment, before[0].deployment
        into, of = (f" (space {new.space})", f" ({old.space})") if new.space != old.space else ("", "")
        say(f"production serves {now}{into}; before: v{old.version}{of}.{also}")
    for target, one in project.withdrawn(name).items():
        if not one.removed and where:
            say(f"{target} is out of service: {one.reason}")
