"""What a terminal shows of the past: the timeline, one version's story, what production served."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.past import Event, Span, records_of
from vector_pipeline.release.registry import Erasure, PushStatus
from vector_pipeline.release.restoring import How, IndexState, Placed, Restore, Served, Touch, VersionPast
from vector_pipeline.report.changes import diff_lines
from vector_pipeline.report.tables import override_words, table
from vector_pipeline.report.units import moment, plural

Command = Callable[[tuple[str, ...]], str]
"""A whole command line from verb and options."""


def timeline_table(events: Sequence[Event], spaces: Mapping[int, str] | None = None) -> Table:
    """Events, newest first. ``spaces``: of the versions, where the dataset has several."""
    return table(
        ("when (UTC)", "alias", "from", "to", "how", "what changed", "by", "reason"),
        (
            (
                moment(event.at),
                event.alias,
                _v(event.from_version),
                _v(event.to_version),
                _how(event),
                what_changed(event, spaces),
                event.by,
                event.reason,
            )
            for event in events
        ),
    )


def _v(number: int | None) -> str | None:
    return None if number is None else f"v{number}"


def _how(event: Event) -> str:
    if event.audit is not None:
        return f"audit {event.audit.level}"
    if event.push is not None and event.push.status is not PushStatus.DONE:
        return f"{event.kind} {'not ended' if event.push.status is PushStatus.OPEN else event.push.status}"
    if event.overrides:
        return f"{event.kind} past {', '.join(one.check for one in event.overrides)}"
    return f"{event.kind} not ended" if event.erasure is not None and event.erasure.open else event.kind


def what_changed(event: Event, spaces: Mapping[int, str] | None = None) -> str:
    """One phrase; empty where it is not known. Of a move into another space: ``space minilm → words``, and which documents."""
    if event.audit is not None:
        return audit_words(event.audit.drifted, event.audit.counts)
    if event.erasure is not None:
        return _erased(event.erasure)
    if event.push is not None:
        records = records_of(event.push)
        return plural(records, "record") if records is not None else ""
    old, new = ((spaces or {}).get(number or 0) for number in (event.from_version, event.to_version))
    if old is not None and new is not None and old != new:
        # Every record is another one then: their number says nothing.
        return f"space {old} → {new}{_documents_too(event.changes)}"
    return changes_words(event.changes) if event.changes is not None else ""


def _documents_too(diff: VersionDiff | None) -> str:
    if diff is None:
        return ""
    said = _signed("documents", diff.documents_added, diff.documents_changed, diff.documents_removed)
    return f", {said}" if said else ""


def _erased(erasure: Erasure) -> str:
    name = f"document {erasure.document_key[:12]}"
    if erasure.open:
        return f"{name} is not gone yet"
    if erasure.report.get("gone"):
        return f"{name} left every version"
    return f"{name} is NOT GONE everywhere: some places were not reached, or hold it still"


def changes_words(diff: VersionDiff) -> str:
    """``documents +1 ~1 -1, records +14 ~0 -3``; what is nought is left out."""
    parts = [
        _signed("documents", diff.documents_added, diff.documents_changed, diff.documents_removed),
        _signed("records", diff.records_added, diff.records_metadata, diff.records_removed),
    ]
    return ", ".join(part for part in parts if part) or "nothing"


def _signed(noun: str, added: int, changed: int, removed: int) -> str:
    said = [f"{sign}{count:,}" for sign, count in (("+", added), ("~", changed), ("-", removed)) if count]
    return f"{noun} {' '.join(said)}" if said else ""


def audit_words(drifted: bool, counts: Any) -> str:
    """``no drift (12 of 12 records)`` or ``DRIFT: 1 missing, 2 foreign``."""
    if not drifted:
        return f"no drift ({counts.get('found', 0):,} of {counts.get('expected', 0):,} records)"
    names = {"missing": "missing", "foreign": "foreign", "tampered": "tampered", "stale_marks": "with stale marks"}
    told = [f"{counts[key]:,} {word}" for key, word in names.items() if counts.get(key)]
    return f"DRIFT: {', '.join(told) or 'see drift'}"


def version_lines(past: VersionPast, environment: str, command: Command) -> Group:
    """One version's whole story."""
    version = past.version
    grid = Table.grid(padding=(0, 2, 0, 0))

    def line(name: str, text: str | Text) -> None:
        grid.add_row(Text(name), text if isinstance(text, Text) else Text(text))

    by = [
        f"run {version.run_id}" if version.run_id else "",
        f"code {version.code_revision}" if version.code_revision else "",
    ]
    line("made", ", ".join([f"{moment(version.created_at)} UTC", *filter(None, by)]))
    if version.message:
        line("message", version.message)
    model = past.model or "not recorded, and not configured here any more"
    line(
        "model", f"{model}: {version.dimension} dimensions, {version.metric} (embedder {version.embedder_fingerprint})"
    )
    line("space", f"{version.space} ({version.fingerprint}){_chunker(version.chunker)}")
    line(
        "content",
        f"{plural(version.documents, 'document')}, {plural(version.records, 'record')}, digest {version.digest[:12]}",
    )
    for number, placed in enumerate(past.placed):
        line("deployed" if number == 0 else "", _deployed(placed))
        line("", _gates(placed))
        for one in placed.overrides:
            line("", Text(f"let past {override_words(one)}", style="yellow"))
        line("", index_words(placed.index))
        line("", _audited(placed))
    if not past.placed:
        line("deployed", f"never, in {environment}")
    line("restore", restore_words(past.restore, command))
    head = Text(f"{version.dataset} v{version.number} (environment {environment})", style="bold")
    parts: list[RenderableType] = [head, grid]
    if past.changes is not None and version.parent is not None:
        parts += [Text(""), diff_lines(version.parent, version.number, past.changes)]
    elif version.parent is not None:
        parts += [Text(f"what changed since v{version.parent} is not known: the lake does not keep both", style="dim")]
    return Group(*parts)


def _chunker(settings: str | None) -> str:
    if settings is None:
        return ""
    found: dict[str, Any] = json.loads(settings)
    return ", chunks by " + ", ".join(f"{key} {value}" for key, value in found.items())


def _deployed(placed: Placed) -> str:
    one = placed.deployment
    state = f"{one.status}, {one.strategy}, {moment(one.updated_at)} UTC"
    now = f"; {' and '.join(placed.aliases)} now" if placed.aliases else ""
    return f"{one.target}/{one.namespace}: {state}{now}{_served(placed.served)}"


def _served(served: Sequence[Span]) -> str:
    times = [f"{moment(span.since)} to {moment(span.until) if span.until else 'now'}" for span in served]
    return f"; in production {', '.join(times)}" if times else ""


def _gates(placed: Placed) -> str:
    if not placed.verdicts:
        return "gates: none has run"
    return "gates: " + ", ".join(f"{verdict.check} {verdict.status}" for verdict in placed.verdicts)


def index_words(state: IndexState) -> Text:
    """Whether somebody touched the index."""
    since = f" since our last write, {moment(state.since)} UTC" if state.since is not None else ""
    if state.touch is Touch.UNTOUCHED:
        return Text(f"index: untouched{since}")
    if state.touch is Touch.TOUCHED:
        return Text(f"index: SOMETHING ELSE WROTE TO IT{since}", style="red")
    return Text(f"index: not known: {state.why}", style="yellow")


def _audited(placed: Placed) -> str:
    if placed.audit is None:
        return "audit: none yet"
    found = audit_words(placed.audit.drifted, placed.audit.counts)
    return f"audit: {found}, by {placed.audit.level}, {moment(placed.audit.at)} UTC"


def restore_words(way: Restore, command: Command) -> str:
    """Whether it can be served again, with the exact commands."""
    if way.how is How.SERVING:
        return "nothing to do: production serves it"
    if way.how is How.GONE:
        return f"gone: {way.why}"
    return f"{way.why}: {', then '.join(command(words) for words in way.commands)}"


def served_table(found: Sequence[Served], command: Command) -> Table:
    """What production served, newest first, and how to serve it again."""
    return table(
        ("version", "from (UTC)", "to (UTC)", "documents", "moved by", "restore"),
        (
            (
                f"v{one.span.version}",
                moment(one.span.since),
                moment(one.span.until) if one.span.until else "now",
                one.version.documents,
                one.span.by,
                restore_words(one.restore, command),
            )
            for one in found
        ),
        right=("documents",),
    )
