"""What a report shows of canaries: answers side by side, and charts (see ``report``). JSON values only."""

from collections.abc import Mapping, Sequence
from typing import Any

from vector_pipeline.verify.canaries.verdicts import Verdict
from vector_pipeline.verify.intervals import Rate
from vector_pipeline.verify.outcome import Status

_ANSWERS, _ROWS, _FIRST = 20, 50, 10


def answers(shown: Sequence[Mapping[str, Any]], before: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Canaries that fail, beside what production answers: those that fail newly first, then critical ones."""
    found = []
    for number, one in enumerate(shown):
        if one["status"] == Status.PASSED:
            continue
        candidate = [[hit["document_id"], hit["score"]] for hit in one["got"]][:_FIRST]
        production = [list(hit) for hit in before[number].got[:_FIRST]] if before else []
        newly = bool(before) and before[number].passed
        found.append((
            (not newly, not one["critical"]),
            {
                "query": one["query"], "production": production, "candidate": candidate,
                "overlap": _overlap(production, candidate) if before else None,
                "why": f"{'newly failing: ' if newly else ''}{one['why']}",
            },
        ))  # fmt: skip
    return [one for _, one in sorted(found, key=lambda pair: pair[0])[:_ANSWERS]]


def _overlap(production: Sequence[Sequence[Any]], candidate: Sequence[Sequence[Any]]) -> float:
    """Share of production's documents that still come; 1 for none."""
    ids = {one[0] for one in production}
    return len(ids & {one[0] for one in candidate}) / len(ids) if ids else 1.0


def charts(
    shown: Sequence[Mapping[str, Any]], tags: Mapping[str, Rate], before: Sequence[Verdict]
) -> list[dict[str, Any]]:
    """The rate of each tag, and a table of those that fail."""
    made: list[dict[str, Any]] = []
    if tags:
        series = {"candidate": [one.share for one in tags.values()]}
        if before:
            series = {"production": [_share(before, tag) for tag in tags], **series}
        made.append({"kind": "bars", "title": "Canaries that pass, by tag", "labels": list(tags), "series": series})
    failing = [
        [one["query"], one["why"], "critical" if one["critical"] else "", one.get("before", "")]
        for one in shown
        if one["status"] != Status.PASSED
    ]
    if failing:
        columns = ["query", "why it fails", "", "in production"]
        made.append({"kind": "table", "title": "Canaries that fail", "columns": columns, "rows": failing[:_ROWS]})
    return made


def _share(verdicts: Sequence[Verdict], tag: str) -> float:
    those = [one.passed for one in verdicts if tag in one.canary.tags]
    return sum(those) / len(those) if those else 0.0
