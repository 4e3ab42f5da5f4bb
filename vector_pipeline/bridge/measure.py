"""How much of the old model's answers come through a bridge.

Laws
----
1. A question's recall is the share of the first ``depth`` documents, of those that the old model finds, which the mapped question
   finds too: both by exact search of the same version in the lake. Documents that tie with the last one count as one another.
2. No question was seen by what was fitted or chosen, nor any text of a document that holds it (``parting``).
3. It passes where it is surely enough: the lower end of the 95% interval over questions is not below ``min_recall``. From
   ``ENOUGH`` real questions on, they alone decide; else first sentences of texts decide with them. Of fewer than ``ENOUGH``
   questions the interval is Wilson's, which is the widest that a share can have: ten lucky ones prove nothing.
4. Where relevance is judged, nDCG@10 of both is told, for people: it decides nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vector_pipeline.bridge.fit import Pairs
from vector_pipeline.bridge.map import BridgeMap
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.exact import Answers, exact_top
from vector_pipeline.verify.intervals import wilson
from vector_pipeline.verify.rankings import Mean, forgiving_overlap, mean_of
from vector_pipeline.verify.retrieval.judgements import load_judgements

ENOUGH = 50
"""Real questions that decide alone."""
WIDE = 8
"""Records of each exact answer, for each document that is compared."""
NDCG_AT = 10
Ranked = list[tuple[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What is measured with."""

    texts: tuple[str, ...]
    real: tuple[bool, ...]
    """Whether each was really asked; else it is the first sentence of a text."""
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Measured:
    """A bridge's recall."""

    recall: Mean
    """Over the questions that decide."""
    depth: int
    """Documents of each answer that were compared: fewer than configured where there are few."""
    min_recall: float
    by_source: dict[str, Mean] = field(default_factory=dict)
    """``queries`` and ``texts``."""
    ndcg: dict[str, float] | None = None
    """``bridge`` and ``old`` model, and over how many ``queries``; None where nothing is judged."""

    @property
    def passed(self) -> bool:
        """Law 3."""
        return self.recall.count > 0 and self.recall.low >= self.min_recall

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed, "recall": self.recall.mean, "low": self.recall.low, "high": self.recall.high,
            "questions": self.recall.count, "depth": self.depth, "min_recall": self.min_recall,
            "by_source": {name: one.to_json() for name, one in self.by_source.items()}, "ndcg": self.ndcg,
        }  # fmt: skip


def measure(
    context: GateContext, side: Side, maps: Sequence[BridgeMap], questions: Questions, k: int, min_recall: float
) -> list[Measured]:
    """Of each map, in one pass over the version's vectors."""
    depth = max(1, min(k, side.version.documents // 5))
    count = len(questions.texts)
    if not count:
        return [Measured(mean_of([]), depth, min_recall) for _ in maps]
    asked = [questions.pairs.old, *(one.apply(questions.pairs.new) for one in maps)]
    found = _documents(
        exact_top(context, side, np.ascontiguousarray(np.concatenate(asked)), max(depth, NDCG_AT) * WIDE)
    )
    truth, *mapped = (found[begin : begin + count] for begin in range(0, len(found), count))
    judged = _judged(context, questions)
    return [
        _measured(truth, answers, questions.real, depth, min_recall, _ndcg(judged, questions.texts, truth, answers))
        for answers in mapped
    ]


def _documents(answers: Answers) -> list[Ranked]:
    """Documents of each answer at their best record."""
    found = []
    for hits in answers:
        best: dict[str, float] = {}
        for hit in hits:
            best.setdefault(hit.document_id, hit.score)
        found.append(list(best.items()))
    return found


def _measured(
    truth: Sequence[Ranked], answers: Sequence[Ranked], real: Sequence[bool], depth: int, min_recall: float,
    ndcg: dict[str, float] | None,
) -> Measured:  # fmt: skip
    kept = np.array([forgiving_overlap(a, b, depth) for a, b in zip(truth, answers, strict=True)], dtype=np.float64)
    asked = np.array(real, dtype=np.bool_)
    decide = asked if asked.sum() >= ENOUGH else np.ones(len(kept), np.bool_)
    parts = {"queries": kept[asked], "texts": kept[~asked]}
    by_source = {name: share_of(values) for name, values in parts.items() if len(values)}
    return Measured(share_of(kept[decide]), depth, min_recall, by_source, ndcg)


def share_of(values: "np.ndarray[Any, np.dtype[np.float64]]") -> Mean:
    """Mean of shares with its 95% interval (law 3)."""
    found = mean_of(values)
    if len(values) >= ENOUGH:
        return found
    widest = wilson(math.floor(float(values.sum()) + 1e-9), len(values))
    return Mean(found.mean, min(found.low, widest.low), max(found.high, widest.high), found.count)


def _judged(context: GateContext, questions: Questions) -> dict[str, dict[str, int]]:
    """Judgements by the text of the question, of those that are measured with."""
    gates = context.gates.retrieval
    if gates.queries is None or gates.judgements is None:
        return {}
    judged = load_judgements(context.base / gates.queries, context.base / gates.judgements)
    asked = set(questions.texts)
    return {text: dict(judged.relevance[name]) for name, text in judged.queries.items() if text in asked}


def _ndcg(
    judged: dict[str, dict[str, int]], texts: Sequence[str], truth: Sequence[Ranked], answers: Sequence[Ranked]
) -> dict[str, float] | None:
    if not judged:
        return None
    import ir_measures

    measure = ir_measures.nDCG @ NDCG_AT
    said: dict[str, float] = {"queries": len(judged)}
    for name, ranked in (("old", truth), ("bridge", answers)):
        run = {
            text: {document: float(-place) for place, (document, _) in enumerate(one)}
            for text, one in zip(texts, ranked, strict=True)
            if text in judged
        }
        said[name] = float(ir_measures.calc_aggregate([measure], judged, run)[measure])
    return said
