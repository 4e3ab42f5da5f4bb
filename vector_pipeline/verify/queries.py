"""What both versions are asked: real questions where there are any, and vectors of their own texts to fill up.

Laws
----
1. First the questions of ``gates.answers.queries``, then those of the canaries; of too many, those whose hashes come first. What is
   missing to ``gates.answers.sample`` are vectors of production's own texts, chosen by hash: they embed nothing.
2. Each side is asked in its own space: questions are embedded by each side's embedder, a text is asked by the vector that the side
   itself stores for it. Sides of one embedder are asked with the same array.
3. Questions whose embedder is not on this machine any more are left out, and ``notes`` says so: a vector is never asked of another
   space than its own.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vector_pipeline.errors import ConfigError, InputError, VectorPipelineError
from vector_pipeline.hashing import canonical_json, content_hash
from vector_pipeline.targets.base import Filter, Vector
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.verify.canaries.entry import not_blank
from vector_pipeline.verify.canaries.file import canaries_of, json_values
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.sampling import sample_vectors, shares_vectors, unchanged

QUERIES, CANARIES, TEXTS = "queries", "canaries", "texts"
_FILTERS = 16
"""Different filters that are asked with, the commonest ones: exact search keeps a list of hits for each."""


@dataclass(frozen=True, slots=True)
class Question:
    """One line of a file of queries."""

    query: str
    filter: Filter | None = None


@dataclass(frozen=True, slots=True, eq=False)
class QuerySample:
    """What both sides are asked: ``n`` queries."""

    labels: tuple[str, ...]
    """For people: the question, or whose text it is."""
    texts: tuple[str | None, ...]
    """The question; None for the vector of a text."""
    filters: tuple[Filter | None, ...]
    sources: tuple[str, ...]
    """``queries``, ``canaries`` or ``texts``."""
    candidate: Vector
    """float32[n, dim]: as the candidate's space has them."""
    production: Vector
    """float32[n, dim]: as production's has them; the same object where both share their embedder, or there is no production."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> dict[str, int]:
        """Queries by where they come from."""
        return dict(Counter(self.sources))


class _Line(BaseModel):
    """What else a query log holds is nobody's business here."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    query: str = Field(min_length=1)
    filter: dict[str, Any] | None = None

    _asks = field_validator("query")(not_blank)

    @field_validator("filter")
    @classmethod
    def _filters(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value:
            try:
                parse_filter(value)
            except InputError as error:
                raise ValueError(error.what) from None
        return value or None


def load_queries(path: Path) -> tuple[Question, ...]:
    """Different questions of a JSONL file (``query``, ``filter``), in its order. ``ConfigError`` names file and line."""
    found: dict[str, Question] = {}
    for number, value in json_lines(path, "gates: answers: queries:"):
        try:
            line = _Line.model_validate(value)
        except ValidationError as error:
            raise mistake(path, number, error) from None
        found.setdefault(canonical_json([line.query, line.filter]), Question(line.query, line.filter))
    if not found:
        raise ConfigError(f"{path}:1: the file holds no query", fix='Write one a line: {"query": "how do I …"}')
    return tuple(found.values())


def json_lines(path: Path, key: str) -> Iterator[tuple[int, Any]]:
    """Objects of a JSONL file with their line numbers. ``key``: the setting that names the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: it cannot be read: {reason}", fix=f"Check `{key}`") from None
    for number, value in json_values(path, text):
        if not isinstance(value, dict):
            raise ConfigError(f"{path}:{number}: not an object", fix="Put one object on each line")
        yield number, value


def mistake(path: Path, number: int, error: ValidationError) -> ConfigError:
    """The first thing that is wrong with a line."""
    problem = error.errors(include_url=False, include_input=False)[0]
    key = f"{problem['loc'][0]}: " if problem["loc"] else ""
    said = "missing key: add it" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
    return ConfigError(f"{path}:{number}: {key}{said}")


def query_sample(context: GateContext) -> QuerySample:
    """What the gates of one verification ask: made once."""
    return context.once("queries sample", lambda: _sample(context))


def _sample(context: GateContext) -> QuerySample:
    wanted = context.gates.answers.sample
    asked = _questions(context, wanted)
    notes: list[str] = []
    vectors = _embedded(context, [question.query for question, _ in asked], notes)
    if vectors is None:
        asked, vectors = [], _no_vectors(context)
    names, texts = _texts(context, wanted - len(asked))
    same = _one_space(context)
    candidate = np.concatenate([vectors[0], texts[0]])
    return QuerySample(
        labels=(*(question.query for question, _ in asked), *(f"a text of {name}" for name in names)),
        texts=(*(question.query for question, _ in asked), *(None for _ in names)),
        filters=(*(question.filter for question, _ in asked), *(None for _ in names)),
        sources=(*(source for _, source in asked), *(TEXTS for _ in names)),
        candidate=candidate,
        production=candidate if same else np.concatenate([vectors[1], texts[1]]),
        notes=tuple(notes),
    )


def _questions(context: GateContext, wanted: int) -> list[tuple[Question, str]]:
    gates = context.gates
    groups: list[tuple[str, Sequence[Question]]] = []
    if gates.answers.queries is not None:
        groups.append((QUERIES, load_queries(context.base / gates.answers.queries)))
    canaries = canaries_of(gates, context.base).canaries
    groups.append((CANARIES, [Question(one.query, one.filter or None) for one in canaries]))
    chosen: dict[str, tuple[Question, str]] = {}
    for source, questions in groups:
        by_hash = sorted((content_hash(_name(question)), question) for question in _common(questions))
        for name, question in sorted(by_hash, key=lambda one: one[0])[: max(0, wanted - len(chosen))]:
            chosen.setdefault(name, (question, source))
    return list(chosen.values())


def _name(question: Question) -> str:
    return canonical_json([question.query, question.filter])


def _common(questions: Sequence[Question]) -> list[Question]:
    """Those of the commonest filters."""
    counted = Counter(canonical_json(question.filter) for question in questions if question.filter)
    kept = {name for name, _ in sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_FILTERS]}
    return [one for one in questions if not one.filter or canonical_json(one.filter) in kept]


def _one_space(context: GateContext) -> bool:
    return context.production is None or shares_vectors(context)


def _embedded(context: GateContext, texts: list[str], notes: list[str]) -> tuple[Vector, Vector] | None:
    """Of both sides; None where a side's embedder is not here."""
    if not texts:
        return _no_vectors(context)
    found: list[Vector] = []
    for side in (context.candidate, context.production):
        if side is None or (found and _one_space(context)):
            continue
        try:
            embedder = context.embedder(side)
        except VectorPipelineError as error:
            notes.append(f"{len(texts)} questions were not asked: version {side.version.number}: {error.what}")
            return None
        found.append(embedder.embed_queries(texts))
    return found[0], found[-1]


def _no_vectors(context: GateContext) -> tuple[Vector, Vector]:
    production = context.production or context.candidate
    return (
        np.empty((0, context.version.dimension), np.float32),
        np.empty((0, production.version.dimension), np.float32),
    )


def _texts(context: GateContext, wanted: int) -> tuple[tuple[str, ...], tuple[Vector, Vector]]:
    """Documents and the vectors that each side stores for a text of theirs."""
    production: Side | None = context.production
    if wanted <= 0:
        return (), _no_vectors(context)
    if production is None or _one_space(context):
        sample = sample_vectors(context, production or context.candidate, wanted)
        usable = np.flatnonzero(np.isfinite(sample.vectors).all(axis=1))
        sample = sample.take(usable)
        return sample.document_ids, (sample.vectors, sample.vectors)
    new, old = unchanged(context, wanted), unchanged(context, wanted, production)
    places = {name: row for row, name in enumerate(old.content_hashes)}
    both = [(row, places[name]) for row, name in enumerate(new.content_hashes) if name in places]
    pairs = np.array(both, dtype=np.intp).reshape(len(both), 2)
    names = tuple(new.document_ids[row] for row in pairs[:, 0].tolist())
    return names, (new.vectors[pairs[:, 0]], old.vectors[pairs[:, 1]])
