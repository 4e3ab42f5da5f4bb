"""``ci``: what a job of continuous integration calls. Previews of pull requests, and which datasets a change concerns.

A preview is no run of Dagster: it is nobody's asset, and its job is a shell somewhere. What is merged is released by the verbs.
"""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import complain, emit, say, show
from vector_pipeline.cli.progress import watching
from vector_pipeline.cli.running import show_gates
from vector_pipeline.cli.session import Session, who
from vector_pipeline.errors import ConfigError, InputError, NotFoundError, VectorPipelineError
from vector_pipeline.report.units import plural

if TYPE_CHECKING:
    from vector_pipeline.config import Config
    from vector_pipeline.project.previewing import Previews
    from vector_pipeline.release.preview import Budget
    from vector_pipeline.release.registry import PreviewRecord

ci = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="For jobs of continuous integration: previews of pull requests, and which datasets a change concerns.",
)
app.add_typer(ci, name="ci")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(m|h|d)")
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_MONTH = 30 * 86400.0
Name = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Such as pr-123-4f2a9c1: of one commit.", show_default=False)
]
Root = Annotated[
    Path,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="The repository's root, where paths of --changed-files begin.",
    ),
]


def _listing(says: str) -> Any:
    """The option that names a file of paths."""
    return typer.Option("--changed-files", metavar="FILE", show_default=False, help=f"Paths relative to --root{says}")


def span(text: str) -> float:
    """Seconds of ``90m``, ``24h``, ``2d``."""
    found = _SPAN.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found is not None else 0.0
    if not 0 < seconds <= _MONTH:
        raise typer.BadParameter(f"{text!r} is no time: write 90m, 24h or 2d, 30 days at most")
    return seconds


@ci.command(cls=Command)
def create(
    ctx: typer.Context,
    name: Name,
    dataset: Dataset = None,
    ttl: Annotated[
        float | None,
        typer.Option(
            "--ttl", metavar="TIME", parser=span, show_default=False,
            help="How long it may stand: 90m, 24h, 2d. Default: the environment's `previews: ttl_hours:`.",
        ),
    ] = None,
    max_texts: Annotated[
        int | None,
        typer.Option("--max-texts", metavar="N", min=0, help="Texts that it may embed.", show_default=False),
    ] = None,
    max_records: Annotated[
        int | None,
        typer.Option("--max-records", metavar="N", min=0, help="Records that it may write.", show_default=False),
    ] = None,
    changed_files: Annotated[
        Path | None, _listing(", as of `ci datasets`: documents among them are built whatever the sample is.")
    ] = None,
    root: Root = Path(),
    json_: Json = False,
) -> None:  # fmt: skip
    """Build the working tree as a preview that nobody else sees, in a namespace of its own. Run again, it goes on."""
    session = session_of(ctx)
    found = session.dataset(dataset)
    with watching():
        made = _previews(session).create(
            found, name, by=who(), ttl_s=ttl, budget=_budget(session, max_texts, max_records),
            changed=None if changed_files is None else _documents(session, found, changed_files, root),
        )  # fmt: skip
    if json_:
        emit(made.to_json())
        return
    texts = made.texts
    say(
        f"Preview {name} of {found}: {plural(made.version.documents, 'document')}, {plural(made.version.records, 'record')} in "
        f"{made.deployment.target}/{made.deployment.namespace}; {plural(texts.embed, 'text')} embedded, {texts.reused:,} taken over"
    )
    session.next("ci verify", *session.named(found), "--name", name)


@ci.command(cls=Command)
def verify(ctx: typer.Context, name: Name, dataset: Dataset = None, json_: Json = False) -> None:
    """Run every gate that a release must pass on a preview, against what production serves. Exit code 1 where one stops it."""
    session = session_of(ctx)
    found = session.dataset(dataset)
    with watching():
        _, results = _previews(session).verify(found, name)
    blocking = [one.name for one in results if one.blocks]
    if json_:
        emit({"dataset": found, "name": name, "blocking": blocking, "gates": [one.to_json() for one in results]})
    else:
        show_gates(results, session.project().modes(found))
    if blocking:
        complain(f"Error: preview {name} of {found} did not pass: {', '.join(blocking)}")
        raise typer.Exit(1)
    if not json_:
        session.next("ci report", *session.named(found), "--name", name)


@ci.command(cls=Command)
def report(
    ctx: typer.Context,
    name: Name,
    dataset: Dataset = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it. Default: standard output.", show_default=False),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option("--link", metavar="WORDS=URL", help="A page that says more; several times.", show_default=False),
    ] = None,
) -> None:
    """Write the comment for a pull request, as Markdown. Its first line is the same for every build: the job writes over it."""
    from vector_pipeline.report.preview import comment, failed

    session = session_of(ctx)
    found = session.dataset(dataset)
    links = [_link(one) for one in link or []]
    try:
        said = _previews(session).report(found, name)
    except NotFoundError as error:
        # A preview that could not be built has its comment too: the job's log is not where people look.
        reason = _why(session, found, name) or str(error)
        _write(failed(name, found, session.project().environment, reason), out)
        raise
    text = comment(
        said.preview, said.facts, said.proposal, refusal=said.refusal, links=links, sample=said.sample,
        environment=said.against,
    )  # fmt: skip
    _write(text, out)
    if out is not None:
        say(f"The comment is in {out}")


@ci.command(cls=Command)
def destroy(
    ctx: typer.Context,
    dataset: Dataset = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", show_default=False)] = None,
    matching: Annotated[
        str | None,
        typer.Option("--matching", metavar="PATTERN", help="Every preview of that name: 'pr-123-*'.", show_default=False),
    ] = None,
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="Give up what the configuration does not lead to any more. Its row keeps what and why."),
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="WHY", help="With --abandon.", show_default=False)
    ] = "",
    within: Annotated[
        str | None,
        typer.Option(
            "--in", metavar="ENVIRONMENT", show_default=False,
            help="With --abandon: that it is in, where the configuration has it no more.",
        ),
    ] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Take a preview down: its namespace, its tables, its rows. What is gone already is no error."""
    if (name is None) == (matching is None):
        raise click.UsageError("say which: --name NAME, or --matching PATTERN")
    if abandon and name is None:
        raise click.UsageError("one is abandoned at a time: --name NAME")
    if (reason or within) and not abandon:
        raise click.UsageError("--reason and --in go with --abandon")
    session = session_of(ctx)
    # A dataset that only the change had is in no configuration of those who clean up.
    found = dataset if dataset is not None else session.dataset(None)
    previews = _previews(session)
    if abandon and name is not None:
        _abandon(previews, found, name, reason, within, json_)
        return
    names = [name] if name is not None else [one.name for one in previews.matching(found, matching or "")]
    ended, left = [], []
    with watching():
        for each in names:
            try:
                ended += [one for one in [previews.destroy(found, each, by=who())] if one is not None]
            except VectorPipelineError as error:
                # One that cannot be taken down keeps no other.
                left.append(error)
    if json_:
        emit({"dataset": found, "ended": [one.name for one in ended], "left": [one.what for one in left]})
    for one in ended if not json_ else ():
        say(f"Preview {one.name} of {found} is gone")
    for one_left in left[:-1]:
        complain(f"Error: {one_left}")
    if left:
        raise left[-1]
    if not ended and not json_:
        say(f"There is no preview {name or matching} of {found}: nothing to take down")


@ci.command(cls=Command)
def reap(ctx: typer.Context, json_: Json = False) -> None:
    """Take down previews whose time is over, and what killed jobs left, of every dataset. For a schedule."""
    session = session_of(ctx)
    with watching():
        done = _previews(session).reap(by=who())
    if json_:
        emit(
            {
                "ended": [{"dataset": one.origin, "name": one.name} for one in done.ended],
                "left": [{"dataset": one.origin, "name": one.name, "why": why} for one, why in done.left],
                "swept": list(done.swept),
            }
        )
    else:
        for one in done.ended:
            say(f"Preview {one.name} of {one.origin} is gone: {one.reason}")
        for namespace in done.swept:
            say(f"Namespace {namespace} of a preview that had ended is gone")
        if not (done.ended or done.swept or done.left):
            say("Nothing to take down")
    for one, why in done.left:
        complain(f"Error: preview {one.name} of {one.origin} stands still: {why}")
    if done.left:
        raise typer.Exit(1)


@ci.command("list", cls=Command)
def list_(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """List the previews that stand."""
    from vector_pipeline.report.tables import table
    from vector_pipeline.report.units import moment

    session = session_of(ctx)
    found = _previews(session).standing(session.dataset(dataset) if dataset is not None else None)
    if json_:
        emit([_json(one) for one in found])
        return
    if not found:
        say("No preview stands.")
        return
    rows = (
        (one.origin, one.name, one.revision, moment(one.begun_at), one.begun_by, moment(one.expires_at), _state(one))
        for one in found
    )
    show(table(("dataset", "name", "commit", "begun (UTC)", "by", "until (UTC)", "state"), rows))


@ci.command(cls=Command)
def datasets(
    ctx: typer.Context,
    changed_files: Annotated[
        Path | None, _listing(": `git diff -z --name-only`. `-` reads standard input. Default: every dataset.")
    ] = None,
    root: Root = Path(),
    before: Annotated[
        Path | None,
        typer.Option(
            "--before", metavar="FILE", show_default=False,
            help="The configuration as it was: then a dataset is concerned only by its own part of it.",
        ),
    ] = None,
    always: Annotated[
        list[str] | None,
        typer.Option(
            "--always", metavar="PATTERN", help="Files that concern every dataset: 'pipeline/**'.", show_default=False
        ),
    ] = None,
) -> None:  # fmt: skip
    """Print the datasets that a change concerns, as the JSON of a job's matrix."""
    from vector_pipeline.project.preview_paths import Concerned

    session = session_of(ctx)
    config = session.config()
    if changed_files is None:
        emit({"dataset": config.names})
        return
    was = _before(before) if before is not None else None
    concerned = Concerned(session.config_path(), config, before=was, always=always or ())
    emit({"dataset": list(concerned.by(_changed(changed_files), root))})


def _before(file: Path) -> "Config | None":
    """The configuration as it was; None where nobody knows, and every dataset is concerned by a change of it.

    So it is where files that it includes are not beside it, and where it is none of today's: what repairs a broken file, or
    migrates one together with an upgrade, must be released too.
    """
    from vector_pipeline.config import load_config

    if not file.is_file():
        raise InputError(f"there is no file {file}", fix="Write it: git show COMMIT:vector_pipeline.yaml")
    try:
        found = load_config(file)
    except ConfigError as error:
        complain(f"The configuration as it was cannot be read: whatever it says counts as changed ({error.what})")
        return None
    return None if found.include else found


def _previews(session: Session) -> "Previews":
    from vector_pipeline.project.previewing import Previews

    return Previews(session.project())


def _budget(session: Session, texts: int | None, records: int | None) -> "Budget":
    from vector_pipeline.release.preview import Budget

    own = session.project().settings.previews
    return Budget(
        own.max_texts if texts is None else texts, own.max_records if records is None else records, own.max_cost
    )


def _abandon(previews: "Previews", dataset: str, name: str, reason: str, environment: str | None, json_: bool) -> None:
    with watching():
        done = previews.give_up(dataset, name, by=who(), reason=reason, environment=environment)
    left = list(done.given_up.left) if done is not None and done.given_up is not None else []
    if json_:
        emit({"dataset": dataset, "ended": [name] if done is not None else [], "left": left})
    elif done is None:
        say(f"There is no preview {name} of {dataset}: nothing to take down")
    else:
        say(
            f"Preview {name} of {dataset} is gone" + (f", but for what was given up: {', '.join(left)}" if left else "")
        )


def _documents(session: Session, dataset: str, file: Path, root: Path) -> list[str]:
    """Documents among changed files."""
    from vector_pipeline.project.preview_paths import Concerned

    return Concerned(session.config_path(), session.config()).documents(dataset, _changed(file), root)


def _why(session: Session, dataset: str, name: str) -> str | None:
    """Why a preview was not built, where that is known."""
    found = [one for one in _previews(session).standing(dataset) if one.name == name]
    return str(found[0].detail["error"]) if found and found[0].detail.get("error") else None


def _state(preview: "PreviewRecord") -> str:
    if not preview.lives:
        return "is being taken down"
    return "stands" if "version" in preview.detail else "was not built to its end"


def _json(preview: "PreviewRecord") -> dict[str, Any]:
    return {
        "dataset": preview.origin, "name": preview.name, "revision": preview.revision, "by": preview.begun_by,
        "begun_at": preview.begun_at.isoformat(timespec="seconds"),
        "expires_at": preview.expires_at.isoformat(timespec="seconds"), "state": _state(preview),
    }  # fmt: skip


def _link(text: str) -> tuple[str, str]:
    words, separator, address = text.partition("=")
    if not separator or not words or not address.startswith(("https://", "http://")):
        raise InputError(f"{text!r} is no link", fix="Write it as WORDS=https://…")
    return words, address


def _write(text: str, out: Path | None) -> None:
    if out is None:
        say(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"the comment cannot be written to {out}: {error.strerror}") from None


def _changed(file: Path) -> list[str]:
    from vector_pipeline.project.preview_paths import listed

    try:
        return listed(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error}", fix="Write it with git diff -z --name-only") from None
