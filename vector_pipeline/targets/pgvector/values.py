"""Values on their way into PostgreSQL and back: what its types cannot hold is kept beside them.

Laws
----
1. What is read equals what was written, to the last bit of a float32 and the last digit of a JSON number.
2. PostgreSQL's text has no NUL: in the column ``text``, and in jsonb, ``stored_text`` stands for it. Ids hold none.
3. ``metadata`` (jsonb) is for filters: every number in it is the decimal of a 64-bit float, so that comparing decimals is
   comparing floats. Where that or jsonb itself changes anything (``-0``, ``1e2``, 20 digits, NUL), ``exact`` keeps the JSON as it
   was written.
4. Whole columns become one COPY stream inside Arrow and numpy: no Python for each value, but for the rare rows of law 3.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.errors import InputError
from vector_pipeline.targets.filters_postgres import STAND_IN, beyond_double, stored_text

# Digits that a double may not hold, exponents and negative zeros, which jsonb writes otherwise, NUL and what stands for it.
_CHANGED = r"[0-9.]{16,}|[0-9][eE][+-]?[0-9]|-0|\\u0000|\\u[eE]000|" + STAND_IN
UNSTORED = re.compile("[\x00\ud800-\udfff]")
"""What is in no id that PostgreSQL holds: NUL, and half a surrogate pair."""
_HEADER = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
_TRAILER = b"\xff\xff"


def filterable(text: str) -> str:
    """Metadata as the column ``metadata`` holds it: see law 3."""
    return json.dumps(_filterable(json.loads(text)), ensure_ascii=False)


def _filterable(value: Any) -> Any:
    if isinstance(value, str):
        return stored_text(value)
    if isinstance(value, dict):
        return {stored_text(key): _filterable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filterable(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    return number if math.isfinite(number) else beyond_double(number)


def with_filterable(table: pa.Table) -> pa.Table:
    """The table with ``metadata`` for filters, and ``exact``: null where ``metadata`` says the same."""
    written = table.column("metadata")
    changed = pc.match_substring_regex(written, _CHANGED)
    exact = pc.if_else(changed, written, pa.scalar(None, pa.string()))
    table = table.append_column("exact", exact)
    if not pc.any(changed).as_py():
        return table
    rare = pa.array([filterable(text) for text in written.filter(changed).to_pylist()], pa.string())
    shown = pc.replace_with_mask(written.combine_chunks(), changed.combine_chunks(), rare)
    return table.set_column(table.schema.get_field_index("metadata"), "metadata", shown)


def check_no_nul(ids: "pa.Array | pa.ChunkedArray") -> None:
    """``InputError`` where an id holds a NUL: it has a place in the order of ids that no stand-in has."""
    if pc.any(pc.match_substring(ids, "\x00")).as_py():
        raise InputError("an id holds a NUL character: PostgreSQL keeps none")


def stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings as PostgreSQL's text may hold them: ``stored_text`` for a column."""
    if pc.any(pc.match_substring_regex(column, f"\\x00|{STAND_IN}")).as_py():
        column = pc.replace_substring(column, STAND_IN, STAND_IN + "1")
        column = pc.replace_substring(column, "\x00", STAND_IN + "0")
    return column


def original(text: str | None) -> str | None:
    """What ``stored`` was given, of one string."""
    if text is None or STAND_IN not in text:
        return text
    return text.replace(STAND_IN + "0", "\x00").replace(STAND_IN + "1", STAND_IN)


def rows_stream(table: pa.Table) -> Iterator[memoryview]:
    """The table in COPY's text format: one string column that Arrow joins, and its buffer as it lies."""
    fields = [_field(column) for column in table.columns]
    last = pc.binary_join_element_wise(fields[-1], pa.scalar(""), "\n")
    lines = pc.binary_join_element_wise(*fields[:-1], last, "\t") if len(fields) > 1 else last
    for chunk in lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]:
        if len(chunk):
            offsets = np.frombuffer(chunk.buffers()[1], np.int32, len(chunk) + 1, chunk.offset * 4)
            yield memoryview(chunk.buffers()[2])[int(offsets[0]) : int(offsets[-1])]


def _field(column: pa.ChunkedArray) -> "pa.Array | pa.ChunkedArray":
    if not pa.types.is_string(column.type):
        return pc.fill_null(column.cast(pa.string()), "\\N")
    for character, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        if pc.any(pc.match_substring(column, character)).as_py():
            column = pc.replace_substring(column, character, escaped)
    return pc.fill_null(column, "\\N")


def vectors_stream(vectors: "pa.Array | pa.ChunkedArray", dimension: int) -> Iterator[bytes | memoryview]:
    """float32[n, dimension] in COPY's binary format: rows of (number from 0, vector), as pgvector's ``vector_recv`` reads it."""
    chunks = vectors.chunks if isinstance(vectors, pa.ChunkedArray) else [vectors]
    yield _HEADER
    start = 0
    for chunk in chunks:
        rows = np.zeros(len(chunk), _row_type(dimension))
        rows["fields"], rows["number_bytes"], rows["vector_bytes"] = 2, 4, 4 + 4 * dimension
        rows["number"] = np.arange(start, start + len(chunk))
        rows["dimension"] = dimension
        rows["vector"] = chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
        start += len(chunk)
        if len(chunk):
            yield rows.tobytes()
    yield _TRAILER


def _row_type(dimension: int) -> "np.dtype[np.void]":
    return np.dtype(
        [
            ("fields", ">i2"),
            ("number_bytes", ">i4"),
            ("number", ">i4"),
            ("vector_bytes", ">i4"),
            ("dimension", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f4", (dimension,)),
        ]
    )


def table_of(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows, in the schema's order, as Arrow; a ``vector`` comes as ``vector_send`` gives it."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([_column(values, field) for values, field in zip(columns, schema, strict=True)], schema=schema)


def _column(values: tuple[Any, ...], field: pa.Field) -> pa.Array:
    if field.name == "vector":
        dimension = field.type.list_size
        sent = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 4 + 4 * dimension)
        floats = np.ascontiguousarray(sent[:, 4:]).view(">f4").astype(np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(floats.reshape(-1)), dimension)
    if not pa.types.is_string(field.type) or field.name in ("id", "metadata"):
        return pa.array(values, field.type)
    column = pa.array(values, pa.string())
    if pc.any(pc.match_substring(column, STAND_IN)).as_py():
        column = pc.replace_substring(column, STAND_IN + "0", "\x00")
        column = pc.replace_substring(column, STAND_IN + "1", STAND_IN)
    return column
