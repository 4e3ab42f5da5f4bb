"""Records as Chroma holds them, and back.

Laws
----
1. The text is Chroma's document; ``values`` says how metadata is held; marks have reserved keys.
2. Vectors come back to the last bit. Chroma's cosine space scales what it stores, so cosine collections are of space ``ip`` over
   vectors of length one: what is not of that length is scaled here, and stands exactly in ``vp_vector``.
3. A record that somebody else wrote, or has changed, is read like any (``decoding``).
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.arrow import as_one
from vector_pipeline.targets.base import RESERVED_PREFIX, NamespaceSpec, Vector, record_schema
from vector_pipeline.targets.chroma.decoding import MARKS, marks_of, metadata_of
from vector_pipeline.targets.chroma.values import encode_metadata, replacing

SPACES = {"cosine": "ip", "dotproduct": "ip", "euclidean": "l2"}
METADATA_HASH = f"{RESERVED_PREFIX}metadata_hash"
_VECTOR = f"{RESERVED_PREFIX}vector"
_NO_TEXT = f"{RESERVED_PREFIX}no_text"
_UNIT = 1e-6


def encode(table: pa.Table, spec: NamespaceSpec, old: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Records (``record_schema``) as the arguments of Chroma's upsert. ``old``: metadata of those that are there."""
    ids = table.column("id").to_pylist()
    flat = as_one(table.column("vector")).flatten().to_numpy(zero_copy_only=False)
    vectors = flat.reshape(-1, spec.dimension)
    stored, scaled = _stored(vectors, spec)
    texts = table.column("text").to_pylist()
    natives = []
    marks = zip(*(table.column(name).to_pylist() for name in MARKS), strict=True)
    for row, (told, text) in enumerate(zip(marks, table.column("metadata").to_pylist(), strict=True)):
        native = encode_metadata(text)
        native.update(zip((f"{RESERVED_PREFIX}{name}" for name in MARKS), told, strict=True))
        if scaled[row]:
            native[_VECTOR] = base64.b64encode(vectors[row].astype("<f4").tobytes()).decode("ascii")
        if texts[row] is None:
            native[_NO_TEXT] = True
        natives.append(replacing(native, old.get(ids[row])))
    return {"ids": ids, "embeddings": list(stored), "metadatas": natives, "documents": [text or "" for text in texts]}


def _stored(vectors: Vector, spec: NamespaceSpec) -> tuple[Vector, npt.NDArray[np.bool_]]:
    """float32[n, dim] as the index gets them, and which of them were scaled (law 5)."""
    if spec.metric != "cosine":
        return vectors, np.zeros(len(vectors), dtype=np.bool_)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    scaled = (np.abs(lengths - 1) > _UNIT) & (lengths > 0)
    return np.where(scaled[:, None], unit(vectors), vectors), np.asarray(scaled)


def unit(vectors: Vector) -> Vector:
    """float32[n, dim] of length one; zero stays zero."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def mark_columns(natives: Iterable[Mapping[str, Any] | None]) -> dict[str, list[Any]]:
    """Columns of ``MARK_SCHEMA`` but the id."""
    return _columns([marks_of(native or {}) for native in natives])


def _columns(marks: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [one[name] for one in marks] for name in MARKS}


def decode(
    ids: Sequence[str],
    natives: Sequence[Mapping[str, Any] | None],
    documents: Iterable[str | None],
    vectors: Vector | None,
    dimension: int,
) -> pa.Table:
    """What Chroma gave as a table in ``record_schema``, without ``vector`` where None is given."""
    found = [native or {} for native in natives]
    schema = record_schema(dimension)
    metadata = [metadata_of(native) for native in found]
    marks = [marks_of(*pair) for pair in zip(found, metadata, strict=True)]
    columns: dict[str, Any] = {"id": ids, **_columns(marks)}
    columns["text"] = [
        text or (None if native.get(_NO_TEXT) else text) for native, text in zip(found, documents, strict=True)
    ]
    columns["metadata"] = [one.text for one in metadata]
    if vectors is None:
        schema = schema.remove(schema.get_field_index("vector"))
    else:
        flat = pa.array(_original(found, vectors, dimension).reshape(-1), pa.float32())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, dimension)
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)


def _original(natives: Sequence[Mapping[str, Any]], vectors: Vector, dimension: int) -> Vector:
    """float32[n, dim] as they were written. Where the index holds another direction by now, that is the vector."""
    found = vectors.copy()
    for row, native in enumerate(natives):
        kept = _kept(native.get(_VECTOR), dimension)
        if kept is not None and np.allclose(unit(kept[None])[0], vectors[row], rtol=0, atol=_UNIT):
            found[row] = kept
    return found


def _kept(text: Any, dimension: int) -> Vector | None:
    try:
        kept = np.frombuffer(base64.b64decode(text), dtype="<f4")
    except (TypeError, ValueError):
        return None
    return kept if len(kept) == dimension and bool(np.isfinite(kept).all()) else None
