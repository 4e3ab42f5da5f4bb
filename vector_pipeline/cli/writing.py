"""Verbs that write: build, verify. Each is a run of the dataset's Dagster job."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, VersionOption, app, session_of
from vector_pipeline.cli.output import say, show
from vector_pipeline.cli.reporting import say_report
from vector_pipeline.cli.running import checks_of, run, show_gates, standing_of, stop
from vector_pipeline.cli.session import Session
from vector_pipeline.cli.standing import advice
from vector_pipeline.errors import NotFoundError
from vector_pipeline.report.units import plural

_SYNCED = ("added", "changed", "deleted", "quarantined")

if TYPE_CHECKING:
    from vector_pipeline.release.registry import Version
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
    say_counts(outcome.values)
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


def say_counts(values: "dict[str, dict[str, Any]]") -> None:
    """One line on what the run did, from the totals of its assets."""
    for key, value in values.items():
        step = key.rpartition("/")[2]
        if step == "raw_documents":
            read, changed = value.get("read", 0), [f"{value.get(word, 0):,} {word}" for word in _SYNCED]
            say(f"documents: {read:,} read; {', '.join(changed)}")
        elif step == "embeddings":
            taken = f", {plural(value['copied'], 'vector')} taken over" if value.get("copied") else ""
            say(f"embeddings: {plural(value.get('embedded', 0), 'text')} embedded in space {key.split('/')[-2]}{taken}")


def _quarantine_note(session: Session, name: str) -> None:
    count = len(session.project().quarantined(name))
    if count:
        command = session.command("documents", *session.named(name), "--quarantined")
        say(f"{plural(count, 'item')} in quarantine: {command}")


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
    status = session.project().status(name)
    if not asked:
        verb, *options = advice(status)
        session.next(verb, *session.named(name), *options)
    elif status.production is not None and status.production.deployment.version == version:
        session.next("status", *session.named(name))
    else:
        session.next("promote", *session.named(name), f"--version {version}")


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
