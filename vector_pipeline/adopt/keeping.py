"""Vectors from the index that was found into the lake: the one step of an adoption that is of its own.

Laws
----
1. Written is what ``examine`` on the same lake and thread found usable, and only for contents that have no vector yet: run again,
   it finds nothing to do. Each commit is whole, so a run that is killed keeps what it committed.
2. A vector is kept if it is still, byte for byte, the one that was examined; what changed meanwhile is embedded.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from vector_pipeline.adopt.reading import vector_facts
from vector_pipeline.embedding.batches import vectors_to_arrow
from vector_pipeline.lake import embeddings as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.targets.base import Target

_COMMIT_ROWS = 4096


def keep_vectors(
    lake: Lake,
    tables: SpaceTables,
    target: Target,
    namespace: str,
    *,
    normalize: bool,
    on_keep: Callable[[int, int], None] | None = None,
) -> int:
    """Commit the usable vectors for contents that lack one, shard by shard; returns how many. Call after ``examine``."""
    done = 0
    pending = store.find_pending(lake, tables, None)
    total = int(lake.row("SELECT count(*) FROM pending SEMI JOIN adopt_usable USING (content_hash) WHERE NOT known")[0])
    for shard in pending:
        wanted = lake.table(
            """SELECT content_hash, id, vector_hash FROM adopt_usable
               SEMI JOIN (SELECT content_hash FROM pending WHERE shard = ? AND NOT known) USING (content_hash)
               ORDER BY content_hash""",
            [shard.shard],
        )
        for begin in range(0, wanted.num_rows, _COMMIT_ROWS):
            vectors = _unchanged(lake, target, namespace, wanted.slice(begin, _COMMIT_ROWS), normalize=normalize)
            if not vectors.num_rows:
                continue
            message = f"keep {vectors.num_rows} vectors of {target.name}/{namespace} for {tables.dataset.dataset}"
            store.store_vectors(lake, tables, [(shard.shard, vectors)], message)
            done += vectors.num_rows
            if on_keep is not None:
                on_keep(done, total)
    return done


def _unchanged(lake: Lake, target: Target, namespace: str, wanted: pa.Table, *, normalize: bool) -> pa.Table:
    """Table [content_hash, vector] of the wanted records that still hold the vector that was examined (law 2)."""
    found = target.fetch(namespace, wanted["id"].to_pylist())
    if not found.num_rows:
        return pa.table({"content_hash": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))})
    raw, _ = vector_facts(found["vector"])
    fetched = found.select(["id", "vector"]).append_column("raw", raw)
    with lake.registered("adopt_wanted", wanted), lake.registered("adopt_fetched", fetched):
        same = lake.table(
            """SELECT content_hash, raw FROM adopt_wanted w
               JOIN adopt_fetched f ON f.id = w.id AND md5(f.raw) = w.vector_hash ORDER BY content_hash"""
        )
    dimension = found["vector"].type.list_size
    rows = np.frombuffer(b"".join(same["raw"].to_pylist()), dtype=np.float32).reshape(-1, dimension).copy()
    if normalize and len(rows):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        # What has length one already keeps its bytes.
        off = np.abs(lengths - 1) > 1e-6
        rows[off] = (rows[off] / lengths[off, None]).astype(np.float32)
    return pa.table({"content_hash": same["content_hash"], "vector": vectors_to_arrow(rows)})
