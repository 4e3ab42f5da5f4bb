"""``alerts``: who is told of what fails, and whether it gets there."""

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from vector_pipeline.cli.app import Command, Json, app, session_of
from vector_pipeline.cli.output import emit, say
from vector_pipeline.errors import NotFoundError, UnavailableError


@app.command(cls=Command)
def alerts(
    ctx: typer.Context,
    test: Annotated[
        bool, typer.Option("--test", help="Send each of them an alert that says that it is a test.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List who is told of runs and gates that fail in this environment; --test tries each of them."""
    from vector_pipeline.alerts import Alert, deliver
    from vector_pipeline.alerts.delivering import named

    project = session_of(ctx).project()
    receivers = project.settings.alerts
    if not receivers:
        raise NotFoundError(
            f"environment {project.environment} tells nobody of what fails", fix="Name them under `alerts:` of it"
        )
    alert = Alert(
        "run-failed", next(iter(project.config.datasets)), project.environment,
        f"this is a test, sent by {getpass.getuser()}: nothing failed",
        datetime.now(UTC).isoformat(timespec="seconds"),
        command=f"vector-pipeline status --env {project.environment}",
    )  # fmt: skip
    done = [deliver(alert, one) for one in receivers] if test else []
    rows: list[dict[str, Any]] = [
        {
            "receiver": named(one),
            "events": list(one.events),
            "datasets": list(one.datasets),
            **({"delivered": done[at].delivered, "said": done[at].said} if test else {}),
        }
        for at, one in enumerate(receivers)
    ]
    if as_json:
        emit(rows)
    for row in rows if not as_json else ():
        about = f"{', '.join(row['events']) or 'everything'} of {', '.join(row['datasets']) or 'every dataset'}"
        say(f"{row['receiver']}: {about}" + ("" if not test else f": {row['said'] or 'delivered'}"))
    lost = [one for one in done if not one.delivered]
    if lost:
        raise UnavailableError(
            f"{len(lost)} of {len(done)} test alerts did not arrive: {lost[0].receiver}: {lost[0].said}"
        )
