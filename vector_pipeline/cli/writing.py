"""Verbs that write: build, verify, promote, rollback. Each is a run of the dataset's Dagster job."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Reason, VersionOption, app, session_of, version_number
from vector_pipeline.cli.output import say, show
from vector_pipeline.cli.reporting import say_report
from vector_pipeline.cli.running import checks_of, run, show_gates, standing_of, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.errors import NotFoundError
from vector_pipeline.report.units import plural

_SYNCED = ("added", "changed", "deleted", "quarantined")

if TYPE_CHECKING:
    from vector_pipeline.release.registry import Alias, Version
    from vector_pipeline.verify.outcome import CheckResult


@app.command(cls=Command)
def build(
    ctx: typer.Context,
    dataset: Dataset = None,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="Kept with the version.", show_default=False)
    ] = "",
) -> None:
    """Bring documents, chunks and embeddings up to date, and make a version if anything changed."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    _ready(session, name)
    before = _numbers(session, name)
    outcome = run(session, name, "build", {"message": message} if message else None)
    stop(outcome, checks_of(outcome), f"what was built of {name}")
    _counts(outcome.values)
    after = session.project().version(name)
    _quarantine_note(session, name)
    made = [one for one in session.project().versions(name) if one.number not in before]
    for one in made:
        # One build, one state of the documents: what changed is told once, of the space that serves.
        _made(session, name, one, changes=one.number == after.number)
    if after.number in before:
        said = "Nothing changed" if not made else f"Nothing changed in space {after.space}"
        say(f"{said}. v{after.number} is the newest version{'' if not made else ' of it'}.")
    staging = session.project().status(name).staging
    held = staging is not None and staging.deployment.version == after.number
    session.next("status" if held else "plan", *session.named(name))


def _ready(session: Session, name: str) -> None:
    """Fail at once, before Dagster is even imported, when a model or a setting is wrong."""
    project = session.project()
    for space in project.dataset(name).spaces:
        if project.serves(name, space) or project.filled(name, space):
            project.space(name, space)


def _numbers(session: Session, name: str) -> set[int]:
    """Versions that there are, of every space."""
    try:
        return {one.number for one in session.project().versions(name)}
    except NotFoundError:
        return set()


def _made(session: Session, name: str, version: "Version", *, changes: bool = True) -> None:
    from vector_pipeline.report.changes import diff_lines

    say(
        f"Made v{version.number}: {plural(version.documents, 'document')}, {plural(version.records, 'record')} in space "
        f"{version.space} (digest {version.digest[:12]})"
    )
    if changes and version.parent is not None:
        parent = session.project().version(name, version.parent)
        # A parent that the lake no longer holds (it was made anew) shows no difference.
        with suppress(NotFoundError):
            if parent.expired_at is None:
                found = session.project().diff(name, parent.number, version.number)
                show(diff_lines(parent.number, version.number, found))


def _counts(values: "dict[str, dict[str, Any]]") -> None:
    """One line on what the run did, from the totals of its assets."""
    for key, value in values.items():
        step = key.rpartition("/")[2]
        if step == "raw_documents":
            read, changed = value.get("read", 0), [f"{value.get(word, 0):,} {word}" for word in _SYNCED]
            say(f"documents: {read:,} read; {', '.join(changed)}")
        elif step == "embeddings":
            say(f"embeddings: {plural(value.get('embedded', 0), 'text')} embedded in space {key.split('/')[-2]}")


def _quarantine_note(session: Session, name: str) -> None:
    count = len(session.project().quarantined(name))
    if count:
        command = session.command("documents", *session.named(name), "--quarantined")
        say(f"{plural(count, 'item')} in quarantine: {command}")


WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without", metavar="TARGET", show_default=False,
        help="Take one of several targets out of service with it; wants a reason. A push that names it brings it back.",
    ),
]  # fmt: skip


@app.command(cls=Command)
def verify(ctx: typer.Context, dataset: Dataset = None, version: VersionOption = None) -> None:
    """Run the gates against a version on the target (default: the one on staging) and record what they say."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    asked = version is not None
    if version is None:
        staging = project.status(name).staging
        if staging is None:
            raise NotFoundError(f"nothing of {name} is on staging", fix=f"Push first: vector-pipeline push {name}")
        version = staging.deployment.version
    if not project.held_at(project.version(name, version)):
        project.deployment_of(project.version(name, version))
    outcome = run(session, name, "verify", {"version": version})
    gates = gates_in(session, name, outcome.run_id, version)
    modes = project.modes(name)
    say_report(session, name, version)
    stop(outcome, gates, f"v{version}", lambda: standing_of(session, name, version), modes=modes)
    say(f"Gates of v{version}:")
    show_gates(gates, modes)
    session.next("promote", *session.named(name), *([f"--version {version}"] if asked else []))


def gates_in(session: Session, name: str, run_id: str, version: int) -> "list[CheckResult]":
    """What the gates said of a version in a run, of every place; none when the run stopped before them."""
    from vector_pipeline.verify.outcome import CheckResult

    project = session.project()
    places, once = project.held_at(project.version(name, version)), project.version_gates(name)
    found = []
    for number, deployment in enumerate(places):
        for verdict in project.registry(read_only=True).verdicts(deployment.id):
            result = CheckResult.from_json(verdict.detail)
            if verdict.run_id == run_id and (not number or result.name not in once):
                told = result.name in once or len(places) == 1
                found.append(result if told else replace(result, name=f"{result.name} ({deployment.target})"))
    return found


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
    override: OverrideOption = None, reason: Reason = "",
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
    before = project.standing(name, "production")
    config: dict[str, Any] = {
        "verb": "promote", "by": who(), "reason": reason, "without": without or None, "override": past or None,
    }  # fmt: skip
    if version is not None:
        config["version"] = version
    stop(run(session, name, "promote", config), [], "")
    moved_line(session, name, before)
    _past_lines(session, name)
    session.next("query", *session.named(name), '"your question"')


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
    without: WithoutOption = None,
    reason: Reason = "",
) -> None:  # fmt: skip
    """Move production back to a version that it served before. Only in place is the index written."""
    session = session_of(ctx)
    name = session.dataset(dataset)
    project = session.project()
    if to is not None:
        project.version(name, to)
    before = project.standing(name, "production")
    if not before:
        raise NotFoundError(f"{name} has no production alias", fix=f"Promote first: vector-pipeline promote {name}")
    config: dict[str, Any] = {"verb": "rollback", "by": who(), "reason": reason, "without": without or None}
    if to is not None:
        config["to"] = to
    stop(run(session, name, "promote", config), [], "")
    moved_line(session, name, before)
    session.next("status", *session.named(name))


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
