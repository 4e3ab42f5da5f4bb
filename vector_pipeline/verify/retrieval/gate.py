"""Retrieval measures: where relevance is judged, is the candidate as good as production?

Laws
----
1. Both versions are asked the judged questions on their targets, as readers ask them; hits are chunks, judgements are of documents:
   a document counts at its best chunk.
2. Measures are ir-measures' own, for each query. Of the first one the difference to production decides, with a paired bootstrap
   interval over queries: a version fails when the loss is surely larger than ``max_drop``, or its level surely below ``least``;
   both together are wrong once in twenty. Of few queries a randomisation test has to agree: else they are a warning.
3. Documents of a version that have the same text are one: whichever of them comes is all that is judged of any, once. A judged
   document that a version does not have is the one that has its text as the other version has it, or where that went: a rename, a
   merger or a removed copy is no loss. What is not there at all is told: it can only be missed.
4. Where production serves something and could not be measured, nothing is proven: the gate has not passed.

Cost on a service that bills reads: each judged question once for each version.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vector_pipeline.errors import ConfigError, VectorPipelineError
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.retrieval.judgements import Judgements, load_judgements
from vector_pipeline.verify.retrieval.names import by_one_name, one_of_each
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
    run, missing = _ask(context, context.candidate, context.production, judged, _depth(measures))
    values = _values(measures, judged, run)
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


def _ask(context: GateContext, side: Side, other: Side | None, judged: Judgements, depth: int) -> tuple[Run, list[str]]:
    """Answers and judgements by law 3, and the relevant documents that the side has not."""
    names = list(judged.queries)
    vectors = context.embedder(side).embed_queries([judged.queries[name] for name in names])
    width = min(depth * _WIDE, context.target(side).capabilities.max_top_k)
    found: dict[str, list[tuple[str, float]]] = {}
    for begin in range(0, len(names), _BATCH):
        some = names[begin : begin + _BATCH]
        hits = search_vectors(context, side, vectors[begin : begin + _BATCH], width)
        for name, matches in zip(some, hits, strict=True):
            found[name] = [(match.document_id, match.score) for match in matches]
    one, gone = one_of_each(context, side, other, judged, {hit for hits in found.values() for hit, _ in hits})
    answers: dict[str, list[tuple[str, float]]] = {}
    for name, ranked in found.items():
        best: dict[str, float] = {}
        for document, score in ranked:
            best.setdefault(one.get(document, document), score)
        answers[name] = list(best.items())[:depth]
    return Run(answers, by_one_name(judged, one)), gone


def _production(context: GateContext, judged: Judgements, measures: "Sequence[Measure]") -> tuple[Run | None, str]:
    """Production's answers, or why there are none."""
    side = context.production
    if side is None:
        return None, "no other version is served: nothing to compare with"
    try:
        return _ask(context, side, context.candidate, judged, _depth(measures))[0], ""
    except VectorPipelineError as error:
        return None, f"production was not measured: {error.what}"


def _values(measures: "Sequence[Measure]", judged: Judgements, run: Run) -> dict[str, Values]:
    """Of each measure float64[queries], in the order of ``judged.queries``. A query without answers has 0."""
    import ir_measures

    rows = {name: row for row, name in enumerate(judged.queries)}
    qrels = {name: dict(run.relevance[name]) for name in judged.queries}
    # By place, not by score: equal scores stand as the target told them.
    scored = {
        name: {document: float(-place) for place, (document, _) in enumerate(run.answers[name])}
        for name in judged.queries
    }
    values = {str(measure): np.zeros(len(rows)) for measure in measures}
    for metric in ir_measures.iter_calc(list(measures), qrels, scored):
        values[str(metric.measure)][rows[metric.query_id]] = metric.value
    return values
