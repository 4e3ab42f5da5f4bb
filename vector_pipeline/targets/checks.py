"""What a caller hands in, checked before anything is written, the same for every adapter.

Laws
----
1. Every mistake is an ``InputError`` that names it, raised before anything was written.
2. Metadata is strict JSON (RFC 8259): a trailing comma, ``NaN`` or half a surrogate pair would be read differently, or not at
   all, by the next program.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import from_json

from vector_pipeline.arrow import as_one
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.targets.base import (
    DERIVE_SCHEMA,
    LIVE,
    METADATA_SCHEMA,
    RESERVED_PREFIX,
    Capabilities,
    NamespaceSpec,
    Vector,
    record_schema,
)


def check_spec(spec: NamespaceSpec, capabilities: Capabilities) -> None:
    if spec.metric not in capabilities.metrics:
        raise InputError(f"metric {spec.metric!r} is not one of {', '.join(sorted(capabilities.metrics))}")
    if not 1 <= spec.dimension <= 65_535:
        raise InputError(f"dimension {spec.dimension} is not between 1 and 65535")


def difference(wanted: NamespaceSpec, found: NamespaceSpec) -> str | None:
    """What a namespace is, where it should be otherwise; None when they agree."""
    parts = [
        f"{field} is {getattr(found, field)}, not {getattr(wanted, field)}"
        for field in ("dimension", "metric", "space")
        if getattr(found, field) != getattr(wanted, field)
    ]
    return "; ".join(parts) or None


def conform(records: pa.Table, spec: NamespaceSpec, capabilities: Capabilities) -> pa.Table:
    """The records in ``record_schema``, in one chunk each column, fit to be written."""
    schema = record_schema(spec.dimension)
    if "vector" in records.column_names:
        _check_width(records.schema.field("vector").type, spec.dimension)
    table = _in_schema(records, schema, "record_schema", capabilities, optional=("text",))
    _check_marks(table)
    _check_values(table, spec)
    if not capabilities.zero_vectors:
        _check_directions(table, spec.dimension)
    return table


def conform_derived(records: pa.Table, capabilities: Capabilities) -> pa.Table:
    """Records to derive, in ``DERIVE_SCHEMA``, fit to be written.

    A source that the same call replaces is refused: sent twice, the call would not equal itself sent once.
    """
    table = _in_schema(records, DERIVE_SCHEMA, "DERIVE_SCHEMA", capabilities)
    _check_marks(table)
    others = table.filter(pc.not_equal(table.column("id"), table.column("source_id")))
    chained = others.filter(pc.is_in(others.column("source_id"), value_set=table.column("id")))
    if chained.num_rows:
        source, name = chained.column("source_id")[0].as_py(), chained.column("id")[0].as_py()
        raise InputError(f"{source}, the source of {name}, is replaced in the same write")
    return table


def conform_metadata(records: pa.Table, capabilities: Capabilities) -> pa.Table:
    """New metadata, in ``METADATA_SCHEMA``, fit to be written."""
    return _in_schema(records, METADATA_SCHEMA, "METADATA_SCHEMA", capabilities)


def _in_schema(
    records: pa.Table, schema: pa.Schema, called: str, capabilities: Capabilities, *, optional: tuple[str, ...] = ()
) -> pa.Table:
    missing = [name for name in schema.names if name not in records.column_names]
    extra = [name for name in records.column_names if name not in schema.names]
    if missing or extra:
        raise InputError(f"records need the columns of {called}: missing {missing}, unknown {extra}")
    if records.num_rows > capabilities.max_batch_records:
        raise InputError(f"{records.num_rows} records in one write; at most {capabilities.max_batch_records}")
    if records.nbytes > capabilities.max_batch_bytes:
        raise InputError(f"{records.nbytes} bytes in one write; at most {capabilities.max_batch_bytes}")
    try:
        table = records.select(schema.names).cast(schema).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise InputError(f"records do not fit {called}: {error}") from error
    for name in schema.names:
        if name not in optional and table.column(name).null_count:
            raise InputError(f"column {name} has {table.column(name).null_count} nulls")
    check_ids(table.column("id"), capabilities.max_id_bytes)
    if pc.count_distinct(table.column("id")).as_py() != table.num_rows:
        raise InputError("an id occurs twice in one write")
    _check_metadata(table, capabilities.max_metadata_bytes)
    return table


def _check_metadata(table: pa.Table, max_bytes: int | None) -> None:
    # Chunks of a document share their metadata: each text is read once.
    texts = as_one(table.column("metadata")).dictionary_encode()
    for index, text in enumerate(texts.dictionary.to_pylist()):
        wrong = _wrong_metadata(text, max_bytes)
        if wrong is not None:
            name = table.column("id")[pc.index(texts.indices, pa.scalar(index, pa.int32())).as_py()]
            raise InputError(f"metadata of {name} {wrong}")


def _wrong_metadata(text: str, max_bytes: int | None) -> str | None:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return f"is not strict JSON: {error}"
    if not isinstance(value, dict):
        return "must be a JSON object"
    reserved = next((key for key in value if key.startswith(RESERVED_PREFIX)), None)
    if reserved is not None:
        return f"has the key {reserved}: keys that begin with {RESERVED_PREFIX} belong to the pipeline"
    size = len(text.encode())
    return f"has {size} bytes; at most {max_bytes}" if max_bytes is not None and size > max_bytes else None


def _check_width(found: pa.DataType, dimension: int) -> None:
    if pa.types.is_fixed_size_list(found) and found.list_size != dimension:
        raise InputError(f"vectors have {found.list_size} dimensions, the namespace has {dimension}")


def _check_marks(table: pa.Table) -> None:
    for name in ("added_in", "removed_in"):
        bounds = pc.min_max(table.column(name)).as_py()
        if table.num_rows and not 0 <= bounds["min"] <= bounds["max"] <= LIVE:
            raise InputError(f"{name} must be between 0 and {LIVE}, found {bounds['min']} to {bounds['max']}")


def _check_values(table: pa.Table, spec: NamespaceSpec) -> None:
    foreign = table.filter(pc.not_equal(table.column("space"), spec.space))
    if foreign.num_rows:
        space = foreign.column("space")[0].as_py()
        raise RefusedError(f"records of space {space} do not belong in namespace {spec.name} of space {spec.space}")
    for chunk in table.column("vector").chunks:
        if chunk.flatten().null_count:
            raise InputError("a vector has a null component")
        check_finite(chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, spec.dimension))


def _check_directions(table: pa.Table, dimension: int) -> None:
    rows = as_one(table.column("vector")).flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    zero = np.flatnonzero(~rows.any(axis=1))
    if zero.size:
        raise InputError(
            f"the vector of {table.column('id')[int(zero[0])]} is all zeros, which the target does not take"
        )


def check_finite(vectors: Vector) -> None:
    """float32[n, dim]: every component finite, every squared length representable."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.einsum("ij,ij->i", vectors, vectors)
    bad = np.flatnonzero(~np.isfinite(lengths))
    if bad.size:
        raise InputError(f"vector {bad[0]} holds NaN or infinity, or is too long for 32-bit floats")


def check_ids(ids: "pa.Array | pa.ChunkedArray", max_bytes: int) -> None:
    if len(ids) == 0:
        return
    if not pc.all(pc.string_is_ascii(ids)).as_py():
        raise InputError("an id is not ASCII")
    lengths = pc.min_max(pc.binary_length(ids)).as_py()
    if not 1 <= lengths["min"] <= lengths["max"] <= max_bytes:
        raise InputError(f"an id has {lengths['max'] if lengths['min'] else 0} bytes; 1 to {max_bytes} are allowed")


def id_table(ids: "pa.Array | pa.ChunkedArray | Iterable[str]") -> pa.Table:
    """Distinct ids as a table of one column ``id``."""
    try:
        column = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(list(ids), pa.string())
        return pa.table({"id": pc.unique(column.cast(pa.string())).drop_null()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeEncodeError) as error:
        raise InputError(f"ids must be strings: {error}") from error


def check_queries(vectors: Vector, dimension: int) -> Vector:
    """float32[n, dim], contiguous."""
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != dimension:
        raise InputError(f"queries must be float32[n, {dimension}], not {list(array.shape)}")
    check_finite(array)
    return array
