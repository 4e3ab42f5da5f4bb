"""Records as Chroma holds them, and back.

Laws
----
1. The text is Chroma's document. User metadata that Chroma gives back as it was is held natively, under its own keys; where any of
   it would come back otherwise, the exact JSON stands beside it in ``vp_metadata``.
2. Native numbers are for Chroma's own users: Chroma hands floats on as JSON and reads them back with an error in the last digit.
   Our filters compare ``vp_number:<key>``, of lists ``vp_largest:<key>`` and ``vp_smallest:<key>``: 64-bit floats as whole numbers
   in the same order.
3. What else ``where`` could not tell has tokens in ``vp_tokens``: every key that is there, and every element of every list.
4. A write replaces: Chroma merges metadata, so keys that a record had and shall not keep are set to None, which removes them.
5. Vectors come back to the last bit. Chroma's cosine space scales what it stores, so cosine collections are of space ``ip`` over
   vectors of length one: what is not of that length is scaled here, and stands exactly in ``vp_vector``.
"""

import base64
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic_core import from_json

from vector_pipeline.targets.base import LIVE, RESERVED_PREFIX, NamespaceSpec, Vector, record_schema

SPACES = {"cosine": "ip", "dotproduct": "ip", "euclidean": "l2"}
MARKS = ("document_id", "content_hash", "metadata_hash", "space", "added_in", "removed_in")
ADDED, REMOVED = f"{RESERVED_PREFIX}added_in", f"{RESERVED_PREFIX}removed_in"
METADATA_HASH = f"{RESERVED_PREFIX}metadata_hash"
TOKENS = f"{RESERVED_PREFIX}tokens"
EXACT = f"{RESERVED_PREFIX}metadata"
_VECTOR = f"{RESERVED_PREFIX}vector"
_NO_TEXT = f"{RESERVED_PREFIX}no_text"
_NUMBER, _OTHER_KEY = f"{RESERVED_PREFIX}number:", f"{RESERVED_PREFIX}key:"
_LARGEST, _SMALLEST = f"{RESERVED_PREFIX}largest:", f"{RESERVED_PREFIX}smallest:"
_USERS = (TOKENS, EXACT, _NUMBER, _OTHER_KEY, _LARGEST, _SMALLEST)
_EXACT_INTEGERS = 2**53
_EXACT_POWER = 22
_UNIT = 1e-6
_STRANGERS: dict[str, Any] = dict.fromkeys(MARKS, "") | {"added_in": 0, "removed_in": LIVE}
"""Marks of a record that somebody else wrote without any."""

Native = dict[str, Any]
"""Metadata of one record as Chroma takes it."""


def native_key(key: str) -> str:
    """The key under which Chroma holds a user's key: its own, unless Chroma refuses it or reads it otherwise."""
    return _OTHER_KEY + key if not key or key[0] in "$#" or key.startswith("chroma:") else key


def number_key(key: str) -> str:
    return _NUMBER + key


def largest_key(key: str) -> str:
    return _LARGEST + key


def smallest_key(key: str) -> str:
    return _SMALLEST + key


def whole(number: float) -> int:
    """A 64-bit float as a whole number in the same order: its bits, mirrored below zero."""
    bits: int = struct.unpack("<q", struct.pack("<d", number + 0.0))[0]
    return bits if bits >= 0 else -(bits + 2**63)


def token(key: str, *value: Any) -> str:
    """Of a key that is there, or of one value that is under it. Numbers are 64-bit floats, whatever they look like."""
    return json.dumps([key, *(whole(_float(one)) if _is_number(one) else [one] for one in value)], ensure_ascii=False)


def list_token(key: str) -> str:
    """Of a key under which there is a list."""
    return json.dumps([key, []], ensure_ascii=False)


def encode_metadata(text: str) -> Native:
    """A JSON object of user metadata as Chroma's."""
    native: Native = {}
    tokens: list[str] = []
    exact = True
    for key, value in from_json(text).items():
        if value is None:
            exact = False
            continue
        tokens.append(token(key))
        name, held = native_key(key), _held(value)
        exact = exact and name == key and held is not None and _comes_back(held, value)
        if held is not None:
            native[name] = held
        if isinstance(value, list):
            tokens += [list_token(key), *(token(key, one) for one in value if isinstance(one, str | int | float))]
            numbers = [_float(one) for one in value if _is_number(one)]
            if numbers:
                native[largest_key(key)], native[smallest_key(key)] = whole(max(numbers)), whole(min(numbers))
        elif _is_number(value):
            native[number_key(key)] = whole(_float(value))
    if tokens:
        native[TOKENS] = list(dict.fromkeys(tokens))
    if not exact:
        native[EXACT] = text
    return native


def _held(value: Any) -> Any:
    """What Chroma holds for a value; None where it holds nothing."""
    if isinstance(value, str | bool):
        return value
    if not isinstance(value, list):
        return _number(value)
    if all(isinstance(one, str) for one in value) or all(isinstance(one, bool) for one in value):
        return value or None
    numbers = [number for one in value if (number := _number(one)) is not None]
    if len(numbers) < len(value):
        return None
    return numbers if len({type(one) for one in numbers}) == 1 else [float(one) for one in numbers]


def _number(value: Any) -> int | float | None:
    """A number as Chroma holds it; None for what is no number, or is beyond 64-bit floats."""
    if not _is_number(value):
        return None
    if isinstance(value, int) and abs(value) <= _EXACT_INTEGERS:
        return value
    number = _float(value)
    return number if math.isfinite(number) else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _comes_back(held: Any, value: Any) -> bool:
    """Whether Chroma gives back the value from what it holds (law 2)."""
    if isinstance(value, list):
        return all(_comes_back(*pair) for pair in zip(held, value, strict=True))
    if type(held) is not type(value) or repr(held) != repr(value):
        return False
    if not isinstance(value, float):
        return True
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    return (
        int("".join(map(str, digits))) <= _EXACT_INTEGERS
        and isinstance(exponent, int)
        and abs(exponent) <= _EXACT_POWER
        and repr(value) != "-0.0"
    )


def decode_metadata(native: Mapping[str, Any]) -> str:
    """User metadata as the JSON object that it was."""
    exact = native.get(EXACT)
    if isinstance(exact, str):
        return exact
    return json.dumps(user_keys(native), ensure_ascii=False)


def user_keys(native: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in native.items() if not key.startswith(RESERVED_PREFIX)}


def user_metadata(native: Mapping[str, Any]) -> dict[str, Any]:
    """User metadata as a value."""
    exact = native.get(EXACT)
    return dict(from_json(exact)) if isinstance(exact, str) else user_keys(native)


def replacing(new: Native, old: Mapping[str, Any] | None) -> Native:
    """The new metadata, and None for every key that a record had before and shall not keep."""
    return new if not old else {**dict.fromkeys(old.keys() - new.keys()), **new}


def replacing_users(new: Native, old: Mapping[str, Any]) -> Native:
    """New user metadata; marks and whatever else is ours stay."""
    theirs = {key for key in old if not key.startswith(RESERVED_PREFIX) or key.startswith(_USERS)}
    return {**dict.fromkeys(theirs - {METADATA_HASH} - new.keys()), **new}


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
