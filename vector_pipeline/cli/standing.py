"""``status``: where datasets stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from vector_pipeline.cli.app import Command, Dataset, Json, app, session_of
from vector_pipeline.cli.output import emit, say, show
from vector_pipeline.errors import NotFoundError, VectorPipelineError
from vector_pipeline.report.units import first_of, moment, plural

if TYPE_CHECKING:
    from vector_pipeline.config import BrokenDataset
    from vector_pipeline.project import Project
    from vector_pipeline.project.project import PlaceStatus, Status
    from vector_pipeline.release.registry import Alias
    from vector_pipeline.verify.outcome import CheckResult


@app.command(cls=Command)
def status(ctx: typer.Context, dataset: Dataset = None, json_: Json = False) -> None:
    """Show where datasets stand: newest version, staging, production, gates, index. Without DATASET: all of them."""
    session = session_of(ctx)
    names = [session.dataset(dataset)] if dataset is not None else list(session.config().datasets)
    project = session.project()
    found = [_standing(project, name) for name in names]
    broken = [] if dataset is not None else list(project.config.broken.values())
    places = [_places(project, one[1]) if one[1] is not None else [] for one in found]
    if json_:
        rows = [_status_json(*one, several) for one, several in zip(found, places, strict=True)]
        rows = [{**row, "owners": list(project.config.owners_of(row["dataset"])), "error": None} for row in rows]
        emit([*rows, *(_broken_json(one) for one in broken)])
        return
    for index, one in enumerate(found):
        several = one[1] is not None and bool(project.version_spaces(one[0]))
        owners = project.config.owners_of(one[0])
        _print_status(*one, places[index], first=index == 0, several=several, owners=owners)
        verb, *options = advice(one[1])
        session.next(verb, *session.named(one[0]), *options)
    for held in broken:
        say()
        say(held.name, style="bold")
        _say_owners(held.owners)
        say(f"not loaded: {held.reason}")
        session.next("check")


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
    if not found.places:
        return name, found, _index(project, pushed)
    try:
        return name, found, _index(project, pushed)
    except VectorPipelineError:
        return name, found, None  # Of several: the others are told of, and this one's trouble beside its name.


def _index(project: "Project", alias: "Alias") -> dict[str, Any]:
    target = project.target_named(alias.deployment.target, read_only=True)
    state = target.describe(alias.deployment.namespace)
    return {
        "address": target.address(alias.deployment.namespace),
        "records": state.records if state else 0,
        "bytes": state.bytes if state else 0,
        "mark": state.mark if state else None,
    }


def _places(project: "Project", found: "Status") -> list[dict[str, Any]]:
    """Where each of several targets stands, with what a person should know of it."""
    rows = []
    for number, one in enumerate(found.places):
        held, note = one.staging or one.production, _note(found, number)
        index: dict[str, Any] | None = None
        if held is not None:
            try:
                index = _index(project, held)
            except VectorPipelineError as error:
                note = "; ".join(filter(None, (note, error.what)))
        rows.append(
            {"target": one.target, "staging": one.staging, "production": one.production, "index": index, "note": note}
        )
    return rows


def _note(found: "Status", number: int) -> str:
    one = found.places[number]
    if one.withdrawal is not None:
        out = one.withdrawal
        return f"out of service since {moment(out.at)} UTC by {out.by}: {out.reason}"
    if not one.place:
        return "not in the configuration any more: the next promotion takes it out"
    if found.production is not None and one.production is None:
        return f"not served from yet: push --version {found.production.deployment.version} --target {one.target}"
    failed = _failed(one)
    if number and failed and one.staging is not None:
        return f"v{one.staging.deployment.version} has not passed there: {first_of(failed)}"
    if not number and found.production is not None and found.production.deployment.target != one.target:
        return f"first from the next promotion on; until then {found.production.deployment.target}"
    return ""


def gates_of(found: "Status") -> "list[CheckResult]":
    """What the gates say of what staging holds; one whose verdict does not count any more is unknown."""
    return list(found.said)


def _print_status(
    name: str, found: "Status | None", index: dict[str, Any] | None, places: list[dict[str, Any]], *, first: bool,
    several: bool, owners: Sequence[str] = (),
) -> None:  # fmt: skip
    from vector_pipeline.report.places import places_table
    from vector_pipeline.report.tables import status_lines
    from vector_pipeline.report.units import human_bytes

    if not first:
        say()
    say(f"{name} (environment {found.environment})" if found else name, style="bold")
    _say_owners(owners)
    if found is None:
        say("nothing was built yet")
        return
    held = (
        f"{index['address']}: {plural(index['records'], 'record')} of all versions, {human_bytes(index['bytes'])}"
        if index
        else "nothing was pushed yet"
    )
    if places and index is None and found.staging is not None:
        held = "does not answer: see below"
    show(
        status_lines(
            found.newest,
            found.staging,
            found.production,
            gates_of(found),
            held,
            found.modes,
            found.overridden,
            spaces=several,
            beside=found.beside,
        )
    )
    if found.route is not None:
        from vector_pipeline.cli.routing import shown

        one = found.route
        say(f"Route: {shown(one.share)} of the readers get v{one.version} since {moment(one.at)} UTC, by {one.by}.")
    if places:
        say("Targets:")
        show(places_table([{**one, "index": _held(one["index"])} for one in places]))


def _say_owners(owners: Sequence[str]) -> None:
    if owners:
        say(f"Owners: {', '.join(owners)}")


def _failed(one: "PlaceStatus") -> list[str]:
    """Gates of a place that let nothing through, or said so of another state of it."""
    return [result.name for result in one.said if result.blocks]


def _held(index: dict[str, Any] | None) -> str:
    from vector_pipeline.report.units import human_bytes

    return f"{plural(index['records'], 'record')}, {human_bytes(index['bytes'])}" if index is not None else ""


def advice(found: "Status | None") -> tuple[str, ...]:
    """The verb that comes next."""
    if found is None or found.newest is None:
        return ("build",)
    if found.staging is None:
        return ("push",)
    staged = found.staging.deployment
    if staged.version < found.newest.number or staged.space != found.newest.space:
        return ("push",)  # Also where `serving` names another space than it did: staging follows it.
    if found.rolled_back_from is not None and found.rolled_back_from >= staged.version:
        return ("history",)  # Promoting what was rolled back from is a decision, not the next step.
    live = found.production.deployment if found.production is not None else None
    # Versions of two spaces are in no order: what `serving` goes back to may have the lower number.
    if live is None or live.version < staged.version or live.space != staged.space:
        results = gates_of(found)
        passed = bool(results) and not any(result.blocks for result in results)
        passed = passed and not any(_failed(one) for one in found.places[1:] if one.place)
        return ("promote",) if passed else ("verify",)
    return _places_advice(found) or ("history",)


def _places_advice(found: "Status") -> tuple[str, ...]:
    """What brings several targets to where the configuration has them."""
    live = found.production
    if live is None or not found.places:
        return ()
    new = [one for one in found.places if one.place and one.withdrawal is None and one.production is None]
    if new:
        held = f"--version {live.deployment.version}"
        ready = new[0].staging is not None and new[0].staging.deployment.version == live.deployment.version
        return ("promote", held) if ready else ("push", held, f"--target {new[0].target}")
    if live.deployment.target != found.places[0].target or not all(one.place for one in found.places):
        return ("promote", f"--version {live.deployment.version}")
    return ()


_KEYS = ("environment", "newest", "staging", "production", "route", "index")
_LISTS = ("beside", "gates", "gates_off", "overrides", "places")


def _broken_json(broken: "BrokenDataset") -> dict[str, Any]:
    """A dataset that cannot be loaded, with every key that others have."""
    return {
        **_status_json(broken.name, None, None, []), "owners": list(broken.owners), "error": broken.reason,
    }  # fmt: skip


def _status_json(
    name: str, found: "Status | None", index: dict[str, Any] | None, places: list[dict[str, Any]]
) -> dict[str, Any]:
    from vector_pipeline.cli.routing import route_json
    from vector_pipeline.cli.shapes import alias_json, gates_json, override_json, version_json

    if found is None:
        return {"dataset": name, **dict.fromkeys(_KEYS), **{key: [] for key in _LISTS}}
    return {
        "dataset": name,
        "environment": found.environment,
        "newest": version_json(found.newest) if found.newest else None,
        "staging": alias_json(found.staging),
        "production": alias_json(found.production),
        "beside": [version_json(one) for one in found.beside],
        "route": route_json(found.route),
        "gates": gates_json(gates_of(found), found.modes),
        "gates_off": [gate for gate, mode in found.modes.items() if mode == "off"],
        "overrides": [override_json(one) for one in found.overridden],
        "index": index,
        "places": [
            {**one, "staging": alias_json(one["staging"]), "production": alias_json(one["production"])}
            for one in places
        ],
    }
