"""What documents can be asked for: their own questions, headings, telling sentences and titles; spread over topics.

Laws
----
1. The same version gives the same documents and questions: they are chosen by hash, and grouped from a fixed beginning.
2. Topics take turns, the largest first; within a topic, documents in the middle of it come first.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.arrow import as_one
from vector_pipeline.targets.base import Vector
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.exact import as_matrix

_READ = 20_000
"""Characters of a document that are looked at."""
_LEAST, _MOST = 200, 2_000
"""Documents that are looked at."""
_ROUNDS = 10
_HEADINGS, _SENTENCES = 2, 2
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n{2,}|\n(?=\s*(?:[-*+|>#]|\d+[.)])\s)")
_WORD = re.compile(r"\w+")
_MARKUP = re.compile(r"[`*_|<>{}\[\]]|https?://")
_LEANS = re.compile(
    r"(?i:moreover|however|therefore|furthermore|thus|additionally|also|hence|finally|in addition|in contrast|these|this|those|"
    r"that|it|they|we|he|she|here|such|both)\b|[a-z]|[A-Z]{4,}\b"
)
"""Begins a sentence that says little without the one before it, or is a heading of a form."""
_LEAD = re.compile(r"^\s*(?:#{1,6}|[-*+>]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Asking:
    """A question that a document ought to answer."""

    document: str
    query: str
    source: str
    """``question``, ``heading``, ``sentence`` or ``title``."""


@dataclass(frozen=True, slots=True)
class _Document:
    id: str
    title: str
    text: str
    headings: tuple[tuple[str, ...], ...]


def askings(context: GateContext, side: Side, count: int) -> list[list[Asking]]:
    """For each of some documents its questions, the best kind first; documents of different topics one after another."""
    documents, vectors = _read(context, side, min(max(20 * count, _LEAST), _MOST))
    weights = _weights([document.text for document in documents])
    return [_of(documents[number], weights) for number in spread(vectors, count)]


def _read(context: GateContext, side: Side, limit: int) -> tuple[list[_Document], Vector]:
    table = context.lake.table(
        f"""WITH chosen AS (SELECT document_id, title, substr(text, 1, {_READ}) AS text FROM {side.documents}
                ORDER BY md5(document_id) LIMIT {int(limit)}),
            held AS (SELECT c.document_id, arg_min(c.shard, c.ordinal) AS shard, arg_min(c.content_hash, c.ordinal) AS content_hash,
                    list(DISTINCT c.metadata ->> '$.heading') AS headings
                FROM {side.chunks} c SEMI JOIN chosen USING (document_id) GROUP BY c.document_id)
            SELECT d.document_id, d.title, d.text, h.headings, e.vector
            FROM chosen d JOIN held h USING (document_id) JOIN {side.tables.embeddings} e USING (shard, content_hash)
            ORDER BY md5(d.document_id)"""
    ).combine_chunks()
    if not table.num_rows:
        return [], np.zeros((0, side.version.dimension), dtype=np.float32)
    vectors = as_matrix(as_one(table["vector"]), side.version.dimension, side.tables.embeddings)
    documents = [
        _Document(row["document_id"], row["title"] or "", row["text"] or "", _headings(row["headings"]))
        for row in table.drop_columns(["vector"]).to_pylist()
    ]
    return documents, vectors


def _headings(found: Sequence[str | None] | None) -> tuple[tuple[str, ...], ...]:
    lists = [json.loads(one) for one in sorted(one for one in found or () if one) if one.startswith("[")]
    return tuple(tuple(map(str, one)) for one in lists if one)


def spread(vectors: Vector, topics: int) -> list[int]:
    """Rows of float32[n, dim] in law 2's order."""
    if not len(vectors):
        return []
    finite = np.nan_to_num(vectors.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    unit = finite / np.maximum(np.linalg.norm(finite, axis=1, keepdims=True), 1e-12)
    centres = unit[_far_apart(unit, min(topics, len(unit)))]
    for _ in range(_ROUNDS):
        nearest = np.argmax(unit @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, unit)
        sizes = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(sizes > 1e-12, sums / np.maximum(sizes, 1e-12), centres)
    closeness = unit @ centres.T
    nearest = np.argmax(closeness, axis=1)
    groups = [np.flatnonzero(nearest == number) for number in range(len(centres))]
    queues = [
        rows[np.argsort(-closeness[rows, number], kind="stable")].tolist()
        for number, rows in enumerate(groups)
        if len(rows)
    ]
    queues.sort(key=len, reverse=True)
    return [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]


def _far_apart(unit: Vector, wanted: int) -> list[int]:
    """Rows that lie far from one another, beginning in the middle of all."""
    chosen = [int(np.argmax(unit @ unit.mean(axis=0)))]
    nearest: npt.NDArray[np.float32] = unit @ unit[chosen[0]]
    while len(chosen) < wanted:
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, unit @ unit[chosen[-1]])
    return chosen


def _weights(texts: Sequence[str]) -> dict[str, float]:
    """How telling a word is: the fewer documents have it, the more."""
    held = Counter(word for text in texts for word in set(_words(text)))
    return {word: math.log((1 + len(texts)) / count) for word, count in held.items()}


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.casefold()) if len(word) > 2 and not word.isdigit()]


def _of(document: _Document, weights: dict[str, float]) -> list[Asking]:
    sentences = list(_sentences(document))
    questions = [one for one in sentences if one.endswith("?")]
    telling = sorted(
        (one for one in sentences if not one.endswith("?")),
        key=lambda one: -sum(weights.get(word, 0) for word in set(_words(one))) / (5 + len(_words(one))),
    )
    found = [(one, "question") for one in questions[:_SENTENCES]]
    found += [(one, "heading") for one in _asked_headings(document)]
    found += [(one, "sentence") for one in telling[:_SENTENCES]]
    found += [(document.title, "title")] if len(_words(document.title)) > 1 else []
    return [Asking(document.id, query, source) for query, source in dict.fromkeys(found)]


def _sentences(document: _Document) -> Iterator[str]:
    """Whole sentences of a length that people ask with, without markup."""
    for raw in _SENTENCE.split(document.text):
        one = " ".join(_LEAD.sub("", raw).split())
        if 5 <= len(one.split()) <= 25 and len(_words(one)) >= 3 and one[-1:] in ".!?" and _alone(one):
            yield one


def _alone(sentence: str) -> bool:
    """Whether it can be asked without what stands around it."""
    whole = sentence.count("(") == sentence.count(")") and not _MARKUP.search(sentence)
    return whole and (sentence.endswith("?") or not _LEANS.match(sentence))


def _asked_headings(document: _Document) -> list[str]:
    """``Holidays: carrying days over``."""
    found = []
    for path in document.headings:
        last = path[-1]
        if last.endswith("?"):
            found.append(last)
        elif last != document.title and len(_words(last)) >= 1:
            found.append(f"{document.title}: {last}" if document.title else last)
    return list(dict.fromkeys(found))[:_HEADINGS]
