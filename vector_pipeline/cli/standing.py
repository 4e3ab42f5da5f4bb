"""``status``: where datasets stand."""

from typing import TYPE_CHECKING, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from vector_pipeline.project import Project
    from vector_pipeline.project.project import Status
    from vector_pipeline.verify.outcome import CheckResult


@app.command(cls=Command)
def status(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """Show where datasets stand: newest version, staging, production, gates, index. Without DATASET: all of them."""
    session = session_of(ctx)
    names = [session.dataset(dataset)] if dataset is not None else list(session.config().datasets)
    project = session.project()
    found = [_standing(project, name) for name in names]
    if json_:
        emit([_status_json(*one) for one in found])
        return
    for index, one in enumerate(found):
        _print_status(*one, first=index == 0)
        session.next(*_advice(one[1]), *session.named(one[0]))


def _standing(project: "Project", name: str) -> "tuple[str, Status | None, dict[str, Any] | None]":
    """A dataset's name, status (None: nothing was ever built) and index (None: there is none)."""
    try:
        project.registry(read_only=True)
    except NotFoundError:
        return name, None, None
    found = project.status(name)
    pushed = found.staging or found.production
    if pushed is None:
        return name, found, None
    target = project.target_named(pushed.deployment.target, read_only=True)
    state = target.describe(pushed.deployment.namespace)
    index = {
        "address": target.address(pushed.deployment.namespace),
        "records": state.records if state else 0,
        "bytes": state.bytes if state else 0,
        "mark": state.mark if state else None,
    }
    return name, found, index


def gates_of(found: "Status") -> "list[CheckResult]":
    """The latest verdicts on what staging holds, as the gates said them; one for other content counts as unknown."""
    from vector_pipeline.project.gating import REQUIRED_GATES
    from vector_pipeline.verify.outcome import CheckResult

    results = []
    for verdict in found.gates:
        stale = found.staging is not None and verdict.digest != found.staging.deployment.digest
        summary = "judged other content: verify again"
        if not stale and verdict.mark is not None and verdict.mark != found.mark:
            stale, summary = True, "judged before the index changed: verify again"
        results.append(CheckResult(verdict.check, summary=summary) if stale else CheckResult.from_json(verdict.detail))
    judged = {result.name for result in results}
    missing = [name for name in REQUIRED_GATES if name not in judged] if found.staging is not None else []
    return sorted([*results, *(CheckResult(name, summary="has not run") for name in missing)], key=lambda one: one.name)


def _print_status(name: str, found: "Status | None", index: dict[str, Any] | None, *, first: bool) -> None:
    from vector_pipeline.report.tables import status_lines
    from vector_pipeline.report.units import human_bytes

    if not first:
        say()
    say(f"{name} (environment {found.environment})" if found else name, style="bold")
    if found is None:
        say("nothing was built yet")
        return
    held = (
        f"{index['address']}: {index['records']:,} records of all versions, {human_bytes(index['bytes'])}"
        if index
        else "nothing was pushed yet"
    )
    show(status_lines(found.newest, found.staging, found.production, gates_of(found), held))


def _advice(found: "Status | None") -> tuple[str, ...]:
    """The verb that comes next."""
    if found is None or found.newest is None:
        return ("build",)
    if found.staging is None or found.staging.deployment.version < found.newest.number:
        return ("push",)
    if found.rolled_back_from is not None and found.rolled_back_from >= found.staging.deployment.version:
        return ("history",)  # Promoting what was rolled back from is a decision, not the next step.
    if found.production is None or found.production.deployment.version < found.staging.deployment.version:
        results = gates_of(found)
        passed = bool(results) and not any(result.blocks for result in results)
        return ("promote",) if passed else ("verify",)
    return ("history",)


def _status_json(name: str, found: "Status | None", index: dict[str, Any] | None) -> dict[str, Any]:
    from vector_pipeline.cli.shapes import alias_json, gates_json, version_json

    if found is None:
        keys = ("environment", "newest", "staging", "production", "index")
        return {"dataset": name, **dict.fromkeys(keys), "gates": []}
    return {
        "dataset": name,
        "environment": found.environment,
        "newest": version_json(found.newest) if found.newest else None,
        "staging": alias_json(found.staging),
        "production": alias_json(found.production),
        "gates": gates_json(gates_of(found)),
        "index": index,
    }
