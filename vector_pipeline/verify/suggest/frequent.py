"""Suggestions from a log: what is asked often and answered clearly.

Laws
----
1. What is asked often comes first. Near-duplicates are one question: they are counted together, and the commonest wording is kept.
2. The wordings of a question must agree about its first document, and so must the other version where two are deployed.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vector_pipeline.targets.base import Vector
from vector_pipeline.verify.asking import Asker
from vector_pipeline.verify.canaries.search import Question, first_documents
from vector_pipeline.verify.suggest.log import Logged
from vector_pipeline.verify.suggest.suggestion import SHOWN, Suggestion, bare, clear, unit

_SAME = 0.93
"""Cosine of two questions that are one."""
_LOGGED, _TRIED = 2_000, 5
"""Different questions that are looked at; and those that are tried for each canary that is wanted."""
_PER_DOCUMENT, _VARIANTS = 2, 3
_FAINT = 0.5
"""Of the middle score of all questions: what finds nothing nearer is off the subject."""


def from_log(asker: Asker, other: Asker | None, log: Sequence[Logged], count: int) -> Iterator[Suggestion | None]:
    """None for a question that is not clear, or not agreed upon."""
    groups = merged(sorted(log, key=lambda one: (-one.count, one.query))[:_LOGGED], asker)[: _TRIED * count]
    used: dict[str, int] = {}
    questions = [Question(group[0].query, SHOWN, group[0].filter) for group in groups]
    answers = first_documents(questions, asker)
    least = _least([hits[0].score for hits in answers if hits])
    for group, question, hits in zip(groups, questions, answers, strict=True):
        stable = clear(hits) and hits[0].score >= least and _agreed(asker, other, question, group, hits[0].document_id)
        if not stable or used.get(hits[0].document_id, 0) >= _PER_DOCUMENT:
            yield None
            continue
        document = hits[0].document_id
        used[document] = used.get(document, 0) + 1
        times = sum(one.count for one in group)
        spellings = f", in {len(group)} wordings" if len(group) > 1 else ""
        why = f"asked {times:,} time{'' if times == 1 else 's'} in the log{spellings}"
        yield Suggestion(question.query, document, question.filter, "log", why, bare(hits))


def _least(scores: Sequence[float]) -> float:
    """Below it a question is about nothing that the documents say: far from what others find. Distances tell no such thing."""
    middle = float(np.median(scores)) if scores else 0.0
    return middle * _FAINT if middle > 0 else -np.inf


def _agreed(asker: Asker, other: Asker | None, question: Question, group: Sequence[Logged], document: str) -> bool:
    variants = [Question(one.query, 1, question.filter) for one in group[1 : 1 + _VARIANTS]]
    asked = [(asker, variants)] + (
        [(other, [Question(question.query, 1, question.filter)])] if other is not None else []
    )
    return all(
        hits and hits[0].document_id == document for side, some in asked if some for hits in first_documents(some, side)
    )


def merged(log: Sequence[Logged], asker: Asker) -> list[list[Logged]]:
    """Near-duplicates together, the most frequent of each group first; groups by how often they were asked in all."""
    groups: dict[str, tuple[list[Vector], list[list[Logged]]]] = {}
    vectors: Sequence[Vector] = list(unit(asker.vectors([one.query for one in log]))) if log else []
    for one, vector in zip(log, vectors, strict=True):
        leaders, those = groups.setdefault(str(one.filter), ([], []))
        likeness = np.stack(leaders) @ vector if leaders else np.zeros(0)
        if len(likeness) and float(likeness.max()) >= _SAME:
            those[int(likeness.argmax())].append(one)
        else:
            leaders.append(vector)
            those.append([one])
    every = [group for _, those in groups.values() for group in those]
    return sorted(every, key=lambda group: -sum(one.count for one in group))
