"""``put``: a file into a dataset's source, and on to production, told step by step."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from vector_pipeline.cli.app import Command, app, session_of
from vector_pipeline.cli.output import complain, say
from vector_pipeline.cli.running import checks_of, run, stop
from vector_pipeline.cli.session import Session, who
from vector_pipeline.errors import UnavailableError

if TYPE_CHECKING:
    from vector_pipeline.definitions import Following, RunSeen
    from vector_pipeline.project.inbox import Put

_LOOK_S = 0.25
_BRINGS = ("release", "build", "ASSET_JOB")
"""Jobs that may bring a document further; the last one is Dagster's, for what its own automation or a person in the UI asks for."""


@app.command(cls=Command)
def put(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="[DATASET] FILE...", show_default=False)] = None,
    below: Annotated[
        str,
        typer.Option("--below", metavar="FOLDER", help="Folder of the source to put them into.", show_default=False),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow until production serves them, and say how long each step took.")
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Release them here, rather than leaving it to the sensor.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=1, help="Seconds that --wait waits at most.")
    ] = 600,
) -> None:
    """Put whole files into a dataset's source. Replaces one of the same name; refuses what cannot become a document."""
    if wait and now:
        raise click.UsageError("--wait follows a sensor's run, --now runs here: give one of the two")
    session = session_of(ctx)
    name, files = _named(session, words or [])
    begun = time.time()
    done = session.project().put(name, files, below=below, by=who())
    for one in done:
        say(f"{one.document} is in the source of {name}{_how(one)}")
    if now:
        _release(session, name, begun)
    elif wait:
        _follow(session, name, {one.document: one.digest for one in done}, begun, timeout)
    else:
        _who_takes(session, name, done)


def _how(one: "Put") -> str:
    if not one.changed:
        return " already, as it is"
    return ", in place of the one that was there" if one.replaced else ""


def _named(session: Session, words: list[str]) -> tuple[str, list[Path]]:
    """The dataset, and files. A word that is both is a file: ``./name`` says so too."""
    if not words:
        raise click.UsageError("expected [DATASET] FILE..., got nothing")
    known = session.project().config.datasets
    given = words[0] if words[0] in known and not Path(words[0]).is_file() else None
    files = [Path(word) for word in (words if given is None else words[1:])]
    if not files:
        raise click.UsageError("expected [DATASET] FILE..., got no file")
    return session.dataset(given), files


def _who_takes(session: Session, name: str, done: "list[Put]") -> None:
    from vector_pipeline.config.models import automation_of

    project = session.project()
    automation = automation_of(project.dataset(name), project.settings)
    if "changes" in automation.enabled:
        say(f"The sensor {name}__changes releases what changed, where Dagster's daemon runs.")
        session.next("status", *session.named(name))
    else:
        session.next("put", *session.named(name), *(str(one.path) for one in done[:1]), "--now")


def _release(session: Session, name: str, begun: float) -> None:
    outcome = run(session, name, "release")
    stop(outcome, checks_of(outcome), f"what was put into {name}")
    status = session.project().status(name)
    served = status.production.deployment.version if status.production is not None else None
    staged = status.staging.deployment.version if status.staging is not None else None
    took = f"after {time.time() - begun:.1f} s"
    if served is not None and served == staged:
        say(f"production serves v{served} {took}")
        session.next("query", *session.named(name), '"your question"')
    else:
        say(f"v{staged} is on staging, and its gates passed, {took}. A person promotes it.")
        session.next("promote", *session.named(name))


def _follow(session: Session, name: str, digests: dict[str, str], begun: float, timeout: float) -> None:
    """Print what happens as it happens, until production serves the documents or a run says why it will not."""
    from vector_pipeline.definitions import following

    project = session.project()
    by_hand = project.promotion_of(name).policy == "manual"
    held = _Held(session, name, digests)
    with following(project.base, name, project.environment) as seen:
        told: set[tuple[str, str]] = set()
        while True:
            # Runs first: what they say has happened by the time that aliases are looked at.
            runs = [one for one in seen.runs(begun) if one.job in _BRINGS]
            for at, key, line in _lines(runs):
                if key not in told and at >= begun - 1:
                    told.add(key)
                    say(f"{max(0.0, at - begun):6.1f} s  {line}")
            staged, served = held.now()
            if served is not None:
                say(f"{time.time() - begun:6.1f} s  production serves v{served}")
                return session.next("query", *session.named(name), '"your question"')
            if by_hand and staged is not None and _ended(runs):
                say(f"{time.time() - begun:6.1f} s  v{staged} is on staging. A person promotes it.")
                return session.next("promote", *session.named(name))
            _stop_if_hopeless(seen, runs, name, begun, timeout)
            time.sleep(_LOOK_S)


class _Held:
    """Which aliases hold the documents: asked of the lake only when an alias has moved."""

    def __init__(self, session: Session, name: str, digests: dict[str, str]) -> None:
        self._session, self._name, self._digests = session, name, digests
        self._at: tuple[int | None, ...] | None = None
        self._found: tuple[int | None, int | None] = (None, None)

    def now(self) -> tuple[int | None, int | None]:
        """Versions on staging and in production."""
        project = self._session.project()
        at = project.generations(self._name)
        if at != self._at:
            self._found, self._at = project.held_by(self._name, self._digests), at
        return self._found


def _lines(runs: "list[RunSeen]") -> Iterator[tuple[float, tuple[str, str], str]]:
    for one in runs:
        short = f"run {one.run_id[:8]} ({one.job})"
        yield one.asked, (one.run_id, "asked"), f"{short} is asked for"
        if one.began is not None:
            yield one.began, (one.run_id, "began"), f"{short} begins"
        for step in one.steps:
            yield step.ended, (one.run_id, step.name), f"{step.name}: {step.ended - step.began:.1f} s"


def _ended(runs: "list[RunSeen]") -> bool:
    return bool(runs) and all(one.ended is not None for one in runs)


def _stop_if_hopeless(seen: "Following", runs: "list[RunSeen]", name: str, begun: float, timeout: float) -> None:
    mine = [one for one in runs if one.asked >= begun - 1]
    last = mine[-1] if mine else None
    if last is not None and last.failed is not None:
        for line in last.failed or ("the run failed; Dagster has its log",):
            complain(f"Error: {line}. Production did not move (run {last.run_id})")
        raise typer.Exit(1)
    waited = time.time() - begun
    why = seen.nobody_takes() if not mine and waited > 2 * _LOOK_S else None
    if why is not None:
        raise UnavailableError(
            f"what was put is in the source of {name}, and nobody takes it: {why}",
            fix=f"Run it here: vector-pipeline put {name} FILE --now; or set automation.enabled and start Dagster",
        )
    if waited > timeout:
        raise UnavailableError(
            f"production does not serve what was put into {name} after {timeout:.0f} s",
            fix="See: vector-pipeline status",
        )
