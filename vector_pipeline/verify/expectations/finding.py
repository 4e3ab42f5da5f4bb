"""What became of one expectation, whoever evaluated it.

Law: ``result`` and ``rows`` are for now; what is kept of them (``to_json``, ``named``, ``observed``) holds no text, title or value
of metadata. Verdicts outlive documents, and an erasure finds a document in them by its id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vector_pipeline.verify.expectations.suite import Expectation
from vector_pipeline.verify.facts import says
from vector_pipeline.verify.outcome import json_safe


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation and its outcome. ``result`` is what Great Expectations would call so."""

    expectation: Expectation
    success: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    """``element_count``, ``unexpected_count``, ``partial_unexpected_list``, … or ``observed_value``."""
    rows: Sequence[Mapping[str, Any]] = ()
    """Some of the rows that break it, by name."""
    error: str | None = None
    """Why it could not be evaluated: then nothing is known of it."""

    @property
    def breaks(self) -> bool:
        """Whether it was evaluated and does not hold."""
        return self.error is None and not self.success

    @property
    def private(self) -> bool:
        """Whether it is of what documents say."""
        return any(map(says, self.expectation.columns))

    @property
    def named(self) -> list[dict[str, Any]]:
        """``rows`` without what their documents say."""
        return [{column: value for column, value in row.items() if not says(column)} for row in self.rows]

    @property
    def observed(self) -> Any:
        """``observed_value``; None for one that repeats what documents say."""
        seen = json_safe(self.result.get("observed_value"))
        return seen if isinstance(seen, int | float) or not self.private else None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a check's detail."""
        one, seen = self.expectation, self.result
        return {
            "expectation": one.says,
            "type": one.type,
            "success": self.success,
            "column": one.kwargs.get("column"),
            "observed": self.observed,
            "unexpected": seen.get("unexpected_count"),
            "of": seen.get("element_count"),
            "values": [] if self.private else seen.get("partial_unexpected_list", []),
            **({"severity": one.severity} if one.severity != "critical" else {}),
            **({"error": self.error} if self.error else {}),
        }


def map_result(rows: int, considered: int, unexpected: int, values: Sequence[Any] = ()) -> dict[str, Any]:
    """The result of an expectation on rows, as Great Expectations shapes it. Shares are percentages."""
    return {
        "element_count": rows,
        "unexpected_count": unexpected,
        "unexpected_percent": _percent(unexpected, considered),
        "partial_unexpected_list": list(values),
        "missing_count": rows - considered,
        "missing_percent": _percent(rows - considered, rows),
        "unexpected_percent_total": _percent(unexpected, rows),
        "unexpected_percent_nonmissing": _percent(unexpected, considered),
    }


def _percent(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None
