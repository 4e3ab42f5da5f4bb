"""What a terminal shows of versions, documents, gates, aliases and hits: rich renderables, no I/O.

Text that came from outside (documents, messages, names) is never read as markup: it goes in as ``Text``, and where a
width is reckoned ``legible``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vector_pipeline.config.gates import Mode
from vector_pipeline.release.registry import Alias, Override, Version
from vector_pipeline.report.units import moment, plural
from vector_pipeline.report.words import legible
from vector_pipeline.verify.outcome import CheckResult, Status

_SIGNS = {
    Status.PASSED: ("✓", "green"),
    Status.WARNED: ("!", "yellow"),
    Status.FAILED: ("✗", "red"),
    Status.UNKNOWN: ("?", "red"),
}
SNIPPET = 320
"""Characters of a hit's text that are shown."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> Table:
    """A plain table; ``right`` names the columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    numbers = set(right)
    for column in columns:
        made.add_column(legible(column), justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(_said(cell)) for cell in row))
    return made


def _said(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(legible(str(value)))


def versions_table(versions: Sequence[Version], aliases: Mapping[int, Sequence[str]]) -> Table:
    """Versions, oldest first; ``aliases`` names what points at a version."""
    return table(
        ("version", "made (UTC)", "documents", "records", "space", "digest", "state", "message"),
        (
            (
                f"v{version.number}",
                moment(version.created_at),
                version.documents,
                version.records,
                version.space,
                version.digest[:12],
                _state(version, aliases.get(version.number, ())),
                version.message,
            )
            for version in versions
        ),
        right=("documents", "records"),
    )


def _state(version: Version, names: Sequence[str]) -> str:
    words = [*names, *(["pinned"] if version.pinned else []), *(["expired"] if version.expired_at else [])]
    return ", ".join(words)


def documents_table(documents: Sequence[Mapping[str, Any]]) -> Table:
    """Documents as ``Project.documents`` gives them."""
    return table(
        ("document", "title", "type", "characters", "shard"),
        ((one["document"], one["title"], one["media_type"], one["characters"], one["shard"]) for one in documents),
        right=("characters", "shard"),
    )


def quarantine_table(items: Sequence[Mapping[str, str]]) -> Table:
    """Items that could not become documents."""
    return table(("document", "reason", "detail"), ((one["document"], one["reason"], one["detail"]) for one in items))


def status_lines(
    newest: Version | None, staging: Alias | None, production: Alias | None, gates: Sequence[CheckResult], index: str,
    modes: Mapping[str, Mode] | None = None, overridden: Sequence[Override] = (), *, spaces: bool = False,
    beside: Sequence[Version] = (),
) -> Group:  # fmt: skip
    """Where a dataset stands: newest version, aliases, which gates production was let past, and the gates of what staging holds.

    ``spaces``: there are several, and each version is told with its own. ``beside``: the newest of those that do not serve.
    """
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_row(Text("newest"), Text(_newest(newest, spaces)))
    made.add_row(Text("staging"), Text(_points(staging, spaces)))
    made.add_row(Text("production"), Text(_points(production, spaces)))
    for version in beside:
        made.add_row(Text("beside"), Text(_newest(version, spaces)))
    for number, one in enumerate(overridden):
        made.add_row(Text("" if number else "let past"), Text(override_words(one), style="yellow"))
    made.add_row(Text("index"), Text(index))
    parts: list[RenderableType] = [made]
    if staging is not None:
        heading = (
            f"\nGates of v{staging.deployment.version}:" if gates else "\nGates: none has run on staging's version"
        )
        parts.append(Text(heading))
        parts.append(gates_table(gates, modes or {}))
        if off := off_line(modes or {}):
            parts.append(Text(off))
    return Group(*parts)


def _newest(version: Version | None, spaces: bool) -> str:
    if version is None:
        return "no version yet"
    return (
        f"v{version.number}{_in(version.space, spaces)}: {plural(version.documents, 'document')}, "
        f"{plural(version.records, 'record')}, made {moment(version.created_at)} UTC"
    )


def _in(space: str, told: bool) -> str:
    return f" (space {space})" if told else ""


def _points(alias: Alias | None, spaces: bool) -> str:
    if alias is None:
        return "nothing"
    held = f"v{alias.deployment.version}{_in(alias.deployment.space, spaces)}"
    return f"{held}: since {moment(alias.moved_at)} UTC, moved by {alias.moved_by}"


def override_words(one: Override) -> str:
    """``coverage (failed: 2 records are missing) by ann, 2026-11-20 14:30 UTC: reason``."""
    return f"{one.check} ({one.status}: {one.summary}) by {one.by}, {moment(one.at)} UTC: {one.reason}"


def gates_table(results: Sequence[CheckResult], modes: Mapping[str, Mode] | None = None) -> Table:
    """Gates by name, status and summary, in the catalogue's order; and how strict each is, where one does not block."""
    from vector_pipeline.verify.catalogue import GATES

    order = {gate.name: number for number, gate in enumerate(GATES)}
    # Of several places a gate's name has the target behind it.
    results = sorted(results, key=lambda one: order.get(one.name.partition(" (")[0], len(order)))
    strict = {one.name: (modes or {}).get(one.name.partition(" (")[0], "block") for one in results}
    shown = any(mode != "block" for mode in strict.values())
    made = table(
        ("", "gate", *(["mode"] if shown else []), "status", "summary"),
        (
            (
                _sign(one.status), one.name, *([strict[one.name]] if shown else []), one.status.value, one.summary,
            )
            for one in results
        ),
    )  # fmt: skip
    made.show_header = bool(results)
    return made


def off_line(modes: Mapping[str, Mode]) -> str:
    """Gates that are turned off; empty where none is."""
    off = [name for name, mode in modes.items() if mode == "off"]
    return f"off here: {', '.join(off)}" if off else ""


def _sign(status: Status) -> Text:
    sign, colour = _SIGNS[status]
    return Text(sign, style=colour)


def failing_examples(results: Sequence[CheckResult], limit: int = 5) -> list[str]:
    """One line for each of the first faults that blocking gates name, fairly shared among the gates."""
    queues = [[f"{result.name}: {_example(one)}" for one in result.examples] for result in results if result.blocks]
    lines: list[str] = []
    while len(lines) < limit and any(queues):
        for queue in queues:
            if queue and len(lines) < limit:
                lines.append(queue.pop(0))
    return lines


def _example(example: Mapping[str, Any]) -> str:
    if "query" in example and example.get("why"):
        return f'"{example["query"]}" {example["why"]}'
    if "query" in example:
        got = ", ".join(str(one["document_id"]) for one in example.get("got", [])[:3]) or "nothing"
        wanted = ", ".join(map(str, example.get("missing") or example.get("forbidden") or example.get("expect", [])))
        verb = "must not find" if example.get("forbidden") and not example.get("missing") else "must find"
        return f'"{example["query"]}" {verb} {wanted}; found {got}'
    return ", ".join(f"{key} {value}" for key, value in example.items() if value not in (None, "", [], {}))


def hits_lines(hits: Sequence[Any], spaces: Mapping[int, str] | None = None) -> Group:
    """Hits of a query, best first: score, document, version (with its space, where ``spaces`` has it), and how the text begins."""
    parts: list[RenderableType] = []
    for rank, hit in enumerate(hits, start=1):
        head = Text(f"{rank:>2}  ")
        head.append(f"{hit.score:.3f}", style="cyan")
        head.append(f"  {legible(hit.document)}", style="bold")
        head.append(f"  v{hit.version}")
        if spaces and hit.version in spaces:
            head.append(f" ({spaces[hit.version]})")
        text = legible(" ".join((hit.text or "").split()))
        body = Text(text if len(text) <= SNIPPET else text[: SNIPPET - 1].rstrip() + "…")
        parts += [head, Padding(body, (0, 0, 0, 4))]
    return Group(*parts)
