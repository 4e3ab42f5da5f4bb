"""Answers: does the candidate answer as production does, beyond what its changes explain? Needs no labels.

Laws
----
1. Both versions are asked the same (``queries``): exactly in the lake, and on their targets as readers ask them.
2. It fails when what is wrong is surely wrong: the near end of the interval lies beyond the limit. One of these suffices.
   *overlap*: documents of both versions that came, come no more (of two models less is required than of edits). *changed
   documents*: they do not come where their former texts came first: their vectors are not of their texts. *emptied*: queries have
   no answer any more. *dominant*: one document comes to unrelated queries, or added ones fill the answers. *scores*: the target
   scores the same documents otherwise.
3. Of little data nothing is said: fewer than ``ENOUGH`` queries, documents or changed documents prove nothing. That no query at all
   has an answer any more needs no proof.
4. Vectors of both versions come from one table where the model is the same: a table that is wrong as a whole is wrong on both sides
   and is not seen here, but by ``attestation``.
"""

from collections.abc import Sequence
from typing import Any

from vector_pipeline.verify.answers.numbers import Hub, Numbers, gone, numbers_of
from vector_pipeline.verify.answers.replay import Replay, replay
from vector_pipeline.verify.answers.telling import detail_of
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

NAME = "answers"
ENOUGH = 20
"""Fewer queries, documents, or changed documents that were asked for, prove nothing."""


def judge(context: GateContext) -> CheckResult:
    """The gate. Reads every vector of both versions once; asks each target ``LIVE`` queries."""
    production = context.production
    if production is None:
        return CheckResult(NAME, Status.PASSED, "no other version is served: nothing to compare with")
    found = replay(context, production)
    documents = production.version.documents, context.version.documents
    if not found.queries:
        return CheckResult(NAME, Status.PASSED, "production has no vectors to ask with", {"notes": list(found.notes)})
    numbers = numbers_of(found, documents, context.gates.answers.k)
    faults, examples = _faults(context, found, numbers, documents)
    detail = detail_of(context, found, numbers)
    came = "no document that both versions hold came to any query"
    if numbers.common.count:
        first = "first document" if numbers.depth == 1 else f"first {numbers.depth} documents"
        came = f"{numbers.common} of the {first} that both versions hold come still"
    if faults:
        return CheckResult(NAME, Status.FAILED, f"{'; '.join(faults)} ({came})", detail, tuple(examples))
    little = _little(found, documents)
    if little:
        return CheckResult(NAME, Status.PASSED, f"{little}: too few to judge ({came})", detail)
    summary = (
        f"{came} over {found.queries} queries, required {least_overlap(context, found) * 100:.4g}%; "
        f"of all documents {_split(numbers)}"
    )
    return CheckResult(NAME, Status.PASSED, summary, detail)


def least_overlap(context: GateContext, found: Replay) -> float:
    """What is required: of two models less, as law 2 says."""
    limits = context.gates.answers
    return limits.min_overlap if found.one_space else min(limits.min_overlap, limits.min_overlap_of_models)


def _little(found: Replay, documents: tuple[int, int]) -> str:
    if found.queries < ENOUGH:
        return f"{found.queries} queries"
    return f"{min(documents)} documents" if min(documents) < ENOUGH else ""


def _split(numbers: Numbers) -> str:
    """Added and removed documents count here: the whole may be more than what documents of both versions lost."""
    parts = numbers.split()
    said = f"{parts['total']:.1%} are others (data {parts['data']:.1%}, model {parts['model']:.1%})"
    index = parts.get("index_candidate")
    return said if index is None else f"{said}, and the index brings others in {index:.1%}"


def _faults(
    context: GateContext, found: Replay, numbers: Numbers, documents: tuple[int, int]
) -> tuple[list[str], list[dict[str, Any]]]:
    gates, faults = context.gates.answers, []
    examples: list[dict[str, Any]] = []
    for emptied in (numbers.emptied, numbers.live_emptied):
        every = 0 < emptied.passed == emptied.total
        if (emptied.total >= ENOUGH and emptied.low > gates.max_emptied) or (every and gates.max_emptied < 1):
            faults.append(f"{emptied.passed} of {emptied.total} queries have no answer any more")
            break
    if _little(found, documents):
        return faults, examples
    least = least_overlap(context, found)
    if numbers.common.count >= ENOUGH and numbers.common.high < least:
        faults.append(f"answers are others: required {least * 100:.4g}%")
    if found.one_space and numbers.retained.count >= ENOUGH and numbers.retained.high < gates.min_retained:
        lost = gone(found, numbers.depth)
        faults.append(
            f"{1 - numbers.retained.mean:.0%} of {numbers.retained.count} changed documents come no more where their "
            "former texts came first"
        )
        examples += [{"fault": "changed and gone", "document_id": one} for one in lost[:EXAMPLES]]
    hubs = _dominant(numbers, documents, gates.max_dominant)
    if hubs:
        faults.append(f"{hubs[0].document} comes to {hubs[0].now:.0%} of the queries, before to {hubs[0].before:.0%}")
        examples += [
            {"fault": "dominant", "document_id": one.document, "before": one.before, "now": one.now} for one in hubs
        ]
    if numbers.crowd.low > max(gates.max_crowded, 2 * found.added):
        faults.append(f"added documents fill the answers of {numbers.crowd.share:.0%} of the queries")
    if numbers.moved_scores.total >= ENOUGH and numbers.moved_scores.low > gates.max_rescored:
        faults.append(
            f"{numbers.moved_scores.passed} of {numbers.moved_scores.total} answers of unchanged documents have other scores"
        )
    return faults, examples


def _dominant(numbers: Numbers, documents: tuple[int, int], tolerated: float) -> Sequence[Hub]:
    """Where there are few documents, each comes to many queries by itself."""
    limit = max(tolerated, 3 * numbers.depth / max(1, documents[1]))
    return [hub for hub in numbers.hubs if hub.gained.low > limit]
