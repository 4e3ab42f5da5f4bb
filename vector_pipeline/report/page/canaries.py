"""Canaries as a report shows them: shares by tag with their intervals, and what failed with what came instead."""

from collections.abc import Mapping, Sequence
from typing import Any

from vector_pipeline.report.page.charts import Intervals, Undrawable, chart_of


def shares_of(detail: Mapping[str, Any]) -> Intervals | None:
    """Shares that passed: all of them, then by tag. None where no canary was asked."""
    rows = [("all canaries", detail), *sorted(_mapping(detail.get("tags")).items())]
    made = chart_of(
        {
            "kind": "intervals",
            "title": "Share of canaries that passed, with 95% intervals",
            "rows": [_row(name, one) for name, one in rows if isinstance(one, Mapping) and one.get("total")],
            "required": detail.get("pass_rate"),
        }
    )
    return made if not isinstance(made, Undrawable) and isinstance(made, Intervals) else None


def _row(name: str, one: Mapping[str, Any]) -> tuple[Any, ...]:
    return name, one.get("rate"), one.get("low"), one.get("high"), f"{one.get('passed')}/{one.get('total')}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def canaries_of(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Canaries as the gate tells them: those that failed first, else in the file's order."""
    found: Sequence[Any] = detail.get("canaries") or ()
    known = [one for one in found if isinstance(one, Mapping)]
    return sorted(known, key=lambda one: one.get("status") == "passed")
