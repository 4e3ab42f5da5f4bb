"""One sample of queries, asked of both versions: exactly in the lake, and of both indexes as readers ask them.

Laws
----
1. Answers are documents, each at its best chunk. Those that were moved, merged or split, edited or not, go by the name that both
   versions know (``changes``).
2. Beside the sample stand queries about what was edited: a former text of each of some changed documents, chosen by hash. Its own
   document ought to be near it still.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vector_pipeline.arrow import as_one
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import Filter, Match, Vector
from vector_pipeline.verify.answers.changes import added_share, changes_of, names_of, stayed_of
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.exact import as_matrix, exact_tops
from vector_pipeline.verify.queries import QuerySample, query_sample
from vector_pipeline.verify.sampling import shares_vectors
from vector_pipeline.verify.searching import search_vectors

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
    """Document: what became of it."""
    stayed: frozenset[tuple[str, str]]
    """(document, content) of production's answers that the candidate has too."""
    added: float
    """Share of the candidate's documents that production has not, under any name."""
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
    names = names_of(context, production, (one.documents for side in (*exact, *live) if side for one in side))
    exact = [[_named(one, by) for one in side] for side, by in zip(exact, names, strict=True)]
    live = [None if side is None else [_named(one, by) for one in side] for side, by in zip(live, names, strict=True)]
    changes = changes_of(context, production, (one.documents for side in (*exact, *live) if side for one in side))
    stayed = stayed_of(context, (zip(one.documents, one.contents, strict=True) for one in exact[0]))
    return Replay(
        sample, edited, exact[0], exact[1], live[0], live[1], changes, stayed, added_share(context, production), shared,
        tuple(notes),
    )  # fmt: skip


def _of_hits(hits: Sequence[tuple[str, str, float, str]]) -> Answer:
    best: dict[str, tuple[float, str]] = {}
    for _, document, score, content in hits:
        best.setdefault(document, (score, content))
    return Answer(tuple(best), tuple(score for score, _ in best.values()), tuple(one for _, one in best.values()))


def _of_matches(matches: Sequence[Match]) -> Answer:
    return _of_hits([(match.id, match.document_id, match.score, match.content_hash) for match in matches])


def _named(answer: Answer, names: Mapping[str, str]) -> Answer:
    """By the names that both versions know: of several documents of one name the best."""
    if not any(document in names for document in answer.documents):
        return answer
    hits = zip(answer.documents, answer.scores, answer.contents, strict=True)
    return _of_hits([("", names.get(document, document), score, content) for document, score, content in hits])


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
    vectors = as_matrix(as_one(found["vector"]), dimension, production.tables.embeddings)
    usable = np.isfinite(vectors).all(axis=1)
    return tuple(names[row] for row in np.flatnonzero(usable).tolist()), vectors[usable]
