"""The answers of two versions side by side: what came, what moved, what is new and what is gone.

Laws
----
1. Documents are compared, at the rank and score of their best chunk; the first ``k`` of each side.
2. Rankings are compared, never scores: those of two spaces have nothing to do with each other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.asking import Asker, with_texts
from vector_pipeline.verify.canaries.search import Question, first_documents
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.rankings import overlap

_MARKS = re.compile(r"^#{1,6}\s+", re.MULTILINE)
"""Of Markdown headings."""


@dataclass(frozen=True, slots=True)
class Found:
    """One document of an answer."""

    rank: int
    document: str
    score: float
    title: str
    heading: str
    """The headings above the chunk, without the title."""
    text: str
    """The chunk that answers best."""

    def to_json(self, other: int | None) -> dict[str, Any]:
        return {
            "rank": self.rank, "document": self.document, "score": self.score, "title": self.title,
            "heading": self.heading, "text": self.text, "rank_on_the_other_side": other,
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What both sides answer to one question."""

    query: str
    filter: Filter | None
    left: tuple[Found, ...]
    right: tuple[Found, ...]

    @cached_property
    def left_ranks(self) -> dict[str, int]:
        return {one.document: one.rank for one in self.left}

    @cached_property
    def right_ranks(self) -> dict[str, int]:
        return {one.document: one.rank for one in self.right}

    @property
    def overlap(self) -> float:
        """Share of documents that both show, 0 to 1."""
        return overlap([one.document for one in self.left], [one.document for one in self.right])

    @property
    def shared(self) -> int:
        return len(self.left_ranks.keys() & self.right_ranks.keys())

    @property
    def new(self) -> int:
        return len(self.right) - self.shared

    @property
    def gone(self) -> int:
        return len(self.left) - self.shared

    @property
    def moved(self) -> int:
        """Documents that both show, at different ranks."""
        return sum(self.right_ranks.get(one, rank) != rank for one, rank in self.left_ranks.items())

    @property
    def difference(self) -> tuple[float, bool, int]:
        """The larger, the more differs: documents, then the first one, then ranks."""
        first = [one.document for one in self.left[:1]] != [one.document for one in self.right[:1]]
        return 1 - self.overlap, first, self.moved

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query, "filter": self.filter, "overlap": self.overlap, "shared": self.shared, "new": self.new,
            "gone": self.gone, "moved": self.moved,
            "left": [one.to_json(self.right_ranks.get(one.document)) for one in self.left],
            "right": [one.to_json(self.left_ranks.get(one.document)) for one in self.right],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One side: what is it called, and where was it asked."""

    name: str
    """``production``, ``staging``, or empty where versions were named."""
    version: int
    target: str | None
    """None: it was searched in the lake, exactly."""

    def to_json(self) -> dict[str, Any]:
        return {"alias": self.name or None, "version": self.version, "target": self.target}


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two sides and what they answer."""

    left: Asked
    right: Asked
    k: int
    answers: tuple[Answer, ...]
    """In the order of the questions."""

    @property
    def overlap(self) -> float:
        """Mean over the questions."""
        return sum(one.overlap for one in self.answers) / len(self.answers) if self.answers else 1.0

    def to_json(self) -> dict[str, Any]:
        return {
            "left": self.left.to_json(), "right": self.right.to_json(), "k": self.k, "overlap": self.overlap,
            "answers": [one.to_json() for one in self.answers],
        }  # fmt: skip


def side_by_side(
    context: GateContext, left: tuple[str, Side], right: tuple[str, Side], questions: Sequence[Question]
) -> SideBySide:
    """Ask both sides the same. Each comes with its name; how much is compared, the questions say."""
    both = [_answers(context, side, questions) for _, side in (left, right)]
    answers = tuple(
        Answer(question.query, question.filter, *pair) for question, *pair in zip(questions, *both, strict=True)
    )
    k = max((question.k for question in questions), default=0)
    return SideBySide(_asked(*left), _asked(*right), k, answers)


def _asked(name: str, side: Side) -> Asked:
    return Asked(name, side.version.number, side.deployment.target if side.deployment is not None else None)


def _answers(context: GateContext, side: Side, questions: Sequence[Question]) -> list[tuple[Found, ...]]:
    answers = with_texts(context, side, first_documents(questions, Asker(context, side)))
    return [tuple(found_of(rank, match) for rank, match in enumerate(one, start=1)) for one in answers]


def found_of(rank: int, match: Match) -> Found:
    """A hit as people read it."""
    title = match.metadata.get("title")
    title = title if isinstance(title, str) else ""
    headings = match.metadata.get("heading")
    inner = [str(one) for one in headings if one != title] if isinstance(headings, list) else []
    text = " ".join(_MARKS.sub("", match.text or "").split())
    return Found(rank, match.document_id, match.score, title, " › ".join(inner), text)
