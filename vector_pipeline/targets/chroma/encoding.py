"""Records as Chroma holds them, and back.

Laws
----
1. The text is Chroma's document; ``values`` says how metadata is held; marks have reserved keys.
2. Vectors come back to the last bit. Chroma's cosine space scales what it stores, so cosine collections are of space ``ip`` over
   vectors of length one: what is not of that length is scaled here, and stands exactly in ``vp_vector``.
3. A record that somebody else wrote is read like any: marks that it does not have are empty, from the beginning, and live.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.targets.base import LIVE, RESERVED_PREFIX, NamespaceSpec, Vector, record_schema
from vector_pipeline.targets.chroma.values import decode_metadata, encode_metadata, replacing

SPACES = {"cosine": "ip", "dotproduct": "ip", "euclidean": "l2"}
MARKS = ("document_id", "content_hash", "metadata_hash", "space", "added_in", "removed_in")
ADDED, REMOVED = f"{RESERVED_PREFIX}added_in", f"{RESERVED_PREFIX}removed_in"
METADATA_HASH = f"{RESERVED_PREFIX}metadata_hash"
_VECTOR = f"{RESERVED_PREFIX}vector"
_NO_TEXT = f"{RESERVED_PREFIX}no_text"
_UNIT = 1e-6
_STRANGERS: dict[str, Any] = dict.fromkeys(MARKS, "") | {"added_in": 0, "removed_in": LIVE}
"""Marks of a record that somebody else wrote without any."""


def encode(table: pa.Table, spec: NamespaceSpec, old: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Records (``record_schema``) as the arguments of Chroma's upsert. ``old``: metadata of those that are there."""
    ids = table.column("id").to_pylist()
    flat = table.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
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


def mark_columns(natives: Sequence[Mapping[str, Any] | None]) -> dict[str, list[Any]]:
    """Columns of ``MARK_SCHEMA`` but the id."""
    return {name: [_mark(native or {}, name) for native in natives] for name in MARKS}


def _mark(native: Mapping[str, Any], name: str) -> Any:
    found, stranger = native.get(f"{RESERVED_PREFIX}{name}"), _STRANGERS[name]
    return found if type(found) is type(stranger) else stranger


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
    columns: dict[str, Any] = {"id": ids, **mark_columns(found)}
    columns["text"] = [None if native.get(_NO_TEXT) else text for native, text in zip(found, documents, strict=True)]
    columns["metadata"] = [decode_metadata(native) for native in found]
    if vectors is None:
        schema = schema.remove(schema.get_field_index("vector"))
    else:
        flat = pa.array(_original(found, vectors, dimension).reshape(-1), pa.float32())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, dimension)
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)


def _original(natives: Sequence[Mapping[str, Any]], vectors: Vector, dimension: int) -> Vector:
    found = vectors.copy()
    for row, native in enumerate(natives):
        kept = native.get(_VECTOR)
        if isinstance(kept, str):
            exact = np.frombuffer(base64.b64decode(kept), dtype="<f4")
            if len(exact) == dimension:
                found[row] = exact
    return found
