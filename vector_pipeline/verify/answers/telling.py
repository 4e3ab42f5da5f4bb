"""What a report shows of a replay: numbers, charts, and the most different answers side by side with why they differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vector_pipeline.verify.answers.changes import ADDED, CHANGED, REMOVED, REPLACED, UNCHANGED
from vector_pipeline.verify.answers.numbers import Numbers, score_shift, scores_at
from vector_pipeline.verify.answers.replay import Answer, Replay
from vector_pipeline.verify.bins import share_edges, value_edges
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.rankings import overlap

SIDE_BY_SIDE = 20
_BINS = 21


def detail_of(context: GateContext, found: Replay, numbers: Numbers) -> dict[str, Any]:
    """``detail`` of the gate: JSON, as ``verify.outcome`` wants it."""
    old, new = found.production[: found.queries], found.candidate[: found.queries]
    parts = numbers.split()
    detail: dict[str, Any] = {
        "queries": found.queries, "depth": numbers.depth, "overlap": numbers.common.mean, "low": numbers.common.low,
        "high": numbers.common.high, "min_overlap": context.gates.answers.min_overlap, "rbo": numbers.rbo.mean,
        "retained": numbers.retained.mean, "changed_documents": numbers.retained.count,
        "emptied": numbers.emptied.passed, "skewness_production": numbers.skewness[0],
        "skewness_candidate": numbers.skewness[1], "crowded": numbers.crowd.share,
        **{f"difference_{name}": share for name, share in parts.items()},
        **score_shift(old, new, numbers.depth),
    }  # fmt: skip
    return {
        **detail,
        "asked": {**found.sample.counts(), "former texts": len(found.edited)},
        "intervals": {
            "overlap": numbers.common.to_json(), "rbo": numbers.rbo.to_json(), "total": numbers.total.to_json(),
            "retained": numbers.retained.to_json(), "emptied": numbers.emptied.to_json(),
        },
        "hubs": [
            {"document_id": hub.document, "before": hub.before, "now": hub.now, "gained": hub.gained.to_json()}
            for hub in numbers.hubs
        ],
        "notes": list(found.notes),
        "charts": _charts(old, new, numbers, parts),
        "answers": _side_by_side(found, numbers.depth),
    }  # fmt: skip


def _charts(
    old: Sequence[Answer], new: Sequence[Answer], numbers: Numbers, parts: dict[str, float]
) -> list[dict[str, Any]]:
    depth, charts = numbers.depth, []
    for title, place in (("Best score of each answer", 0), (f"Score of the document at place {depth}", depth - 1)):
        a, b = scores_at(old, place), scores_at(new, place)
        both = np.concatenate([a, b])
        both = both[np.isfinite(both)]
        if len(both):
            edges = value_edges(float(both.min()), float(both.max()), _BINS)
            series = {name: np.histogram(one, edges)[0].tolist() for name, one in (("production", a), ("candidate", b))}
            charts.append({"kind": "histogram", "title": title, "edges": edges.tolist(), "series": series})
    shares = [overlap(x.documents[:depth], y.documents[:depth]) for x, y in zip(old, new, strict=True)]
    counts, edges = np.histogram(shares, share_edges(depth))
    charts.append(
        {
            "kind": "histogram", "title": f"Share of production's first {depth} documents that come still, removed ones among them",
            "edges": edges.tolist(), "series": {"candidate": counts.tolist()},
        }
    )  # fmt: skip
    causes = [name for name in ("data", "model", "index_production", "index_candidate") if name in parts]
    charts.append(
        {
            "kind": "bars", "title": f"Why answers differ: {parts['total']:.1%} of all documents are others",
            "labels": [name.replace("_", ", ") for name in causes],
            "series": {"difference": [parts[name] for name in causes]},
        }
    )  # fmt: skip
    return charts


def _side_by_side(found: Replay, depth: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(found.queries):
        a, b = found.production[number], found.candidate[number]
        rows.append((overlap(a.documents[:depth], b.documents[:depth]), number, a, b))
    rows.sort(key=lambda row: row[:2])
    return [
        {
            "query": found.sample.labels[number],
            "production": _shown(a, depth),
            "candidate": _shown(b, depth),
            "overlap": share,
            "why": _why(found, a.documents[:depth], b.documents[:depth]),
        }
        for share, number, a, b in rows[:SIDE_BY_SIDE]
        if share < 1
    ]


def _shown(answer: Answer, depth: int) -> list[list[Any]]:
    return [[name, score] for name, score in zip(answer.documents[:depth], answer.scores[:depth], strict=True)]


_LEFT = {REMOVED: "removed", REPLACED: "has another text", CHANGED: "changed and farther now", UNCHANGED: "pushed out"}
_CAME = {ADDED: "new", REPLACED: "has another text", CHANGED: "changed and nearer now", UNCHANGED: "moved up"}


def _why(found: Replay, old: Sequence[str], new: Sequence[str]) -> str:
    left = [found.changes.get(name, REMOVED) for name in old if name not in set(new)]
    came = [found.changes.get(name, ADDED) for name in new if name not in set(old)]
    said = [f"{left.count(change)} {word}" for change, word in _LEFT.items() if left.count(change)]
    said += [f"{came.count(change)} {word}" for change, word in _CAME.items() if came.count(change)]
    return ", ".join(said) or "other order"
