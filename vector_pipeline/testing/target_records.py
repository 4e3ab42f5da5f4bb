"""Records for tests of targets: small, deterministic, and awkward where it matters (unicode, extremes, ties)."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vector_pipeline.targets.base import (
    DERIVE_SCHEMA,
    LIVE,
    METADATA_SCHEMA,
    NamespaceSpec,
    NamespaceState,
    Target,
    Vector,
    WriteReceipt,
    record_schema,
)

DIMENSION = 8
SPACE = "0123456789abcdef"

NOT_STRICT = {
    "[1]": "an array",
    "{": "an end is missing",
    '{"a": 1,}': "a trailing comma",
    '{"a": NaN}': "NaN",
    '{"a": -Infinity}': "infinity",
    '{"vp_added_in": 1}': "a reserved key",
    '{"a": "\\ud800"}': "half a surrogate pair",
}
"""Metadata that no write may take, and why."""


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vector:
    """float32[count, dimension] of length one."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def make_records(
    ids: Sequence[str],
    vectors: Vector | None = None,
    *,
    added_in: int = 1,
    removed_in: int = LIVE,
    metadata: Sequence[Mapping[str, Any]] | None = None,
    text: str = "text of {id}",
    content: str = "c",
) -> pa.Table:
    """Records in ``record_schema``; vectors and metadata follow from the ids' order unless given."""
    count = len(ids)
    rows = unit_vectors(count) if vectors is None else np.ascontiguousarray(vectors, dtype=np.float32)
    described = [{"n": index} for index in range(count)] if metadata is None else metadata
    dimension = rows.shape[1] if count else DIMENSION
    columns = {
        "id": pa.array(ids, pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1), pa.float32()), dimension),
        "document_id": pa.array([f"doc {name.partition('#')[0]}" for name in ids], pa.string()),
        "content_hash": pa.array([f"{content}-{name}" for name in ids], pa.string()),
        "metadata_hash": pa.array([f"m-{name}" for name in ids], pa.string()),
        "space": pa.array([SPACE] * count, pa.string()),
        "added_in": pa.array([added_in] * count, pa.int64()),
        "removed_in": pa.array([removed_in] * count, pa.int64()),
        "text": pa.array([text.format(id=name) for name in ids], pa.string()),
        "metadata": pa.array([json.dumps(value, ensure_ascii=False) for value in described], pa.string()),
    }
    return pa.table(columns, schema=record_schema(dimension))


def make_derived(
    sources: Mapping[str, str],
    *,
    added_in: int = 2,
    removed_in: int = LIVE,
    metadata: Mapping[str, Any] | None = None,
    metadata_hash: str = "derived",
) -> pa.Table:
    """Records to derive (``DERIVE_SCHEMA``): id to the id of its source."""
    count = len(sources)
    columns = {
        "id": list(sources),
        "source_id": list(sources.values()),
        "metadata_hash": [metadata_hash] * count,
        "metadata": [json.dumps(metadata or {}, ensure_ascii=False)] * count,
        "added_in": [added_in] * count,
        "removed_in": [removed_in] * count,
    }
    return pa.table(columns, schema=DERIVE_SCHEMA)


def make_metadata(metadata: Mapping[str, Mapping[str, Any]], metadata_hash: str = "changed") -> pa.Table:
    """New metadata (``METADATA_SCHEMA``) by id."""
    columns = {
        "id": list(metadata),
        "metadata_hash": [metadata_hash] * len(metadata),
        "metadata": [json.dumps(value, ensure_ascii=False) for value in metadata.values()],
    }
    return pa.table(columns, schema=METADATA_SCHEMA)


def with_metadata(records: pa.Table, text: str) -> pa.Table:
    """The records, the first of them with that metadata."""
    column = records.schema.get_field_index("metadata")
    rest = records.column("metadata").to_pylist()[1:]
    return records.set_column(column, "metadata", pa.array([text, *rest], pa.string()))


class Namespace:
    """One namespace of a target, with every write awaited: law 3 for targets that are only eventually consistent."""

    def __init__(self, target: Target, metric: str = "cosine", dimension: int = DIMENSION) -> None:
        self.target = target
        self.name = f"suite-{uuid.uuid4().hex[:12]}"
        self.spec = NamespaceSpec(self.name, dimension, metric, SPACE)

    def create(self, fence: int = 0) -> NamespaceState:
        return self.target.ensure_namespace(self.spec, fence=fence)

    def _fresh(self, receipt: WriteReceipt) -> WriteReceipt:
        self.target.wait_until_fresh(self.name, receipt)
        return receipt

    def upsert(self, records: pa.Table, fence: int = 0) -> WriteReceipt:
        return self._fresh(self.target.upsert(self.name, records, fence=fence))

    def set_removed(self, ids: Iterable[str], removed_in: int, fence: int = 0) -> WriteReceipt:
        ids = pa.array(list(ids), pa.string())
        return self._fresh(self.target.set_removed(self.name, ids, removed_in, fence=fence))

    def derive(self, records: pa.Table, fence: int = 0) -> WriteReceipt:
        return self._fresh(self.target.derive(self.name, records, fence=fence))

    def set_metadata(self, records: pa.Table, fence: int = 0) -> WriteReceipt:
        return self._fresh(self.target.set_metadata(self.name, records, fence=fence))

    def delete(self, ids: Iterable[str], fence: int = 0) -> WriteReceipt:
        return self._fresh(self.target.delete(self.name, pa.array(list(ids), pa.string()), fence=fence))

    def ids(self, prefix: str = "") -> list[str]:
        return [name for batch in self.target.scan(self.name, prefix=prefix) for name in batch.column("id").to_pylist()]

    def marks(self) -> list[dict[str, Any]]:
        """Everything ``scan`` says, in its order."""
        return [row for batch in self.target.scan(self.name) for row in batch.to_pylist()]

    def mark(self) -> str:
        state = self.target.describe(self.name)
        assert state is not None
        return state.mark

    def fetched(self, ids: Iterable[str], *, vectors: bool = True) -> dict[str, dict[str, Any]]:
        """Whole records by id, metadata decoded."""
        rows = self.target.fetch(self.name, ids, vectors=vectors).to_pylist()
        return {row["id"]: {**row, "metadata": json.loads(row["metadata"])} for row in rows}

    def hits(self, vector: Vector, top_k: int = 10, **options: Any) -> list[str]:
        """Ids of the hits of one query."""
        found = self.target.query(self.name, vector.reshape(1, -1), top_k=top_k, **options)
        return [match.id for match in found[0]]
