"""Records as they come over the wire: parsed, checked against Pinecone's limits, laid out as columns.

Numbers in metadata become 64-bit floats, as Pinecone keeps them: 3 comes back as 3.0. A key whose value is null is refused.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.limits import MAX_ID_CHARACTERS, MAX_METADATA_BYTES, MAX_RECORDS
from vector_pipeline.testing.pinecone_server.search import Block, Metadata, Metric, Vectors


@dataclass(frozen=True, slots=True)
class VectorShape:
    """What the vectors of an index are."""

    dimension: int
    metric: Metric


@dataclass(frozen=True, slots=True)
class Records:
    """Columns of whole records with distinct ids: ``vectors`` is float32[len(ids), dimension]."""

    ids: Sequence[str]
    vectors: Vectors
    metadata: Sequence[Metadata | None]
    encoded: Sequence[bytes | None]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each record as Pinecone counts them: id, vector, metadata."""
        wide = 4 * self.vectors.shape[1]
        return [len(name) + wide + len(data or b"") for name, data in zip(self.ids, self.encoded, strict=True)]


def read_records(vectors: Any, shape: VectorShape) -> Records:
    """The ``vectors`` of an upsert. Of an id that comes twice the last counts."""
    if not isinstance(vectors, list) or not vectors:
        raise ApiError("INVALID_ARGUMENT", "No vectors provided for upsert")
    if len(vectors) > MAX_RECORDS:
        raise ApiError("INVALID_ARGUMENT", f"Batch size exceeded, {len(vectors)} > {MAX_RECORDS}")
    last: dict[str, Mapping[str, Any]] = {}
    for vector in vectors:
        if not isinstance(vector, dict):
            raise ApiError("INVALID_ARGUMENT", "vectors: each must be an object")
        name = read_id(vector.get("id"))
        refuse_sparse(vector.get("sparseValues"))
        last.pop(name, None)
        last[name] = vector
    matrix = read_vectors([vector.get("values") for vector in last.values()], shape)
    refuse_zeros(matrix, list(last))
    pairs = [read_metadata(vector.get("metadata")) for vector in last.values()]
    return Records(list(last), matrix, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def read_id(value: Any) -> str:
    """An id: 1 to 512 ASCII characters, no NUL."""
    if not isinstance(value, str) or not value:
        raise ApiError("INVALID_ARGUMENT", "Vector ID must not be empty")
    if len(value) > MAX_ID_CHARACTERS:
        raise ApiError("INVALID_ARGUMENT", f"Vector ID length {len(value)} exceeds the limit of {MAX_ID_CHARACTERS}")
    if not value.isascii() or "\0" in value:
        raise ApiError("INVALID_ARGUMENT", f"Vector ID must be ASCII, but got '{value}'")
    return value


def refuse_sparse(value: Any) -> None:
    """This server serves dense indexes only."""
    if value is not None:
        raise ApiError("INVALID_ARGUMENT", "Index configuration does not support sparse values")


def refuse_zeros(matrix: Vectors, ids: Sequence[str]) -> None:
    """Vectors that are kept have a direction; those of queries need none."""
    for slot in np.flatnonzero(~matrix.any(axis=1)).tolist():
        text = f"Dense vectors must contain at least one non-zero value. Vector ID {ids[slot]} contains only zeros."
        raise ApiError("INVALID_ARGUMENT", text)


def read_vectors(rows: Sequence[Any], shape: VectorShape) -> Vectors:
    """float32[len(rows), dimension]: finite numbers."""
    for row in rows:
        if not isinstance(row, list) or not set(map(type, row)) <= {float, int}:
            raise ApiError("INVALID_ARGUMENT", "values: a vector must be a list of numbers")
        if len(row) != shape.dimension:
            text = f"Vector dimension {len(row)} does not match the dimension of the index {shape.dimension}"
            raise ApiError("INVALID_ARGUMENT", text)
    with np.errstate(over="ignore"):
        matrix = np.array(rows, dtype=np.float64).astype(np.float32)
    if not np.isfinite(matrix).all():
        raise ApiError("INVALID_ARGUMENT", "values: a vector must hold finite 32-bit numbers only")
    return matrix


def read_metadata(value: Any) -> tuple[Metadata | None, bytes | None]:
    """Metadata as Pinecone keeps it, and encoded. ``None`` and ``{}`` are no metadata."""
    if value is None or value == {}:
        return None, None
    if not isinstance(value, dict):
        raise ApiError("INVALID_ARGUMENT", "Metadata must be an object")
    kept = {key: _kept(key, entry) for key, entry in value.items()}
    data = orjson.dumps(kept)
    if len(data) > MAX_METADATA_BYTES and (size := len(orjson.dumps(value))) > MAX_METADATA_BYTES:
        text = f"Metadata size is {size} bytes, which exceeds the limit of {MAX_METADATA_BYTES} bytes per vector"
        raise ApiError("INVALID_ARGUMENT", text)
    return kept, data


def _kept(key: str, value: Any) -> Any:
    if key.startswith("$"):
        raise ApiError("INVALID_ARGUMENT", f"Metadata key '{key}' must not start with '$'")
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return value
    shown = orjson.dumps(value).decode()
    text = f"Metadata value must be a string, number, boolean or list of strings, got '{shown[:200]}' for field '{key}'"
    raise ApiError("INVALID_ARGUMENT", text)


def merged(block: Block, slots: Sequence[int], metadata: Metadata | None, vector: Vectors | None = None) -> Records:
    """Those records with ``metadata`` merged into theirs, and another vector where one is given."""
    both = [read_metadata({**(block.metadata[slot] or {}), **(metadata or {})}) for slot in slots]
    vectors = block.vectors[slots] if vector is None else vector[None, :]
    return Records(
        [str(block.ids[slot]) for slot in slots], vectors, [pair[0] for pair in both], [pair[1] for pair in both]
    )
