"""How far a space is, for people and machines: the whole in lines, each shard in a row."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from vector_pipeline.report.tables import table
from vector_pipeline.report.units import moment, plural

if TYPE_CHECKING:
    from vector_pipeline.release.spacefill import ShardFill, SpaceFill

_STYLES = {"done": "green", "filling": "cyan", "failed": "red", "stale": "yellow", "pending": "dim", "empty": "dim"}


def fill_lines(status: "SpaceFill") -> RenderableType:
    """``Space mpnet …: 1,200 of 5,183 documents done``, the rate and the time that is left, and a row a shard."""
    every = status.total
    share = every.done / every.documents if every.documents else 1.0
    lines = [
        f"Space {status.space} of {status.dataset} ({status.model}{', serves' if status.serves else ''}): "
        f"{every.done:,} of {plural(every.documents, 'document')} done ({share:.0%})",
        _ahead(status),
    ]
    if status.newest is not None:
        lines.append(f"Newest version: v{status.newest.number}, {moment(status.newest.created_at)} UTC")
    rows = [
        (
            f"{one.state.shard:02d}", Text(_word(one), style=_STYLES[_word(one)]), one.state.done,
            one.state.missing + one.state.unembedded, one.state.stale, one.state.gone, one.state.records,
            one.state.records - one.state.pending, f"{one.last.at.astimezone(UTC):%m-%d %H:%M}" if one.last is not None else None,
        )
        for one in status.shards
    ]  # fmt: skip
    columns = ("shard", "state", "done", "pending", "stale", "gone", "records", "vectors", "filled (UTC)")
    failed = [
        Text(f"shard {one.state.shard:02d} failed: {one.error}", style="red") for one in status.shards if one.error
    ]
    return Group(*map(Text, filter(None, lines)), table(columns, rows, right=columns[2:8]), *failed)


def _word(one: "ShardFill") -> str:
    """Its state; ``empty`` where it is done because it has no document."""
    return "empty" if one.status == "done" and not one.state.documents else one.status


def _ahead(status: "SpaceFill") -> str:
    rate = "" if status.rate_per_s is None else f"{status.rate_per_s:,.1f} texts a second"
    if status.whole:
        return f"Whole. Filled at {rate}" if rate else "Whole"
    if status.remaining_s is None:
        return f"{rate}; how long it takes is not known yet" if rate else "How long it takes is not known yet"
    ends = ""
    if any(one.status == "filling" for one in status.shards):
        ends = f", until {moment(datetime.now(UTC) + timedelta(seconds=status.remaining_s))} UTC"
    return f"{rate}; about {duration(status.remaining_s)} left by one process{ends}"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def fill_json(status: "SpaceFill") -> dict[str, Any]:
    """The same for machines."""
    every = status.total
    return {
        "dataset": status.dataset, "space": status.space, "fingerprint": status.fingerprint, "model": status.model,
        "serves": status.serves, "whole": status.whole, "documents": every.documents, "done": every.done,
        "pending": every.missing + every.unembedded, "stale": every.stale, "gone": every.gone,
        "failed": sum(one.status == "failed" for one in status.shards), "records": every.records,
        "records_without_vector": every.pending, "texts_per_second": status.rate_per_s, "remaining_s": status.remaining_s,
        "version": status.newest.number if status.newest is not None else None,
        "shards": [
            {
                "shard": one.state.shard, "state": one.status, "documents": one.state.documents, "done": one.state.done,
                "pending": one.state.missing + one.state.unembedded, "stale": one.state.stale, "gone": one.state.gone,
                "records": one.state.records, "records_without_vector": one.state.pending,
                "at": one.last.at.isoformat() if one.last is not None else None, "error": one.error,
            }
            for one in status.shards
        ],
    }  # fmt: skip
