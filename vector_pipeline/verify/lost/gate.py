"""The gate ``lost content``: which documents that production serves are gone from the candidate, content and all.

Laws
----
1. A document that was moved, renamed, split or merged is not lost (``lost_moved``).
2. Documents are counted in full. A version fails when more of them are lost than is tolerated, or when those that are lost belong
   together: most of a folder, of a topic, of a shard (``topics``).
3. A verdict names documents and holds nothing of one's text: it outlives them.
4. Fewer lost documents than ``min_documents`` never fail anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.lost.moved import LOST, lost_of
from vector_pipeline.verify.lost.topics import Group, Tolerance, counted_groups, draw, place_groups, word_groups
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

NAME = "lost content"
NOTHING_SERVED = "no other version is served: nothing to compare with"
_SHOWN = 12
_ROWS = 50


def judge(context: GateContext) -> CheckResult:
    """Law 2."""
    production, limits = context.production, context.gates.lost_content
    if production is None:
        return CheckResult(NAME, Status.PASSED, NOTHING_SERVED)
    lake, old = context.lake, production.documents
    gone = lost_of(context, production)
    documents = int(lake.row(f"SELECT count(*) FROM {old}")[0])
    lost = int(lake.row(f"SELECT count(*) FROM {LOST}")[0])
    tolerance = Tolerance.of(limits.max_topic, limits.min_documents, documents, lost)
    groups, bad = _groups(lake, production, tolerance) if lost >= tolerance.least else ([], [])
    too_many = lost >= limits.min_documents and lost > limits.max_documents * documents
    served = f"of {documents:,} documents that production serves"
    summary = f"{lost:,} {served} are lost" + (f"; {gone - lost:,} moved" if gone > lost else "")
    if too_many:
        summary += f": more than {limits.max_documents:.1%}"
    if bad:
        summary += f"; they belong together: {_said(bad[0])}" + (f", and {len(bad) - 1} more" if len(bad) > 1 else "")
    detail = {
        "documents": documents, "gone": gone, "lost": lost, "moved": gone - lost, "lost_share": lost / max(1, documents),
        "topics": [_shown(group) for group in bad[:_SHOWN]], "charts": _charts(lake, lost, groups),
    }  # fmt: skip
    status = Status.FAILED if too_many or bad else Status.PASSED
    return CheckResult(NAME, status, summary, detail, tuple(_examples(lake, bad)))


def _groups(lake: Lake, production: Side, tolerance: Tolerance) -> tuple[list[Group], list[Group]]:
    """Groups that lost most, for people; and those that lost too much, the clearest first."""
    old = production.documents
    counted = counted_groups(lake, old, tolerance.least)
    bad = [group for group in counted if tolerance.exceeded(group)]
    sampled = draw(lake, old)
    few = sampled.few(tolerance.least)
    words = [group for group in word_groups(lake, old, sampled, few) if tolerance.exceeded(group, few)]
    places = place_groups(lake, production, sampled)
    # A neighbourhood is a window on a topic, which may be larger: together they hold as many as are not few.
    near = [group for group in places if tolerance.exceeded(group, 1)]
    if sum(group.lost for group in near) >= few:
        bad += near
    bad += words[: _SHOWN // 2]
    return [*counted[:_SHOWN], *words[:3], *places[:3]], bad


def _said(group: Group) -> str:
    return f"{group.kind} {group.name!r} lost {group.lost:,} of {group.of:,}"


def _shown(group: Group) -> Mapping[str, Any]:
    return {
        "kind": group.kind, "topic": group.name, "lost": group.lost, "of": group.of, "share": group.share,
        "documents": list(group.examples),
    }  # fmt: skip


def _examples(lake: Lake, bad: Sequence[Group]) -> list[Mapping[str, Any]]:
    rows = lake.rows(f"SELECT document_id, shard, kept FROM {LOST} ORDER BY kept, document_id LIMIT {EXAMPLES}")
    found: list[Mapping[str, Any]] = [
        {"fault": "lost", "document": name, "shard": shard, "kept": round(kept, 3)} for name, shard, kept in rows
    ]
    return found + [{"fault": "lost topic", **_shown(group)} for group in bad[:EXAMPLES]]


def _charts(lake: Lake, lost: int, groups: Sequence[Group]) -> list[Mapping[str, Any]]:
    if not lost:
        return []
    charts: list[Mapping[str, Any]] = []
    if groups:
        labels = [f"{group.kind} {group.name!r}" for group in groups]
        series = {"lost": [group.lost for group in groups], "kept": [group.of - group.lost for group in groups]}
        charts.append({"kind": "bars", "title": "Lost documents by topic", "labels": labels, "series": series})
    rows = lake.rows(f"SELECT document_id, shard FROM {LOST} ORDER BY document_id LIMIT {_ROWS}")
    table = {"kind": "table", "title": "Lost documents", "columns": ["document", "shard"]}
    return [*charts, {**table, "rows": [list(row) for row in rows]}]
