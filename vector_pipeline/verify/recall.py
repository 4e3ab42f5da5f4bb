"""Index recall and fidelity: does the target find what is nearest, and hold the vectors that the lake holds?

Laws
----
1. Recall: of the ``k`` records that exact search over the lake finds, the share that the target brings, as its readers ask it. A
   record that is as near as the last one counts as found: ties are cut as each system likes. Scores are the lake's, never the
   target's: one whose ids and vectors are permuted is sure of its answers.
2. It fails when the interval over queries lies below ``least`` as a whole.
3. Fidelity: records chosen by hash are fetched and compared with the lake's vectors in float32. One that differs is a failure:
   every target promises to return what was written. That none of n differs leaves at most 3/n of all, with 95% certainty.
4. Queries are texts' vectors, each moved towards another text: nothing is embedded, and no query has itself for an answer.
5. Half of the queries, and of the records, are of what production has not, where it is as many: what this release wrote.

Cost on a service that bills reads: ``sample`` queries of ``k`` records, and one fetch of ``FETCHED`` records. On Pinecone: a query
takes a read unit a GB of the namespace (0.25 at least), a fetch one for ten records: about 130 for a namespace of a GB.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_pipeline.hashing import base_record_id
from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.verify.bins import share_edges
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.exact import Answers, exact_top
from vector_pipeline.verify.fidelity import FETCHED, Fidelity, compare_vectors, score_of, vectors_of
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status
from vector_pipeline.verify.rankings import Mean, mean_of, rule_of_three
from vector_pipeline.verify.sampling import VectorSample, sample_change
from vector_pipeline.verify.searching import search_vectors

NAME = "index recall"
_TIE = 1e-4
_TOWARDS = np.float32(0.4)
"""How far a query is moved: of the length of the text's vector."""


def judge(context: GateContext) -> CheckResult:
    """The gate: the candidate's deployment against exact search over its version."""
    side, gates = context.candidate, context.gates.index_recall
    sample = sample_change(context, gates.sample)
    queries = moved(sample.vectors)
    exact = exact_top(context, side, queries, gates.k)
    held = search_vectors(context, side, queries, gates.k) if len(queries) else []
    shares = _shares(context, side, queries, exact, held)
    recall = mean_of(shares)
    fidelity = compare_vectors(context, side)
    wrong = f"{len(fidelity.wrong)} of {fidelity.compared} vectors are not the lake's"
    status = Status.FAILED if fidelity.wrong or (len(shares) and recall.high < gates.least) else Status.PASSED
    if not len(shares) and not fidelity.compared:
        return CheckResult(NAME, Status.PASSED, f"version {side.version.number} has no vectors to ask with")
    summary = (
        f"the target finds {recall} of the exact answers, required {gates.least * 100:.4g}%; "
        + (wrong if fidelity.wrong else f"{fidelity.compared:,} vectors are the lake's")
    )  # fmt: skip
    examples = (*fidelity.wrong[:EXAMPLES], *_worst(sample, shares, exact, held))
    return CheckResult(NAME, status, summary, _detail(context, recall, shares, fidelity), examples)


def moved(vectors: Vector) -> Vector:
    """float32[n, dim]: each vector moved towards the next one; those that are not finite or zero are left out."""
    lengths = np.linalg.norm(vectors, axis=1)
    usable = np.isfinite(lengths) & (lengths > 0)
    vectors, lengths = vectors[usable], lengths[usable, None]
    units = vectors / lengths
    result: Vector = ((units + _TOWARDS * np.roll(units, -1, axis=0)) * lengths).astype(np.float32)
    return result


def _shares(
    context: GateContext, side: Side, queries: Vector, exact: Answers, held: Sequence[Sequence[Match]]
) -> npt.NDArray[np.float64]:
    """Of each query the share of the exact answer that came (law 1)."""
    unknown: set[str] = set()
    for hits, matches in zip(exact, held, strict=True):
        unknown |= {base_record_id(match.id) for match in matches} - {hit.record_id for hit in hits}
    vectors = vectors_of(context, side, sorted(unknown))
    shares = []
    for query, hits, matches in zip(queries, exact, held, strict=True):
        if not hits:
            continue
        found, last = {hit.record_id for hit in hits}, hits[-1].score
        came = {base_record_id(match.id) for match in matches}
        own = {name: score_of(side.version.metric, query, vectors[name]) for name in came - found if name in vectors}
        near = sum(score >= last - _TIE * max(1.0, abs(last)) for score in own.values())
        shares.append(min(1.0, (len(came & found) + near) / len(hits)))
    return np.array(shares, dtype=np.float64)


def _worst(
    sample: VectorSample, shares: npt.NDArray[np.float64], exact: Answers, held: Sequence[Sequence[Match]]
) -> list[dict[str, Any]]:
    return [
        {
            "query": f"a text of {sample.document_ids[row]}",
            "recall": float(shares[row]),
            "expect": [hit.document_id for hit in exact[row]],
            "got": [{"document_id": match.document_id, "score": match.score} for match in held[row]],
        }
        for row in np.argsort(shares, kind="stable")[:EXAMPLES].tolist()
        if shares[row] < 1 and len(shares) == len(sample)
    ]


def _detail(context: GateContext, recall: Mean, shares: npt.NDArray[np.float64], fidelity: Fidelity) -> dict[str, Any]:
    gates = context.gates.index_recall
    counts, edges = np.histogram(shares, share_edges(gates.k))
    return {
        "recall": recall.mean, "low": recall.low, "high": recall.high, "least": gates.least, "k": gates.k,
        "queries": len(shares), "compared": fidelity.compared, "compared_added": fidelity.added,
        "wrong": len(fidelity.wrong), "absent": fidelity.absent, "fetched": FETCHED,
        "wrong_at_most": None if fidelity.wrong else rule_of_three(fidelity.compared),
        "charts": [
            {
                "kind": "histogram", "title": f"Recall of {len(shares)} queries at {gates.k}", "edges": edges.tolist(),
                "series": {"candidate": counts.tolist()},
            }
        ],
    }  # fmt: skip
