"""``expire`` and ``collect``: forget what no version needs, then delete the files. Dry runs unless ``--yes`` is given."""

from typing import TYPE_CHECKING, Annotated

import typer

from vector_pipeline.cli.app import Command, Json, app, session_of
from vector_pipeline.cli.output import emit, say
from vector_pipeline.cli.session import Session

if TYPE_CHECKING:
    from vector_pipeline.lake.retention import RetentionReport

Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without: only say what would be done.")]
_SHOWN = 20
GRACE_S = 3600.0


@app.command(cls=Command)
def expire(
    ctx: typer.Context,
    yes: Yes = False,
    grace: Annotated[
        float, typer.Option("--grace", metavar="SECONDS", min=0, help="Spare states that are younger than this.")
    ] = GRACE_S,
    json_: Json = False,
) -> None:
    """Forget states of the lake that no kept version needs. A dry run unless --yes is given."""
    session = session_of(ctx)
    _existing(session)
    report = session.project().expire(dry_run=not yes, grace_s=grace)
    if json_:
        emit(_json(report))
        return
    count = len(report.snapshots)
    states = f"{count:,} state{'' if count == 1 else 's'} of the lake"
    say(f"{'Forgot' if yes else 'Would forget'} {states}; no version needs {'them' if count != 1 else 'it'}.")
    _next(session, f"expire --grace {grace:g}" if grace != GRACE_S else "expire", "collect", yes, count)


@app.command(cls=Command)
def collect(ctx: typer.Context, yes: Yes = False, json_: Json = False) -> None:
    """Delete files of the lake that nothing refers to any more. A dry run unless --yes is given."""
    session = session_of(ctx)
    _existing(session)
    report = session.project().collect(dry_run=not yes)
    if json_:
        emit(_json(report))
        return
    count = len(report.files)
    say(f"{'Deleted' if yes else 'Would delete'} {count:,} file{'' if count == 1 else 's'}.")
    for file in report.files[:_SHOWN]:
        say(f"  - {file}")
    if count > _SHOWN:
        say(f"  - … and {count - _SHOWN:,} more")
    _next(session, "collect", "status", yes, count)


def _existing(session: Session) -> None:
    """Neither verb makes a lake or a registry: ``NotFoundError`` when there is none."""
    session.project().lake(read_only=True)
    session.project().registry(read_only=True)
    session.close()


def _json(report: "RetentionReport") -> dict[str, object]:
    return {"dry_run": report.dry_run, "snapshots": list(report.snapshots), "files": list(report.files)}


def _next(session: Session, verb: str, after: str, yes: bool, count: int) -> None:
    session.next(*((verb, "--yes") if count and not yes else (after,)))
