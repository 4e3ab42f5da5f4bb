"""Vectors of another environment's lake, for texts that lack one here: read there by content, instead of embedded again.

Laws
----
1. Only the same text in the same embedder's table is taken, and nothing else of it: no document, no version, no verdict.
2. The other lake is opened for reading. One that is not there, or has nothing of it, gives nothing: what is lacking is embedded.
3. Before the first one is kept, a sample of them is embedded here. Where one comes out otherwise, none is taken: ``RefusedError``
   names it. What is taken is committed as what was embedded is, golden texts and all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from vector_pipeline.build.attesting import DEFAULT, Attesting, Attestor
from vector_pipeline.build.comparing import compare, embed_texts, matrix
from vector_pipeline.config import LakeConfig
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake import embeddings as store
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.tables import SpaceTables

COMMIT_ROWS = 8192
"""Vectors in one commit."""
LOOKED_AT = 48
"""Vectors that are made again before any is taken."""


@dataclass(frozen=True, slots=True)
class OtherLake:
    """The lake of another environment."""

    environment: str
    lake: LakeConfig
    base: Path
    """Folder that its paths are relative to."""


def reuse_vectors(
    lake: Lake, tables: SpaceTables, embedder: Embedder, other: OtherLake, *, shards: list[int] | None = None,
    attesting: Attesting | None = DEFAULT, theirs: SpaceTables | None = None,
) -> int:  # fmt: skip
    """Give texts of the selected shards (None: all) that lack a vector the one that the other lake has; returns how many.

    ``theirs``: the tables there (default: of the same names), such as the dataset's where these are a preview's.
    Under the lease of the embedding table, before ``embed_chunks``.
    """
    tables.ensure(lake)
    wanted = [one for one in store.find_pending(lake, tables, shards) if one.embed]
    if not wanted:
        return 0
    try:
        there = Lake.open(other.lake, other.base, read_only=True)
    except NotFoundError:
        return 0
    with there:
        theirs = theirs or tables
        if not there.has_table(theirs.dataset.dataset, theirs.embedding_table):
            return 0
        how = attesting or DEFAULT
        found = _Found(lake, there, theirs)
        counts = {one.shard: found.count(one.shard) for one in wanted}
        total = sum(counts.values())
        if not total:
            return 0
        _require_believable(lake, tables, embedder, found, [one for one in counts if counts[one]], other, how)
        attestor = Attestor(lake, tables, embedder, how) if attesting is not None else None
        if attestor is not None:
            attestor.begin(total)
        taken = 0
        for shard, count in counts.items():
            for vectors in found.batches(shard) if count else ():
                taken += vectors.num_rows
                also = (
                    attestor.attest(vectors.num_rows, stopped=False, done=taken == total)
                    if attestor is not None
                    else None
                )
                message = f"take {vectors.num_rows} vectors of {theirs.dataset.dataset} from {other.environment}"
                store.store_vectors(lake, tables, [(shard, vectors)], message, also)
        return taken


class _Found:
    """What the other lake has of the texts that ``pending`` lacks; one vector a text, whatever shards hold it there."""

    def __init__(self, lake: Lake, there: Lake, theirs: SpaceTables) -> None:
        self._lake, self._there = lake, there
        self._table = theirs.embeddings
        assert self._table.startswith(CATALOG)  # both lakes are called alike, each on its own connection

    def count(self, shard: int) -> int:
        found = self._there.stream(
            f"SELECT count(DISTINCT content_hash) FROM {self._table} SEMI JOIN wanted USING (content_hash)",
            given={"wanted": self._wanted(shard)},
        )
        return sum(int(batch.column(0)[0].as_py()) for batch in found)

    def batches(self, shard: int, most: int | None = None) -> Iterator[pa.Table]:
        """Tables [content_hash, vector], each text once. ``most``: texts of the lowest hashes."""
        limit = f"ORDER BY content_hash LIMIT {int(most)}" if most is not None else ""
        stream = self._there.stream(
            f"""SELECT e.content_hash, e.vector FROM {self._table} e
                JOIN (SELECT content_hash, min(shard) AS shard FROM {self._table} SEMI JOIN wanted USING (content_hash)
                      GROUP BY content_hash {limit}) k USING (content_hash, shard)""",
            rows=COMMIT_ROWS,
            given={"wanted": self._wanted(shard)},
        )
        for batch in stream:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])

    def _wanted(self, shard: int) -> pa.Table:
        return self._lake.table(
            "SELECT DISTINCT content_hash FROM pending WHERE shard = ? AND NOT known", [shard]
        )  # fmt: skip


def _require_believable(
    lake: Lake, tables: SpaceTables, embedder: Embedder, found: _Found, shards: list[int], other: OtherLake, how: Attesting
) -> None:  # fmt: skip
    """Law 3."""
    each = -(-LOOKED_AT // len(shards))
    drawn = pa.concat_tables([part for shard in shards for part in found.batches(shard, each)])
    with lake.registered("drawn_contents", drawn.select(["content_hash"])):
        texts = dict(
            lake.rows(
                f"""SELECT content_hash, any_value(context || text) FROM {tables.chunks}
                    SEMI JOIN drawn_contents USING (content_hash) GROUP BY content_hash"""
            )
        )
    hashes = drawn["content_hash"].to_pylist()
    made = embed_texts(embedder, [texts[one] for one in hashes])
    theirs, fits = matrix(drawn["vector"], made.shape[1])
    compared = compare(theirs, made, how.settings.max_distance)
    wrong = compared.differs | ~fits
    if not wrong.any():
        return
    worst = compared.worst
    raise RefusedError(
        f"{int(wrong.sum()):,} of {len(hashes):,} vectors of environment {other.environment} that were looked at are not what "
        f"{how.model} makes here, such as one of content {hashes[worst]} (cosine distance {compared.distance[worst]:.2g}); "
        "none was taken",
        fix=f"Attest that environment (vector-pipeline attest), or take `reuse: {other.environment}` out",
    )
