"""The texts that a bridge is fitted, chosen and measured on: what production serves, and what people really ask.

Laws
----
1. Texts are contents of the version that production serves, with the vectors that the lake has for them. Those come first that the
   lake has the new model's vectors for, then the others; each in the order of a hash: the same lake gives the same sample.
2. Whole documents are set aside for measuring, then for choosing settings, before anything is fitted: no text of theirs fits.
3. Questions are real ones where there are any (``gates.answers.queries``, canaries, judged queries), by hash: the first
   ``MEASURED`` measure, the others help to choose. Beside them stand first sentences of the texts that were set aside.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.embedding.batches import Progress, embed_pending
from vector_pipeline.hashing import content_hash
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.targets.base import Vector
from vector_pipeline.verify.canaries.file import canaries_of
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.exact import as_matrix
from vector_pipeline.verify.queries import load_queries
from vector_pipeline.verify.retrieval.judgements import load_judgements

MEASURED = 300
"""Most questions of a kind that are measured with."""
CHOSEN = 200
"""Most that settings are chosen by."""
BESIDE = 1_000
"""First sentences that a map is fitted on beside whole texts: a model may embed questions otherwise than documents."""
_SHARE = 4
"""Of a small sample one part in so many is set aside for each."""
_SENTENCE = re.compile(r"(?<=[.!?。])\s+|\n+")
_WORDS, _CHARS = 4, 300


@dataclass(frozen=True, slots=True)
class NewSide:
    """The model that queries are to come from, as it is on this machine."""

    space: EmbeddingSpace
    embedder: Embedder
    tables: SpaceTables
    """Of its space in the lake: they need not exist yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A sample of contents, in the order of law 1."""

    hashes: tuple[str, ...]
    documents: tuple[str, ...]
    texts: tuple[str, ...]
    """As they were embedded: with their headings."""
    bare: tuple[str, ...]
    """Without."""
    old: Vector
    """float32[n, d_old]: what the lake has."""
    new: Vector
    """float32[n, d_new]; rows that are not ``known`` hold nothing yet."""
    known: npt.NDArray[np.bool_]
    """Which of them the lake has the new model's vectors for."""

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def characters(self) -> int:
        """Of the texts that are yet to be embedded."""
        return sum(len(self.texts[row]) for row in np.flatnonzero(~self.known).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Rows of a sample by what they are for (law 2)."""

    measure: npt.NDArray[np.intp]
    choose: npt.NDArray[np.intp]
    fit: npt.NDArray[np.intp]


def draw(context: GateContext, side: Side, new: NewSide, limit: int) -> Texts:
    """At most ``limit`` contents of a side."""
    dimension, lake = side.version.dimension, context.lake
    there = lake.has_table(new.tables.dataset.dataset, new.tables.embedding_table)
    made = (
        f"(SELECT content_hash, vector FROM {new.tables.embeddings} WHERE len(vector) = {int(new.space.dimension)})"
        if there
        else "(SELECT NULL::VARCHAR AS content_hash, NULL::FLOAT[] AS vector WHERE false)"
    )
    found = lake.table(
        f"""WITH contents AS (
                SELECT content_hash, min(document_id) AS document_id, arg_min(shard, document_id) AS shard,
                       any_value(context || text) AS text, any_value(text) AS bare
                FROM {side.chunks} c GROUP BY content_hash),
            picked AS (
                SELECT *, content_hash IN (SELECT content_hash FROM {made}) AS known FROM contents
                ORDER BY known DESC, md5(content_hash) LIMIT {int(limit)}),
            news AS (SELECT content_hash, any_value(vector) AS new FROM {made}
                     WHERE content_hash IN (SELECT content_hash FROM picked) GROUP BY content_hash)
            SELECT p.content_hash, p.document_id, p.text, p.bare, e.vector AS old, n.new
            FROM picked p JOIN {side.tables.embeddings} e USING (shard, content_hash) LEFT JOIN news n USING (content_hash)
            WHERE len(e.vector) = {int(dimension)} ORDER BY p.known DESC, md5(p.content_hash)"""
    )
    known = found["new"].is_valid().to_numpy()
    vectors = np.zeros((len(known), new.space.dimension), np.float32)
    if known.any():
        made_already = found["new"].combine_chunks().filter(found["new"].combine_chunks().is_valid())
        vectors[known] = as_matrix(made_already, new.space.dimension, new.tables.embeddings)
    old = as_matrix(found["old"].combine_chunks(), dimension, side.tables.embeddings)
    hashes, documents, texts, bare = (
        tuple(found[name].to_pylist()) for name in ("content_hash", "document_id", "text", "bare")
    )
    return Texts(hashes, documents, texts, bare, old, vectors, known)


def complete(sample: Texts, embedder: Embedder, report: Callable[[Progress], None] | None = None) -> Texts:
    """The same with the new model's vectors of every text: what the lake has not is embedded, and not stored."""
    import pyarrow as pa

    missing = np.flatnonzero(~sample.known)
    if not len(missing):
        return sample
    pending = pa.table(
        {
            "content_hash": [sample.hashes[row] for row in missing.tolist()],
            "text": [sample.texts[row] for row in missing.tolist()],
        }
    )
    places = {sample.hashes[row]: row for row in missing.tolist()}
    vectors = sample.new.copy()
    for unit in embed_pending(embedder, pending, on_progress=report):
        rows = [places[name] for name in unit["content_hash"].to_pylist()]
        vectors[rows] = as_matrix(unit["vector"].combine_chunks(), vectors.shape[1], "the embedder's answer")
    return Texts(
        sample.hashes, sample.documents, sample.texts, sample.bare, sample.old, vectors, np.ones(len(sample), np.bool_)
    )


def parted(sample: Texts) -> Parts:
    """Law 2: documents in the order of a hash, until enough of their texts are set aside for each."""
    order = sorted(set(sample.documents), key=content_hash)
    place = {document: number for number, document in enumerate(order)}
    rank = np.array([place[document] for document in sample.documents], dtype=np.intp)
    sizes = np.bincount(rank, minlength=len(order)) if len(order) else np.zeros(0, np.intp)
    # Texts of the documents before each: a document is where its first text falls.
    before = np.cumsum(sizes) - sizes
    share = len(sample) // _SHARE
    measure = min(MEASURED, share)
    choose = measure + min(CHOSEN, share)
    role = np.where(before < measure, 0, np.where(before < choose, 1, 2))[rank] if len(rank) else rank
    return Parts(*(np.flatnonzero(role == number) for number in range(3)))


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions by what they are for."""

    measure: tuple[str, ...]
    choose: tuple[str, ...]


def real_questions(context: GateContext) -> Asked:
    """Law 3: what people ask, as far as the configuration names it."""
    gates = context.gates
    texts = {one.query for one in canaries_of(gates, context.base).canaries}
    if gates.answers.queries is not None:
        texts |= {one.query for one in load_queries(context.base / gates.answers.queries)}
    if gates.retrieval.queries is not None and gates.retrieval.judgements is not None:
        judged = load_judgements(context.base / gates.retrieval.queries, context.base / gates.retrieval.judgements)
        texts |= set(judged.queries.values())
    ordered = sorted(texts, key=content_hash)
    return Asked(tuple(ordered[:MEASURED]), tuple(ordered[MEASURED : MEASURED + CHOSEN]))


def sentences(sample: Texts, rows: npt.NDArray[np.intp], limit: int) -> tuple[str, ...]:
    """First sentences of some of the texts, each once."""
    found = (first_sentence(sample.bare[row]) for row in rows.tolist())
    return tuple(dict.fromkeys(one for one in found if one))[:limit]


def first_sentence(text: str) -> str:
    """The first sentence of four words or more, without marks of a heading; else the text's beginning."""
    pieces = (" ".join(piece.lstrip("#>*- \t").split()) for piece in _SENTENCE.split(text))
    found = next((piece for piece in pieces if len(piece.split()) >= _WORDS), " ".join(text.split()))
    return found[:_CHARS].strip()
