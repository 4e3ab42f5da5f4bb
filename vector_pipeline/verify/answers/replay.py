"""One sample of queries, asked of both versions: exactly in the lake, and of both indexes as readers ask them.

Laws
----
1. Answers are documents, each at its best chunk. A document that was moved (it left under one id, its contents came under another)
   goes by the id that production knows.
2. A document is *unchanged* when both versions have it with the same contents; *changed* when both have it; *added* or *removed*
   when only one does.
3. Beside the sample stand queries about what was edited: a former text of each of some changed documents, chosen by hash. Its own
   document ought to be near it still.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.exact import as_matrix, exact_tops
from vector_pipeline.verify.queries import QuerySample, query_sample
from vector_pipeline.verify.sampling import shares_vectors
from vector_pipeline.verify.searching import search_vectors

UNCHANGED, CHANGED, ADDED, REMOVED = "unchanged", "changed", "added", "removed"
WIDE = 8
"""Chunks of each exact answer, for each document that is compared."""
LIVE_WIDE = 4
EDITED = 100
"""Changed documents whose former texts are asked."""
LIVE = 50
"""Queries that are asked of the indexes too: a service bills them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Documents of one query with their best scores, best first, and the content of that best chunk."""

    documents: tuple[str, ...]
    scores: tuple[float, ...]
    contents: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.documents)

    def only(self, kept: Iterable[str]) -> tuple[str, ...]:
        """Its documents among some."""
        wanted = set(kept)
        return tuple(document for document in self.documents if document in wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What was asked and what came."""

    sample: QuerySample
    edited: tuple[str, ...]
    """Documents whose former texts were asked after the sample."""
    production: list[Answer]
    candidate: list[Answer]
    live_production: list[Answer] | None
    """Of the first ``LIVE`` of the sample; None where that version is on no target, or it does not answer."""
    live_candidate: list[Answer] | None
    changes: Mapping[str, str]
    """Document: what became of it (law 2)."""
    stayed: frozenset[tuple[str, str]]
    """(document, content) of production's answers that the candidate has too."""
    one_space: bool
    """Both take their vectors from one table: unchanged contents have the same vector."""
    notes: tuple[str, ...] = ()

    @property
    def queries(self) -> int:
        return len(self.sample)

    def of(self, *changes: str) -> set[str]:
        """Documents of some kinds."""
        return {document for document, change in self.changes.items() if change in changes}


def replay(context: GateContext, production: Side) -> Replay:
    """Ask. Embeds the questions, and nothing else."""
    candidate, k = context.candidate, context.gates.answers.k
    sample, shared = query_sample(context), shares_vectors(context)
    edited, former = _former_texts(context, production) if shared else ((), sample.candidate[:0])
    new = np.concatenate([sample.candidate, former])
    old = new if shared else sample.production
    filters = [*sample.filters, *(None for _ in edited)]
    found = exact_tops(context, [production, candidate], [old, new], WIDE * k, filters)
    exact = [[_of_hits(hits) for hits in side] for side in found]
    notes = list(sample.notes)
    live = [
        _live(context, side, vectors[:LIVE], filters[:LIVE], notes) if len(sample) else None
        for side, vectors in ((production, old[: len(sample)]), (candidate, new[: len(sample)]))
    ]
    shown = [*exact, *(answers for answers in live if answers is not None)]
    changes, moved = _changes(context, production, {name for side in shown for one in side for name in one.documents})
    exact[1] = [_renamed(one, moved) for one in exact[1]]
    if live[1] is not None:
        live[1] = [_renamed(one, moved) for one in live[1]]
    stayed = _stayed(context, exact[0], moved)
    return Replay(
        sample, edited, exact[0], exact[1], live[0], live[1], changes, stayed, shared, tuple(notes)
    )  # fmt: skip


def _of_hits(hits: Sequence[tuple[str, str, float, str]]) -> Answer:
    best: dict[str, tuple[float, str]] = {}
    for _, document, score, content in hits:
        best.setdefault(document, (score, content))
    return Answer(tuple(best), tuple(score for score, _ in best.values()), tuple(one for _, one in best.values()))


def _of_matches(matches: Sequence[Match]) -> Answer:
    return _of_hits([(match.id, match.document_id, match.score, match.content_hash) for match in matches])


def _renamed(answer: Answer, moved: Mapping[str, str]) -> Answer:
    return Answer(tuple(moved.get(name, name) for name in answer.documents), answer.scores, answer.contents)


def _live(
    context: GateContext, side: Side, vectors: Vector, filters: Sequence[Filter | None], notes: list[str]
) -> list[Answer] | None:
    if side.deployment is None:
        return None
    groups: dict[str, list[int]] = {}
    for row in range(len(vectors)):
        groups.setdefault(canonical_json(filters[row]), []).append(row)
    answers = [Answer((), (), ())] * len(vectors)
    width = min(LIVE_WIDE * context.gates.answers.k, context.target(side).capabilities.max_top_k)
    try:
        for rows in groups.values():
            found = search_vectors(context, side, vectors[rows], width, filters[rows[0]])
            for row, matches in zip(rows, found, strict=True):
                answers[row] = _of_matches(matches)
    except VectorPipelineError as error:
        if side is context.candidate:
            raise
        notes.append(f"version {side.version.number} was not asked on its target: {error.what}")
        return None
    return answers


def _former_texts(context: GateContext, production: Side) -> tuple[tuple[str, ...], Vector]:
    """Changed documents, and the vector of a text that each had and has no more."""
    candidate, dimension = context.candidate, production.version.dimension
    found = context.lake.table(
        f"""WITH gone AS (
                SELECT c.shard, c.content_hash, c.document_id
                FROM {production.chunks} c ANTI JOIN {candidate.chunks} d USING (document_id, content_hash)),
            asked AS (
                SELECT * FROM gone SEMI JOIN {candidate.chunks} d USING (document_id)
                QUALIFY row_number() OVER (PARTITION BY document_id ORDER BY md5(content_hash)) = 1
                ORDER BY md5(content_hash), document_id LIMIT {EDITED})
            SELECT a.document_id, e.vector FROM asked a JOIN {production.tables.embeddings} e USING (shard, content_hash)
            WHERE len(e.vector) = {int(dimension)} ORDER BY md5(content_hash), document_id"""
    )
    names = tuple(found["document_id"].to_pylist())
    if not names:
        return (), np.empty((0, dimension), np.float32)
    vectors = as_matrix(found["vector"].combine_chunks(), dimension, production.tables.embeddings)
    usable = np.isfinite(vectors).all(axis=1)
    return tuple(names[row] for row in np.flatnonzero(usable).tolist()), vectors[usable]


def _changes(context: GateContext, production: Side, names: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What became of documents, and new ids of moved ones with the former."""
    with context.lake.registered("answered", pa.table({"document_id": pa.array(sorted(names), pa.string())})):
        rows = context.lake.rows(
            f"""WITH a AS ({_contents(production)}), b AS ({_contents(context.candidate)})
                SELECT document_id, a.contents, b.contents FROM a FULL JOIN b USING (document_id) ORDER BY document_id"""
        )
    changes = {name: _change(old, new) for name, old, new in rows}
    left: dict[str, list[str]] = {}
    for name, old, new in rows:
        if new is None:
            left.setdefault(old, []).append(name)
    moved: dict[str, str] = {}
    for name, old, new in rows:
        if old is None and left.get(new):
            moved[name] = left[new].pop(0)
            changes[moved[name]] = UNCHANGED
            del changes[name]
    return changes, moved


def _contents(side: Side) -> str:
    return f"""SELECT document_id, md5(string_agg(content_hash, ',' ORDER BY content_hash)) AS contents
               FROM {side.chunks} c SEMI JOIN answered USING (document_id) GROUP BY document_id"""


def _change(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return ADDED if old is None else REMOVED
    return UNCHANGED if old == new else CHANGED


def _stayed(context: GateContext, answers: Sequence[Answer], moved: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    former = {old: new for new, old in moved.items()}
    pairs = {pair for one in answers for pair in zip(one.documents, one.contents, strict=True)}
    now = {(former.get(document, document), content): (document, content) for document, content in pairs}
    table = pa.table(
        {
            "document_id": pa.array([document for document, _ in now], pa.string()),
            "content_hash": pa.array([content for _, content in now], pa.string()),
        }
    )
    with context.lake.registered("answered_contents", table):
        rows = context.lake.rows(
            f"""FROM answered_contents a SEMI JOIN {context.candidate.chunks} c USING (document_id, content_hash)
                SELECT document_id, content_hash"""
        )
    return frozenset(now[document, content] for document, content in rows)
