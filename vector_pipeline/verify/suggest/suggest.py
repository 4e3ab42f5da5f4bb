"""Propose canaries, for a person to accept: from a log of queries, and from the documents themselves.

Laws
----
1. What is proposed is what the version answers today: its first document, at a clear distance from the second. Whether that is the
   right one, only a person can say.
2. The log comes first (``suggest_frequent``), then documents of different topics (``suggest_documents``).
3. No two suggestions ask nearly the same, nor what the file asks already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.asking import Asker, with_texts
from vector_pipeline.verify.canaries.file import Canary
from vector_pipeline.verify.canaries.search import Question, first_documents
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.sidebyside import Asked, Found
from vector_pipeline.verify.suggest.documents import Asking, askings
from vector_pipeline.verify.suggest.frequent import from_log
from vector_pipeline.verify.suggest.log import Logged, normal
from vector_pipeline.verify.suggest.suggestion import SHOWN, Suggested, Suggestion, bare, clear, unit

_ALIKE = 0.95
"""Cosine of two suggestions of which one is enough."""
_TRIED = 4
"""Documents that are tried for each canary that is wanted, at once."""


class _Chosen:
    """Suggestions so far (law 3)."""

    def __init__(self, asker: Asker, known: Sequence[Canary]) -> None:
        self._asker = asker
        self._known = {(normal(one.query), str(one.filter)) for one in known}
        self._vectors: list[Vector] = list(unit(asker.vectors([one.query for one in known]))) if known else []
        self.suggestions: list[Suggestion] = []

    def take(self, suggestion: Suggestion) -> bool:
        name = (normal(suggestion.query), str(suggestion.filter))
        vector = unit(self._asker.vectors([suggestion.query]))[0]
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
    for suggestion in from_log(asker, Asker(context, other) if other is not None and log else None, log, count):
        tried += 1
        if suggestion is not None and len(chosen.suggestions) < count:
            chosen.take(suggestion)
    if len(chosen.suggestions) < count:
        tried += _documents(asker, chosen, askings(context, one, count), count)

    def again(query: str, restriction: Filter | None) -> tuple[Found, ...]:
        return _shown(context, one, first_documents([Question(query, SHOWN, restriction)], asker))[0]

    texts = _shown(
        context, one, first_documents([Question(s.query, SHOWN, s.filter) for s in chosen.suggestions], asker)
    )
    made = tuple(replace(s, hits=hits) for s, hits in zip(chosen.suggestions, texts, strict=True))
    where = one.deployment.target if one.deployment is not None else None
    return Suggested(Asked(name, one.version.number, where), made, tried, again)


def _documents(asker: Asker, chosen: _Chosen, documents: Sequence[Sequence[Asking]], count: int) -> int:
    """One question of each document, and where documents are few, several. How many documents were tried."""
    tried, later = 0, []
    for options in _from_documents(asker, documents, count):
        tried += 1
        taken = next((number for number, option in enumerate(options) if chosen.take(option)), None)
        later += options[taken + 1 :] if taken is not None else []
        if len(chosen.suggestions) == count:
            return tried
    for option in later:
        if len(chosen.suggestions) < count:
            chosen.take(option)
    return tried


def _from_documents(asker: Asker, documents: Sequence[Sequence[Asking]], count: int) -> Iterator[list[Suggestion]]:
    """For each document the questions that find it clearly, the best kind first."""
    step = _TRIED * count
    for start in range(0, len(documents), step):
        some = [one for options in documents[start : start + step] for one in options]
        answers = dict(zip(some, first_documents([Question(one.query, SHOWN) for one in some], asker), strict=True))
        for options in documents[start : start + step]:
            yield [
                Suggestion(one.query, one.document, None, one.source, _WHY[one.source], bare(answers[one]))
                for one in options
                if clear(answers[one]) and answers[one][0].document_id == one.document
            ]


_WHY = {
    "question": "a question that the document itself asks", "heading": "a heading of the document",
    "sentence": "a telling sentence of the document", "title": "the title of the document",
}  # fmt: skip


def _shown(context: GateContext, side: Side, answers: Sequence[tuple[Match, ...]]) -> list[tuple[Found, ...]]:
    return [bare(hits) for hits in with_texts(context, side, answers)]
