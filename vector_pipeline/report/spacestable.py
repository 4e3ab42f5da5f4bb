"""What a terminal shows of spaces, and of retiring one. From their JSON, so that a run's result and a dry run look alike."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from vector_pipeline.report.tables import table
from vector_pipeline.report.units import human_bytes, plural

_COLORS = {"yes": "green", "no": "", "retired": "dim"}


def spaces_lines(spaces: Sequence[Mapping[str, Any]]) -> Group:
    """Of ``SpaceStanding.to_json``: a row a space, and below what each is, where it is and what needs it."""
    columns = ("dataset", "space", "fingerprint", "", "vectors", "newest", "kept", "records", "lake", "retire")
    several = len({one["dataset"] for one in spaces}) > 1
    rows = (_row(one)[0 if several else 1 :] for one in spaces)
    shown = table(columns[0 if several else 1 :], rows, right=("kept", "records", "lake"))
    return Group(shown, Text(""), *(Text(_said(one, several)) for one in spaces))


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    state = "serving" if one["serving"] else "configured" if one["configured"] else ""
    vectors = f"{one['dimension']} {one['metric']}" if one["dimension"] is not None else None
    newest = f"v{one['newest']}" if one["newest"] is not None else None
    return (
        one["dataset"], one["space"], one["fingerprint"][:8], state, vectors, newest, len(one["kept"]), one["records"],
        human_bytes(one["bytes"]), Text(one["retire"], style=_COLORS[one["retire"]]),
    )  # fmt: skip


def _said(one: Mapping[str, Any], several: bool) -> str:
    name = f"{one['dataset']}, {one['space']}" if several else one["space"]
    made = ", ".join(part for part in (one["model"], _chunks(one["chunker"])) if part)
    lines = [
        f"{'?' if line['records'] is None else format(line['records'], ',')} in {line['target']} ({line['environment']})"
        for line in one["namespaces"]
    ]
    there = [f"records: {', '.join(lines)}"] if lines else []
    shared = [f"shares {', '.join(table['table'] for table in one['shared'])}"] if one["shared"] else []
    held = [f"held by {', '.join(one['held_by'])}"] if one["held_by"] else []
    said = "; ".join([*([made] if made else []), *there, *shared, *held])
    return (
        f"{name} ({one['fingerprint'][:8] or 'not resolved here'}): {said or 'nothing is known of it but its tables'}"
    )


def _chunks(settings: str | None) -> str:
    words = chunker_words(settings)
    return f"chunks {words}" if words else ""


def chunker_words(settings: str | None) -> str:
    """``structure 220/24/48``: kind, most tokens, overlap, least."""
    if settings is None:
        return ""
    found: dict[str, Any] = json.loads(settings)
    if found.get("kind") == "whole":
        return "whole"
    sizes = "/".join(str(found[name]) for name in ("max_tokens", "overlap_tokens", "min_tokens") if name in found)
    return f"{found.get('kind', '')} {sizes}".strip()


def retirement_lines(value: Mapping[str, Any]) -> Group:
    """Of ``Retirement.to_json``: what went or would go, what stays and for whom, and notes."""
    done = not value["dry_run"]
    name = f"space {value['space']} ({value['fingerprint'][:8]}) of {value['dataset']}"
    parts: list[RenderableType] = []
    if value["namespaces"]:
        rows = (
            (one["environment"], one["target"], one["namespace"], _numbers(one["versions"]), one["records"])
            for one in value["namespaces"]
        )
        parts += [
            table(("environment", "target", "namespace", "versions", "records"), rows, right=("records",)),
            Text(""),
        ]
    tables = [(one["table"], one["rows"], human_bytes(one["bytes"]), "goes") for one in value["tables"]]
    tables += [
        (one["table"], one["rows"], human_bytes(one["bytes"]), f"stays: {', '.join(one['because'])} needs it")
        for one in value["stay"]
    ]
    if tables:
        parts += [table(("lake table", "rows", "bytes", ""), tables, right=("rows", "bytes")), Text("")]
    parts.append(Text(_summary(value, done, name)))
    parts += [Text(note, style="yellow") for note in value["notes"]]
    return Group(*parts)


def _summary(value: Mapping[str, Any], done: bool, name: str) -> str:
    if not (value["versions"] or value["namespaces"] or value["tables"]):
        return f"Nothing is left of {name}: it is retired."
    versions = f" ({_numbers(value['versions'])})" if value["versions"] else ""
    expires = f"{'expired' if done else 'expire'} {plural(len(value['versions']), 'version')}{versions}"
    drops = (
        f"{'dropped' if done else 'drop'} {plural(len(value['namespaces']), 'namespace')} with "
        f"{plural(value['records'], 'record')} and {plural(len(value['tables']), 'table')} of the lake "
        f"({human_bytes(value['bytes'])})"
    )
    return f"Retired {name}: {expires}, {drops}." if done else f"Would retire {name}: {expires}, {drops}."


def _numbers(versions: Iterable[int]) -> str:
    return ", ".join(f"v{number}" for number in versions)
