"""Propose canaries, for a person to accept: from a log of queries, and from the documents themselves.

Laws
----
1. What is proposed is what the version answers today: its first document, at a clear distance from the second. Whether that is the
   right one, only a person can say.
2. Of a log, what is asked often comes first; near-duplicates are one question, and they must agree about the first document. So
   must the other version, where two are deployed.
3. No two suggestions ask nearly the same, nor what the file asks already.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.asking import Asker, with_texts
from vector_pipeline.verify.canary_file import Canary
from vector_pipeline.verify.canary_search import Question, first_documents
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.sidebyside import Asked, Found, found_of
from vector_pipeline.verify.suggest_documents import Asking, askings
from vector_pipeline.verify.suggest_log import Logged, normal

SHOWN = 10
"""Documents of each question that are looked at."""
CLEAR = 0.25
"""The first document's lead over the second, as a share of its lead over the last that was looked at."""
_SAME, _ALIKE = 0.93, 0.95
"""Cosine of two questions of a log that are one; of two suggestions, of which one is enough."""
_LOGGED, _PER_DOCUMENT, _VARIANTS = 2_000, 2, 3
_TRIED = 4
"""Documents that are tried for each canary that is wanted, at once."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question and the document that answers it today."""

    query: str
    document: str
    filter: Filter | None
    source: str
    """``log``, ``question``, ``heading``, ``sentence`` or ``title``."""
    why: str
    hits: tuple[Found, ...]
    """The first documents, best first."""

    @property
    def score(self) -> float:
        return self.hits[0].score

    @property
    def margin(self) -> float:
        """Lead over the second document, in the units of the score."""
        return self.hits[0].score - self.hits[1].score if len(self.hits) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query, "document": self.document, "filter": self.filter, "source": self.source, "why": self.why,
            "score": self.score, "margin": self.margin,
            "documents": [{"document": one.document, "score": one.score} for one in self.hits],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suggested:
    """What was proposed, and of which version."""

    asked: Asked
    suggestions: tuple[Suggestion, ...]
    looked_at: int
    """Questions that were tried."""
    again: Callable[[str, Filter | None], tuple[Found, ...]]
    """Asks another question of the same version."""


class _Chosen:
    """Suggestions so far (law 3)."""

    def __init__(self, asker: Asker, known: Sequence[Canary]) -> None:
        self._asker = asker
        self._known = {(normal(one.query), str(one.filter)) for one in known}
        self._vectors: list[Vector] = list(_unit(asker.vectors([one.query for one in known]))) if known else []
        self.suggestions: list[Suggestion] = []

    def take(self, suggestion: Suggestion) -> bool:
        name = (normal(suggestion.query), str(suggestion.filter))
        vector = _unit(self._asker.vectors([suggestion.query]))[0]
        alike = bool(self._vectors) and float(np.max(np.stack(self._vectors) @ vector)) > _ALIKE
        if name in self._known or (alike and suggestion.filter is None):
            return False
        self._known.add(name)
        self._vectors.append(vector)
        self.suggestions.append(suggestion)
        return True


def suggest(
    context: GateContext,
    side: tuple[str, Side],
    *,
    count: int,
    log: Sequence[Logged] = (),
    known: Sequence[Canary] = (),
    other: Side | None = None,
) -> Suggested:
    """At most ``count`` suggestions: first from the log, then from documents. ``known``: canaries that there are already."""
    name, one = side
    asker = Asker(context, one)
    chosen, tried = _Chosen(asker, known), 0
    for suggestion in _from_log(asker, Asker(context, other) if other is not None and log else None, log, count):
        tried += 1
        if suggestion is not None and len(chosen.suggestions) < count:
            chosen.take(suggestion)
    for options in (
        _from_documents(asker, askings(context, one, count), count) if len(chosen.suggestions) < count else ()
    ):
        tried += 1
        if any(chosen.take(option) for option in options) and len(chosen.suggestions) == count:
            break

    def again(query: str, restriction: Filter | None) -> tuple[Found, ...]:
        return _shown(context, one, first_documents([Question(query, SHOWN, restriction)], asker))[0]

    texts = _shown(
        context, one, first_documents([Question(s.query, SHOWN, s.filter) for s in chosen.suggestions], asker)
    )
    made = tuple(
        Suggestion(s.query, s.document, s.filter, s.source, s.why, hits)
        for s, hits in zip(chosen.suggestions, texts, strict=True)
    )
    where = one.deployment.target if one.deployment is not None else None
    return Suggested(Asked(name, one.version.number, where), made, tried, again)


def clear(hits: Sequence[Match]) -> bool:
    """Whether the first document leads clearly (law 1)."""
    if len(hits) < 2:
        return False
    lead, all_ = hits[0].score - hits[1].score, hits[0].score - hits[-1].score
    return lead > 1e-3 * max(abs(hits[0].score), 1e-9) and lead >= CLEAR * all_


def _from_log(asker: Asker, other: Asker | None, log: Sequence[Logged], count: int) -> Iterator[Suggestion | None]:
    """Law 2. None for a question that is not clear, or not agreed upon."""
    groups = merged(sorted(log, key=lambda one: (-one.count, one.query))[:_LOGGED], asker)[: 5 * count]
    used: dict[str, int] = {}
    questions = [Question(group[0].query, SHOWN, group[0].filter) for group in groups]
    answers = first_documents(questions, asker)
    for group, question, hits in zip(groups, questions, answers, strict=True):
        stable = clear(hits) and _agreed(asker, other, question, group, hits[0].document_id)
        if not stable or used.get(hits[0].document_id, 0) >= _PER_DOCUMENT:
            yield None
            continue
        document = hits[0].document_id
        used[document] = used.get(document, 0) + 1
        times = sum(one.count for one in group)
        spellings = f", in {len(group)} wordings" if len(group) > 1 else ""
        why = f"asked {times:,} time{'' if times == 1 else 's'} in the log{spellings}"
        yield Suggestion(question.query, document, question.filter, "log", why, _bare(hits))


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
    vectors = _unit(asker.vectors([one.query for one in log])) if log else []
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


def _from_documents(asker: Asker, documents: Sequence[Sequence[Asking]], count: int) -> Iterator[list[Suggestion]]:
    """For each document the questions that find it clearly, the best kind first."""
    step = _TRIED * count
    for start in range(0, len(documents), step):
        some = [one for options in documents[start : start + step] for one in options]
        answers = dict(zip(some, first_documents([Question(one.query, SHOWN) for one in some], asker), strict=True))
        for options in documents[start : start + step]:
            yield [
                Suggestion(one.query, one.document, None, one.source, _WHY[one.source], _bare(answers[one]))
                for one in options
                if clear(answers[one]) and answers[one][0].document_id == one.document
            ]


_WHY = {
    "question": "a question that the document itself asks", "heading": "a heading of the document",
    "sentence": "a telling sentence of the document", "title": "the title of the document",
}  # fmt: skip


def _bare(hits: Sequence[Match]) -> tuple[Found, ...]:
    return tuple(found_of(rank, match) for rank, match in enumerate(hits, start=1))


def _shown(context: GateContext, side: Side, answers: Sequence[tuple[Match, ...]]) -> list[tuple[Found, ...]]:
    return [_bare(hits) for hits in with_texts(context, side, answers)]


def _unit(vectors: Vector) -> Vector:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
