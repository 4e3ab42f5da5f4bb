"""Canaries as a report shows them: shares by tag with their intervals, and what failed with what came instead."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vector_pipeline.report.page.charts import Chart, Intervals, Rows, Undrawable, chart_of, charts_of
from vector_pipeline.report.page.facts import GateSaid
from vector_pipeline.verify.canaries.gate import NAME
from vector_pipeline.verify.outcome import Status

_STATUSES = ("passed", "failed", "warned", "unknown")
_WORST = (Status.FAILED, Status.UNKNOWN, Status.WARNED, Status.PASSED)
Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CanaryLine:
    """One canary and what came."""

    query: str
    status: str
    wanted: tuple[str, ...]
    """What it expects; of one that failed what is missing of that."""
    forbidden: tuple[str, ...]
    """What came and must not."""
    got: tuple[tuple[str, float | None], ...]
    critical: bool
    before: str
    """What it was in production; empty where that is not known."""
    notes: str


@dataclass(frozen=True, slots=True)
class CanaryBlock:
    """Canaries at one place."""

    gate: GateSaid
    shares: Intervals | None
    lines: Sequence[CanaryLine]
    charts: Sequence[Chart | Undrawable]


def blocks_of(gates: Iterable[GateSaid]) -> list[CanaryBlock]:
    """One a place, in the places' order."""
    return [
        CanaryBlock(one, shares_of(one.detail), canaries_of(one.detail), drawings_of(one.detail))
        for one in gates
        if one.name == NAME
    ]


def worst_of(blocks: Iterable[CanaryBlock]) -> CanaryBlock | None:
    """The one to be shown where there is room for one: by its status, then by its share. None where none was asked."""
    asked = [(one, one.shares.rows[0][1]) for one in blocks if one.shares is not None]
    return min(asked, key=lambda one: (_WORST.index(one[0].gate.status), one[1]))[0] if asked else None


def shares_of(detail: Detail) -> Intervals | None:
    """Shares that passed: all of them, then by tag. None where no canary was asked."""
    tags = detail.get("tags")
    rows = [("all canaries", detail), *sorted(tags.items() if isinstance(tags, Mapping) else ())]
    made = chart_of(
        {
            "kind": "intervals",
            "title": "Share that passed, with 95% intervals",
            "rows": [_row(name, one) for name, one in rows if isinstance(one, Mapping) and one.get("total")],
            "required": detail.get("pass_rate"),
        }
    )
    return made if isinstance(made, Intervals) else None


def _row(name: str, one: Detail) -> tuple[Any, ...]:
    return name, one.get("rate"), one.get("low"), one.get("high"), f"{one.get('passed')}/{one.get('total')}"


def drawings_of(detail: Detail) -> list[Chart | Undrawable]:
    """The gate's own charts; its tables say what ``canaries_of`` says."""
    return [one for one in charts_of(detail) if not isinstance(one, Rows)]


def canaries_of(detail: Detail) -> list[CanaryLine]:
    """Every canary: those that failed first, critical and newly failing ones before others, else in the file's order."""
    found = detail.get("canaries")
    lines = [_line(one) for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    return sorted(lines, key=lambda one: (one.status == "passed", not one.critical, one.before != "passed"))


def _line(one: Detail) -> CanaryLine:
    status = str(one.get("status"))
    return CanaryLine(
        query=str(one.get("query") or ""),
        status=status if status in _STATUSES else "unknown",
        wanted=_texts(one.get("missing") or one.get("expect")),
        forbidden=_texts(one.get("forbidden")),
        got=tuple(_hit(hit) for hit in _list(one.get("got")) if isinstance(hit, Mapping)),
        critical=bool(one.get("critical")),
        before=str(one.get("before") or ""),
        notes=str(one.get("notes") or ""),
    )


def _hit(hit: Detail) -> tuple[str, float | None]:
    score = hit.get("score")
    return str(hit.get("document_id")), float(score) if isinstance(score, int | float) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in _list(value))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
