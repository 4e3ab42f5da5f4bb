"""Retrieval measures: where relevance is judged, is the candidate as good as production?

Laws
----
1. Both versions are asked the judged questions on their targets, as readers ask them; hits are chunks, judgements are of documents:
   a document counts at its best chunk.
2. Measures are ir-measures' own, for each query. Of the first one the difference to production decides, with a paired bootstrap
   interval over queries: a version fails when the loss is surely larger than ``max_drop``, or its level surely below ``least``; both together
   are wrong once in twenty. Of few queries a randomisation test has to agree: else they are a warning.
3. A judged document that a version does not have is looked for under another id, with the same text, as the other version has it:
   a rename is no loss, whichever of the two names the judgements know. What is not there at all is told: it can only be missed.
4. Where production serves something and could not be measured, nothing is proven: the gate has not passed.

Cost on a service that bills reads: each judged question once for each version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from vector_pipeline.errors import ConfigError, VectorPipelineError
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.retrieval.judgements import Judgements, load_judgements
from vector_pipeline.verify.retrieval.telling import NAME, Run, Values, result_of
from vector_pipeline.verify.searching import search_vectors

__all__ = ["NAME", "judge"]

if TYPE_CHECKING:
    from ir_measures.measures import Measure

_WIDE = 4
"""Chunks asked for, for each document wanted."""
_DEPTH = 10
"""Documents that measures without a cut look at, at least."""
_BATCH = 256
_TO_DO = "configure what it is served with and verify again, or look at the level and promote with --override retrieval_measures"


def judge(context: GateContext) -> CheckResult:
    """The gate."""
    gates = context.gates.retrieval
    if gates.queries is None or gates.judgements is None:
        if gates.queries is not None or gates.judgements is not None:
            raise ConfigError("gates: retrieval: `queries` and `judgements` belong together", fix="Set both, or none")
        return CheckResult(NAME, Status.PASSED, "no judgements are configured: retrieval is not measured")
    judged = load_judgements(context.base / gates.queries, context.base / gates.judgements)
    measures = _measures(gates.measures)
    renamed = _renamed(context, context.candidate, context.production, judged)
    run = _ask(context, context.candidate, judged, _depth(measures), renamed)
    values = _values(measures, judged, run)
    missing = [name for name in _missing(context, context.candidate, judged) if name not in renamed.values()]
    notes = [f"{judged.left_out} judgements are of queries that are not asked"] if judged.left_out else []
    if missing:
        notes.append(
            f"{len(missing)} judged documents are not in version {context.version.number}, such as {missing[0]}"
        )
    other, why = _production(context, judged, measures)
    if why:
        notes.append(why)
    old = _values(measures, judged, other) if other is not None else None
    result = result_of(context, judged, (run, other), values, old, missing, notes)
    if context.production is None or other is not None or result.status is Status.FAILED:
        return result
    return replace(result, status=Status.UNKNOWN, summary=f"{why}; {_TO_DO} ({result.summary})")


def _measures(names: Sequence[str]) -> "list[Measure]":
    import ir_measures

    found = []
    for name in names:
        try:
            found.append(ir_measures.parse_measure(name))
        except (NameError, ValueError, TypeError, SyntaxError, KeyError, AttributeError):
            raise ConfigError(
                f"gates: retrieval: measures: {name} is no measure", fix="Such as nDCG@10, R@10, RR@10"
            ) from None
    return found


def _depth(measures: "Sequence[Measure]") -> int:
    return max(_DEPTH, *(int(measure.params.get("cutoff") or 0) for measure in measures))


def _ask(context: GateContext, side: Side, judged: Judgements, depth: int, renamed: Mapping[str, str]) -> Run:
    """``renamed``: ids of the side that the judgements know by another name."""
    names = list(judged.queries)
    vectors = context.embedder(side).embed_queries([judged.queries[name] for name in names])
    width = min(depth * _WIDE, context.target(side).capabilities.max_top_k)
    answers: dict[str, list[tuple[str, float]]] = {}
    for begin in range(0, len(names), _BATCH):
        some = names[begin : begin + _BATCH]
        hits = search_vectors(context, side, vectors[begin : begin + _BATCH], width)
        for name, matches in zip(some, hits, strict=True):
            best: dict[str, float] = {}
            for match in matches:
                best.setdefault(renamed.get(match.document_id, match.document_id), match.score)
            answers[name] = list(best.items())[:depth]
    return Run(answers)


def _production(context: GateContext, judged: Judgements, measures: "Sequence[Measure]") -> tuple[Run | None, str]:
    """Production's answers, or why there are none."""
    side = context.production
    if side is None:
        return None, "nothing is served yet: nothing to compare with"
    try:
        renamed = _renamed(context, side, context.candidate, judged)
        return _ask(context, side, judged, _depth(measures), renamed), ""
    except VectorPipelineError as error:
        return None, f"production was not measured: {error.what}"


def _values(measures: "Sequence[Measure]", judged: Judgements, run: Run) -> dict[str, Values]:
    """Of each measure float64[queries], in the order of ``judged.queries``. A query without answers has 0."""
    import ir_measures

    rows = {name: row for row, name in enumerate(judged.queries)}
    qrels = {name: dict(judged.relevance[name]) for name in judged.queries}
    # By place, not by score: equal scores stand as the target told them.
    scored = {
        name: {document: float(-place) for place, (document, _) in enumerate(run.answers[name])}
        for name in judged.queries
    }
    values = {str(measure): np.zeros(len(rows)) for measure in measures}
    for metric in ir_measures.iter_calc(list(measures), qrels, scored):
        values[str(metric.measure)][rows[metric.query_id]] = metric.value
    return values


def _missing(context: GateContext, side: Side, judged: Judgements) -> list[str]:
    """Relevant documents that a side does not have."""
    named = sorted({name for grades in judged.relevance.values() for name, grade in grades.items() if grade > 0})
    with context.lake.registered("judged_documents", _ids(named)):
        rows = context.lake.rows(
            f"""SELECT document_id FROM judged_documents ANTI JOIN {side.documents} d USING (document_id)
                ORDER BY document_id"""
        )
    return [str(row[0]) for row in rows]


def _renamed(context: GateContext, side: Side, other: Side | None, judged: Judgements) -> dict[str, str]:
    """Of a side's documents the judged ids under which ``other`` has the same text (law 3)."""
    missing = _missing(context, side, judged) if other is not None else []
    if other is None or not missing:
        return {}
    with context.lake.registered("judged_documents", _ids(missing)):
        rows = context.lake.rows(
            f"""SELECT n.document_id, min(o.document_id)
                FROM judged_documents JOIN {other.documents} o USING (document_id)
                JOIN {side.documents} n ON n.content_hash = o.content_hash
                GROUP BY n.document_id"""
        )
    return {str(now): str(judged_as) for now, judged_as in rows}


def _ids(names: Sequence[str]) -> pa.Table:
    return pa.table({"document_id": pa.array(names, pa.string())})
