"""Answers side by side: what production says and what the candidate would, document by document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

MOST = 20
_HITS: TypeAdapter[list[tuple[str, float | None]]] = TypeAdapter(list[tuple[str, float | None]])


@dataclass(frozen=True, slots=True)
class Hit:
    """One document of an answer."""

    document: str
    score: float | None
    moved: int | None
    """Ranks that it is higher (positive) or lower than on the other side; None: the other side has it not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with both answers, best first."""

    query: str
    production: tuple[Hit, ...]
    candidate: tuple[Hit, ...]
    overlap: float | None
    """0 to 1."""
    why: str

    @property
    def same(self) -> bool:
        """Whether both sides bring the same documents in the same order."""
        return [hit.document for hit in self.production] == [hit.document for hit in self.candidate]


def answers_of(detail: Mapping[str, Any]) -> list[Answer]:
    """``detail["answers"]``, the most different first; what is not an answer is left out."""
    found = detail.get("answers")
    made = [_answer(one) for one in found[:MOST]] if isinstance(found, list) else []
    return [one for one in made if one is not None]


def _answer(value: Any) -> Answer | None:
    try:
        sides = {name: _HITS.validate_python(value.get(name) or []) for name in ("production", "candidate")}
    except (ValidationError, AttributeError):
        return None
    ranks = {name: {hit[0]: rank for rank, hit in reversed(list(enumerate(hits)))} for name, hits in sides.items()}
    overlap = value.get("overlap")
    return Answer(
        str(value.get("query") or ""),
        _hits(sides["production"], ranks["candidate"]),
        _hits(sides["candidate"], ranks["production"]),
        float(overlap) if isinstance(overlap, int | float) else None,
        str(value.get("why") or ""),
    )


def _hits(hits: Sequence[tuple[str, float | None]], other: Mapping[str, int]) -> tuple[Hit, ...]:
    return tuple(
        Hit(document, score, other[document] - rank if document in other else None)
        for rank, (document, score) in enumerate(hits)
    )
