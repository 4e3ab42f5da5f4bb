"""What can go wrong with vectors after they were made: in the lake, and in the index."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from benchmarks.gates.bench import DATASET, BenchProject
from vector_pipeline.embedding.base import Vectors
from vector_pipeline.lake.tables import SpaceTables, at

Transform = Callable[[Sequence[str], Vectors], Vectors]
"""From (texts, their vectors) to other vectors."""


def rewrite(project: BenchProject, transform: Transform, where: str = "true") -> int:
    """Replace the stored vectors of what version 1 does not have. ``where``: which of them, over (shard, content_hash)."""
    lake, tables, first = project.lake(), project.tables(DATASET), project.version(DATASET, 1)
    found = lake.table(
        f"""SELECT e.shard, e.content_hash, any_value(c.context || c.text) AS text, any_value(e.vector) AS vector
            FROM {tables.embeddings} e JOIN {tables.chunks} c USING (shard, content_hash)
            ANTI JOIN {at(tables.chunks, first.lake_snapshot)} USING (content_hash)
            WHERE {where.replace("shard", "e.shard")} GROUP BY e.shard, e.content_hash ORDER BY e.shard, e.content_hash"""
    )
    if not found.num_rows:
        return 0
    vectors = found["vector"].combine_chunks().flatten().to_numpy().reshape(found.num_rows, -1)
    made = np.ascontiguousarray(transform(found["text"].to_pylist(), vectors), dtype=np.float32)
    _store(project, tables, found.select(["shard", "content_hash"]), made)
    return int(found.num_rows)


def _store(project: BenchProject, tables: SpaceTables, keys: pa.Table, vectors: Vectors) -> None:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = keys.append_column("vector", lists.cast(pa.list_(pa.float32())))
    lake = project.lake()

    def work() -> None:
        with lake.registered("other_vectors", table):
            these = "(shard, content_hash) IN (SELECT (shard, content_hash) FROM other_vectors)"
            lake.run(f"DELETE FROM {tables.embeddings} WHERE {these}")
            lake.run(f"INSERT INTO {tables.embeddings} BY NAME SELECT shard, content_hash, vector FROM other_vectors")

    lake.transaction(work, "vectors of another hand")


def rewrite_index(project: BenchProject, change: Callable[[pa.Table], pa.Table], share: float = 1.0) -> None:
    """Write records of the newest version anew in its index, as ``change`` makes them; with their own marks."""
    version = project.version(DATASET)
    deployment, target = project.deployment_of(version), project.target(DATASET)
    ids = [name for batch in target.scan(deployment.namespace) for name in batch["id"].to_pylist()]
    ids = ids[: max(1, round(len(ids) * share))]
    for begin in range(0, len(ids), 500):
        rows = target.fetch(deployment.namespace, ids[begin : begin + 500])
        target.upsert(deployment.namespace, change(rows), fence=_fence(project, deployment.namespace))


def drop_from_index(project: BenchProject, share: float) -> None:
    """Delete records of the index behind everybody's back."""
    version = project.version(DATASET)
    deployment, target = project.deployment_of(version), project.target(DATASET)
    ids = [name for batch in target.scan(deployment.namespace) for name in batch["id"].to_pylist()]
    some = pa.array(ids[:: round(1 / share)])
    target.delete(deployment.namespace, some, fence=_fence(project, deployment.namespace))


def _fence(project: BenchProject, namespace: str) -> int:
    lease = project.registry().lease(f"local/{namespace}")
    return lease.fence if lease is not None else 1_000_000


def permuted(_: Sequence[str], vectors: Vectors) -> Vectors:
    """Every vector under its neighbour's key."""
    return np.roll(vectors, 1, axis=0)


def quantised(_: Sequence[str], vectors: Vectors) -> Vectors:
    """Rounded to 8 bits, as some stores keep them."""
    scale = np.abs(vectors).max() / 127
    return (np.round(vectors / scale) * scale).astype(np.float32)


def unnormalised(_: Sequence[str], vectors: Vectors) -> Vectors:
    """With lengths that a model gives before normalisation."""
    lengths = np.random.default_rng(0).uniform(2, 9, size=(len(vectors), 1))
    return (vectors * lengths).astype(np.float32)


def collapsed(_: Sequence[str], vectors: Vectors) -> Vectors:
    """Nearly all the same."""
    mean = vectors.mean(axis=0, keepdims=True)
    near = mean + 0.05 * vectors
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
