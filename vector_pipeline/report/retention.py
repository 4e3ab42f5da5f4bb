"""What a terminal shows of expiry and collection: what goes, what stays, and why. From their JSON, so that a run's result and a dry
run look alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from vector_pipeline.report.tables import table
from vector_pipeline.report.units import human_bytes, plural

_SHOWN = 20


def expiry_lines(value: Mapping[str, Any]) -> Group:
    """Of ``Expired.to_json``: every version that goes or stays, with the reasons, and the lake's states."""
    done = not value["dry_run"]
    parts: list[RenderableType] = []
    for one in value["datasets"]:
        rows = [(number, "expired" if done else "goes", "nothing reaches it") for number in one["expired"]]
        rows += [(int(number), "stays", "; ".join(reasons)) for number, reasons in one["kept"].items()]
        if rows:
            shown = ((one["dataset"], f"v{number}", *rest) for number, *rest in sorted(rows))
            parts += [table(("dataset", "version", "", "because"), shown), Text("")]
    expired = sum(len(one["expired"]) for one in value["datasets"])
    parts.append(Text(f"{'Expired' if done else 'Would expire'} {plural(expired, 'version')}."))
    states = len(value["snapshots"])
    needs = f"no version needs {'it' if states == 1 else 'them'}"
    parts.append(Text(f"{'Forgot' if done else 'Would forget'} {plural(states, 'state')} of the lake; {needs}."))
    return Group(*parts)


def collection_lines(value: Mapping[str, Any]) -> Group:
    """Of ``Collected.to_json``: every line with what is deleted of it and what stays, then the lake's files, then notes."""
    done = not value["dry_run"]
    lines = [(one, line) for one in value["collections"] for line in one["lines"]]
    parts: list[RenderableType] = []
    if lines:
        columns = ("target", "namespace", "retired", "records", "bytes", "stays")
        parts += [table(columns, (_row(line) for _, line in lines), right=("records", "bytes")), Text("")]
    gone = [line for _, line in lines if line["skipped"] is None]
    records = sum(line["records"] for line in gone)
    dropped = sum(line["drop"] for line in gone)
    verb = "Deleted" if done else "Would delete"
    whole = f", {plural(dropped, 'namespace')} of them whole" if dropped else ""
    parts.append(Text(f"{verb} {plural(records, 'record')} that no kept version sees{whole}."))
    parts += _documents(gone)
    parts.append(Text(f"{verb} {plural(len(value['files']), 'file')} of the lake."))
    parts += [Text(f"  - {file}") for file in value["files"][:_SHOWN]]
    if len(value["files"]) > _SHOWN:
        parts.append(Text(f"  - … and {len(value['files']) - _SHOWN:,} more"))
    parts += [
        Text(f"Skipped {line['namespace']}: {line['skipped']}", style="yellow") for _, line in lines if line["skipped"]
    ]
    parts += [Text(note, style="yellow") for note in value["notes"]]
    return Group(*parts)


def _row(line: Mapping[str, Any]) -> Sequence[object]:
    stays = ", ".join(f"v{number}" for number in line["kept"])
    return (
        line["target"], line["namespace"], ", ".join(f"v{number}" for number in line["versions"]), line["records"],
        human_bytes(line["bytes"]), "skipped" if line["skipped"] else stays or "nothing: dropped whole",
    )  # fmt: skip


def _documents(lines: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    examples = [document for line in lines for document in line["examples"]]
    return (
        [Text(f"  of {', '.join(dict.fromkeys(examples[:5]))}{', …' if len(examples) > 5 else ''}")] if examples else []
    )
