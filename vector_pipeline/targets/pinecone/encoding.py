"""Records of ours as records of Pinecone's, and back. Bulk imports use the same form (``metadata_lines``).

Laws
----
1. A vector is written with as few digits as give back the same 32-bit floats: half the bytes of what Python prints.
2. Metadata holds our marks, the text, the id once more (``vp_id``, some 60 bytes: filters cannot name ids, and closing
   many intervals with one request needs them) and the user's own keys (``values``).
3. The size of a request is known before it is sent; none is larger than ``MAX_REQUEST``.
4. The sentinel (``freshness``) has an id that no record of ours can have, and is nobody's record.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pinecone import Vector as PineconeVector
from pydantic_core import from_json

from vector_pipeline.arrow import as_one
from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Vector, record_schema
from vector_pipeline.targets.pinecone.values import METADATA, TOKENS, Held, held, text_of

SENTINEL = "vp-sentinel"
SENTINEL_KEY = "vp_sentinel"
ID, TEXT = "vp_id", "vp_text"
ADDED_IN, REMOVED_IN = "vp_added_in", "vp_removed_in"
_STRINGS = ("document_id", "content_hash", "metadata_hash", "space")
MAX_REQUEST = 2_000_000
MAX_RECORDS = 1_000
MAX_METADATA = 40 * 1024
"""Bytes, of one record, as JSON."""
_AROUND, _AROUND_ALL = 60, 800
"""Bytes of the braces and names around a record's parts, and around all records (a namespace's name among them), at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """Records that travel together."""

    vectors: list[PineconeVector]
    bytes: int


def requests(records: pa.Table) -> Iterator[Request]:
    """Records (``record_schema``, conforming) as few requests of about one size. ``InputError`` before the first one is given."""
    vectors, sizes = _encoded(records)
    return (Request(vectors[first:last], sum(sizes[first:last])) for first, last in _cuts(sizes))


def _cuts(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Law 3."""
    total, most = sum(sizes), MAX_REQUEST - _AROUND_ALL
    even = total / -(-total // most) if total else 0
    cuts: list[tuple[int, int]] = []
    begin = sent = 0
    for index, size in enumerate(sizes):
        if index > begin and (sent >= even or sent + size > most or index - begin >= MAX_RECORDS):
            cuts.append((begin, index))
            begin, sent = index, 0
        sent += size
    return [*cuts, (begin, len(sizes))] if sizes else []


def _encoded(records: pa.Table) -> tuple[list[PineconeVector], list[int]]:
    ids: list[str] = records.column("id").to_pylist()
    vectors: list[PineconeVector] = []
    sizes: list[int] = []
    rows = _matrix(records) if ids else ()
    for name, row, metadata, size in zip(ids, rows, *_metadata_and_sizes(records, ids), strict=True):
        raw = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)
        vectors.append(PineconeVector(name, cast(list[float], orjson.Fragment(raw)), None, metadata))
        sizes.append(len(raw) + size + len(name) + _AROUND)
    return vectors, sizes


def _matrix(records: pa.Table) -> Vector:
    """float32[n, dim]"""
    column = as_one(records.column("vector"))
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, dtype=np.float32).reshape(len(column), -1)


def _metadata_and_sizes(records: pa.Table, ids: Sequence[str]) -> tuple[list[dict[str, Any]], list[int]]:
    found = metadata_of(records)
    sizes = [len(orjson.dumps(one)) for one in found]
    for name, size in zip(ids, sizes, strict=True):
        if name == SENTINEL:
            raise InputError(f"the id {SENTINEL} belongs to the pipeline")
        if size > MAX_METADATA:
            raise InputError(
                f"record {name} takes {size} bytes of text, metadata and marks; Pinecone takes {MAX_METADATA}",
                fix="Make chunks smaller, or keep less metadata",
            )
    return found, sizes


def metadata_of(records: pa.Table) -> list[dict[str, Any]]:
    """Pinecone's metadata of each record (``record_schema``)."""
    found = []
    for marks, text, original in _parts(records):
        user = held(from_json(original))
        said = {} if text is None else {TEXT: text}
        found.append({**marks, **user.native, **said, **_beyond(user, original)})
    return found


def metadata_lines(records: pa.Table) -> pa.Array:
    """``metadata_of`` as JSON, a string a record: for files, where nobody needs the dictionaries. Made column by column."""
    users = records["metadata"].combine_chunks().dictionary_encode()
    originals: list[str] = users.dictionary.to_pylist()
    parts = [(user.native, _beyond(user, original)) for original in originals for user in (held(from_json(original)),)]
    before, behind = (pa.array([_more(part[which]) for part in parts], pa.string()) for which in (0, 1))
    pieces: list[str | pa.Array] = []
    for name, key in (("id", ID), *((name, f"vp_{name}") for name in _STRINGS)):
        pieces += [f'{"," if pieces else "{"}"{key}":"', _inside(records[name]), '"']
    for name, key in (("added_in", ADDED_IN), ("removed_in", REMOVED_IN)):
        pieces += [f',"{key}":', records[name].combine_chunks().cast(pa.string())]
    pieces += [before.take(users.indices), _said(records["text"]), behind.take(users.indices), "}"]
    return _joined(pieces, records.num_rows)


def _said(texts: pa.ChunkedArray) -> pa.Array:
    """The text as one more key; nothing where there is none."""
    pieces = _joined([f',"{TEXT}":"', _inside(texts), '"'], len(texts))
    return pieces if texts.null_count == 0 else pc.fill_null(pieces, "")


def _joined(pieces: Sequence[str | pa.Array], rows: int) -> pa.Array:
    """Pieces of each row behind each other; null where one is."""
    if not rows:
        return pa.array([], pa.string())
    folded: list[Any] = []
    for piece in pieces:
        if isinstance(piece, str) and folded and isinstance(folded[-1], str):
            folded[-1] += piece
        else:
            folded.append(piece)
    return pc.binary_join_element_wise(*folded, "")


def _inside(column: pa.ChunkedArray) -> pa.Array:
    """Strings as JSON has them between its quotes."""
    strings = as_one(column)
    if _plain(strings):
        return strings
    written = [None if one is None else orjson.dumps(one)[1:-1] for one in strings.to_pylist()]
    return pa.array(written, pa.binary()).cast(pa.string())


def _plain(strings: pa.StringArray) -> bool:
    """No character of any has to be escaped."""
    if not len(strings) or strings.buffers()[2] is None:
        return True
    width = np.dtype(np.int32).itemsize
    ends = np.frombuffer(strings.buffers()[1], np.int32, len(strings) + 1, strings.offset * width)
    data = np.frombuffer(strings.buffers()[2], np.uint8)[ends[0] : ends[-1]]
    return not bool(((data < ord(" ")) | (data == ord('"')) | (data == ord("\\"))).any())


def _parts(records: pa.Table) -> Iterator[tuple[dict[str, Any], str | None, str]]:
    """Of each record the marks, the text, and the user's metadata as it was."""
    names = ("id", *_STRINGS, "added_in", "removed_in", "text", "metadata")
    for name, document, content, digest, space, added, removed, text, original in zip(
        *(records.column(column).to_pylist() for column in names), strict=True
    ):
        marks = {
            ID: name, "vp_document_id": document, "vp_content_hash": content, "vp_metadata_hash": digest, "vp_space": space,
            ADDED_IN: added, REMOVED_IN: removed,
        }  # fmt: skip
        yield marks, text, original


def _beyond(user: Held, original: str) -> dict[str, Any]:
    """What native keys cannot say."""
    whole = {} if user.whole else {METADATA: original}
    return whole | ({TOKENS: user.tokens} if user.tokens else {})


def _more(part: Mapping[str, Any]) -> str:
    """An object's keys as they go on within another one."""
    return "," + orjson.dumps(part)[1:-1].decode() if part else ""


def records_of(vectors: Iterable[Any], dimension: int, *, with_vectors: bool = True) -> pa.Table:
    """Records (``record_schema``) of what a fetch gave. Of what another program wrote, marks say that no version sees it."""
    found = [one for one in vectors if one.id != SENTINEL]
    schema = record_schema(dimension)
    rows = [_columns(one.id, one.metadata or {}) for one in found]
    columns: dict[str, Any] = {field.name: [row.get(field.name) for row in rows] for field in schema}
    if with_vectors:
        values = np.array([one.values for one in found], dtype=np.float32).reshape(-1)
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), dimension)
    else:
        schema = schema.remove(schema.get_field_index("vector"))
        del columns["vector"]
    return pa.table(columns, schema=schema)


def _columns(identifier: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    marks = marks_of(metadata)
    return {"id": identifier, **marks, "text": metadata.get(TEXT), "metadata": text_of(metadata)}


def marks_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Document, hashes, space and interval of a record."""
    strings = {name: _string(metadata.get(f"vp_{name}")) for name in _STRINGS}
    return {**strings, "added_in": _whole(metadata.get(ADDED_IN)), "removed_in": _whole(metadata.get(REMOVED_IN))}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def direction(dimension: int) -> list[float]:
    """A vector for who needs any: not zero, which cosine does not take."""
    return [1.0] + [0.0] * (dimension - 1)
