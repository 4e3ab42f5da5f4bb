"""Records compared value by value: text, metadata as canonical JSON, and vectors bit by bit as float32. What marks cannot tell."""

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.arrow import as_one
from vector_pipeline.hashing import canonical_json


def differing(wanted: pa.Table, held: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Ids whose text, metadata or vector differ, and ids that are not held. Both tables are ``record_schema``."""
    place = pc.index_in(wanted["id"], value_set=held["id"])
    present = pc.is_valid(place)
    missing = wanted["id"].filter(pc.invert(present)).combine_chunks()
    wanted, held = wanted.filter(present), held.take(place.filter(present))
    differs = np.zeros(wanted.num_rows, dtype=np.bool_)
    differs |= _unequal(wanted["text"], held["text"])
    differs |= other_metadata(wanted["metadata"], held["metadata"])
    differs |= (_bits(wanted["vector"]) != _bits(held["vector"])).any(axis=1)
    return wanted["id"].filter(pa.array(differs)).combine_chunks(), missing


def other_metadata(a: pa.ChunkedArray, b: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Where two columns of JSON differ. Equal texts are equal values, and only the others are parsed: a target may write JSON in
    another way.
    """
    found = np.array(_unequal(a, b))
    for index in np.flatnonzero(found):
        found[index] = _canonical(a[int(index)].as_py()) != _canonical(b[int(index)].as_py())
    return found


def _unequal(a: pa.ChunkedArray, b: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.fill_null(pc.not_equal(a, b), True).to_numpy()
    return found


def _canonical(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return canonical_json(json.loads(text))
    except ValueError:
        return text


def _bits(vectors: pa.ChunkedArray) -> npt.NDArray[np.uint32]:
    """uint32[n, dim]: NaN equals NaN, and -0 is not 0."""
    width = vectors.type.list_size
    flat = as_one(vectors).flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, dtype=np.float32).view(np.uint32).reshape(len(vectors), width)
