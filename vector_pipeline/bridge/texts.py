"""The texts that a bridge is fitted, chosen and measured on: what production serves, and what people really ask.

Laws
----
1. Texts are contents of the version that production serves, with the vectors that the lake has for them. Those come first that the
   lake has the new model's vectors for, then the others; each in the order of a hash: the same lake gives the same sample.
2. A content knows every document that it stands in. One that stands in more than ``HELD`` is boilerplate, and of no sample.
3. Questions are real ones where there are any (``gates.answers.queries``, canaries, judged queries), in the order of a hash. What
   measures, chooses and fits is decided in ``parting``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

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

HELD = 8
"""Documents that a text of a sample may stand in."""


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
    documents: tuple[tuple[str, ...], ...]
    """That each stands in: one at least, ``HELD`` at most."""
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
                SELECT content_hash, arg_min(shard, document_id) AS shard,
                       any_value(context || text) AS text, any_value(text) AS bare
                FROM {side.chunks} c GROUP BY content_hash),
            picked AS (
                SELECT *, content_hash IN (SELECT content_hash FROM {made}) AS known FROM contents
                ORDER BY known DESC, md5(content_hash) LIMIT {int(limit)}),
            news AS (SELECT content_hash, any_value(vector) AS new FROM {made}
                     WHERE content_hash IN (SELECT content_hash FROM picked) GROUP BY content_hash),
            holders AS (SELECT content_hash, list_sort(list(DISTINCT document_id)[:{HELD + 1}]) AS documents FROM {side.chunks}
                        WHERE content_hash IN (SELECT content_hash FROM picked) GROUP BY content_hash)
            SELECT p.content_hash, h.documents, p.text, p.bare, e.vector AS old, n.new
            FROM picked p JOIN {side.tables.embeddings} e USING (shard, content_hash) JOIN holders h USING (content_hash)
            LEFT JOIN news n USING (content_hash)
            WHERE len(e.vector) = {int(dimension)} AND len(h.documents) <= {HELD} ORDER BY p.known DESC, md5(p.content_hash)"""
    )
    known = found["new"].is_valid().to_numpy()
    vectors = np.zeros((len(known), new.space.dimension), np.float32)
    if known.any():
        made_already = found["new"].combine_chunks().filter(found["new"].combine_chunks().is_valid())
        vectors[known] = as_matrix(made_already, new.space.dimension, new.tables.embeddings)
    old = as_matrix(found["old"].combine_chunks(), dimension, side.tables.embeddings)
    hashes, texts, bare = (tuple(found[name].to_pylist()) for name in ("content_hash", "text", "bare"))
    documents = tuple(map(tuple, found["documents"].to_pylist()))
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
    return replace(sample, new=vectors, known=np.ones(len(sample), np.bool_))


def real_questions(context: GateContext) -> tuple[str, ...]:
    """Law 3: what people ask, as far as the configuration names it."""
    gates = context.gates
    texts = {one.query for one in canaries_of(gates, context.base).canaries}
    if gates.answers.queries is not None:
        texts |= {one.query for one in load_queries(context.base / gates.answers.queries)}
    if gates.retrieval.queries is not None and gates.retrieval.judgements is not None:
        judged = load_judgements(context.base / gates.retrieval.queries, context.base / gates.retrieval.judgements)
        texts |= set(judged.queries.values())
    return tuple(sorted(texts, key=content_hash))
