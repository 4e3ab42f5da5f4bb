"""The first documents of a question: hits are chunks, and people speak of documents.

Laws
----
1. Several chunks of one document count once, at the best one's rank, and ``k`` counts distinct documents.
2. The search is widened until ``k`` documents are seen or the index has no more.
3. Questions of one (k, filter) are searched together, so that they are embedded together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vector_pipeline.errors import CorruptError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import Filter, Match

OVERFETCH = 4
"""Chunks asked for at first, for each document wanted; and the factor of every widening."""
WIDEST = 10_000
"""Most chunks that one query asks for."""
BATCH = 256
"""Queries in one call of the search."""


class Search(Protocol):
    """Embeds queries and searches: for each, at most ``k`` chunks, best first. Fewer mean that there are no more."""

    def __call__(self, queries: Sequence[str], k: int, filter: Filter | None, /) -> list[list[Match]]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how many documents are wanted."""

    query: str
    k: int
    filter: Filter | None = None


def first_documents(questions: Sequence[Question], search: Search) -> list[tuple[Match, ...]]:
    """For each question the best chunk of each of its first ``k`` documents, best first."""
    groups: dict[tuple[int, str], list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault((question.k, canonical_json(question.filter)), []).append(index)
    found: list[tuple[Match, ...]] = [()] * len(questions)
    for indexes in groups.values():
        for start in range(0, len(indexes), BATCH):
            batch = indexes[start : start + BATCH]
            for index, matches in zip(batch, _together([questions[one] for one in batch], search), strict=True):
                found[index] = matches
    return found


def _together(questions: Sequence[Question], search: Search) -> list[tuple[Match, ...]]:
    """Of questions with one k and filter."""
    k, restriction, width = questions[0].k, questions[0].filter, min(questions[0].k * OVERFETCH, WIDEST)
    results: list[tuple[Match, ...]] = [()] * len(questions)
    open_ones = list(range(len(questions)))
    while open_ones:
        hits = search([questions[index].query for index in open_ones], width, restriction)
        if len(hits) != len(open_ones):
            raise CorruptError(f"the search answered {len(hits)} of {len(open_ones)} queries")
        again = []
        for index, matches in zip(open_ones, hits, strict=True):
            best: dict[str, Match] = {}
            for match in matches:
                best.setdefault(match.document_id, match)
            results[index] = tuple(best.values())[:k]
            if len(best) < k and len(matches) >= width < WIDEST:
                again.append(index)
        open_ones, width = again, min(width * OVERFETCH, WIDEST)
    return results
