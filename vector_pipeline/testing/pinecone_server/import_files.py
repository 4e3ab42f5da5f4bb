"""Parquet files of a bulk import: found below a URI, one folder a namespace, and read in batches.

A file has the columns ``id`` (string), ``values`` (list of floats) and, if need be, ``metadata`` (a JSON object as a string), and
nothing else. Folders are local (a path or ``file://``) or on S3 (``s3://bucket/prefix``; ``AWS_ENDPOINT_URL`` is heeded).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.records import (
    Records,
    VectorShape,
    read_id,
    read_metadata,
)
from vector_pipeline.testing.pinecone_server.search import Metadata, Vectors

BATCH_RECORDS = 2_000
COLUMNS = ("id", "values", "metadata")


class ImportFailed(Exception):
    """An import cannot go on: its message is told to whoever asks for the import."""


@dataclass(frozen=True, slots=True)
class Found:
    """Files of one namespace, and how many records they hold."""

    namespace: str
    files: Sequence[str]
    records: int


@dataclass(slots=True)
class Batch:
    """Records that can be written, and how many rows could not be."""

    records: Records
    rows: int
    bad: list[str] = field(default_factory=list)


def require_uri(uri: str) -> None:
    """``ApiError`` for a place that this server cannot read."""
    scheme = urlsplit(uri).scheme
    if scheme not in ("", "file", "s3"):
        raise ApiError(
            "INVALID_ARGUMENT", f"uri: this server imports from folders and from s3://, not from {scheme}://"
        )


def find(uri: str) -> tuple[fs.FileSystem, list[Found]]:
    """All Parquet files below ``uri``, by namespace."""
    system, root = _system(uri)
    try:
        infos = system.get_file_info(fs.FileSelector(root, recursive=True))
        files = sorted(info.path for info in infos if info.is_file and info.path.endswith(".parquet"))
        if not files:
            raise ImportFailed(f"No Parquet files found below {uri}")
        by_name: dict[str, list[str]] = {}
        for path in files:
            inside = path.removeprefix(root).strip("/")
            if "/" not in inside:
                raise ImportFailed(f"{inside} is in no folder: files lie in folders that are named as their namespaces")
            by_name.setdefault(inside.split("/", 1)[0], []).append(path)
        counts = {name: sum(_records(system, path) for path in paths) for name, paths in by_name.items()}
        return system, [Found(name, paths, counts[name]) for name, paths in by_name.items()]
    except (OSError, pa.ArrowException) as error:
        raise ImportFailed(f"{uri} cannot be read: {error}") from error


def batches(system: fs.FileSystem, found: Found, shape: VectorShape) -> Iterator[Batch]:
    """The records of a namespace's files, piece by piece."""
    for path in found.files:
        try:
            with system.open_input_file(path) as stream:
                for rows in pq.ParquetFile(stream).iter_batches(BATCH_RECORDS):
                    yield _batch(rows, shape)
        except (OSError, pa.ArrowException) as error:
            raise ImportFailed(f"{path} cannot be read: {error}") from error


def _system(uri: str) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        other = {} if endpoint is None else {"endpoint_override": endpoint}
        return fs.S3FileSystem(region=region, **other), f"{parts.netloc}{parts.path}".rstrip("/")
    path = unquote(parts.path) if parts.scheme == "file" else uri
    return fs.LocalFileSystem(), os.path.abspath(path)  # noqa: PTH100  pyarrow wants strings


def _records(system: fs.FileSystem, path: str) -> int:
    with system.open_input_file(path) as stream:
        file = pq.ParquetFile(stream)
        _require_columns(file.schema_arrow, path)
        return int(file.metadata.num_rows)


def _require_columns(schema: pa.Schema, path: str) -> None:
    names = set(schema.names)
    if not {"id", "values"} <= names or not names <= set(COLUMNS):
        raise ImportFailed(f"{path} has the columns {', '.join(schema.names)}: they must be id, values and metadata")
    values = schema.field("values").type
    lists = pa.types.is_list(values) or pa.types.is_large_list(values) or pa.types.is_fixed_size_list(values)
    if not lists or not pa.types.is_floating(values.value_type):
        raise ImportFailed(f"{path}: values has the type {values}: it must be a list of floats")
    for name in ("id", "metadata"):
        if name in names and not (_text(schema.field(name).type)):
            raise ImportFailed(f"{path}: {name} has the type {schema.field(name).type}: it must be a string")


def _text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _batch(rows: pa.RecordBatch, shape: VectorShape) -> Batch:
    """Rows as records; those that no record can be made of are left out. Of an id that comes twice the last counts."""
    ids = rows.column("id").to_pylist()
    texts = rows.column("metadata").to_pylist() if "metadata" in rows.schema.names else [None] * len(ids)
    matrix, usable = _vectors(rows.column("values"), shape)
    kept: dict[str, tuple[int, Metadata | None, bytes | None]] = {}
    bad: list[str] = []
    for row, (name, text) in enumerate(zip(ids, texts, strict=True)):
        try:
            metadata = read_metadata(None if text is None else orjson.loads(text))
            if not usable[row]:
                raise ApiError("INVALID_ARGUMENT", f"values: not {shape.dimension} finite numbers, or all of them 0")
            kept[read_id(name)] = (row, *metadata)
        except ApiError as error:
            bad.append(f"record {name!r}: {error.message}")
        except orjson.JSONDecodeError as error:
            bad.append(f"record {name!r}: metadata is no JSON: {error}")
    columns = list(kept.values())
    vectors = matrix[[row for row, _, _ in columns]]
    records = Records(list(kept), vectors, [metadata for _, metadata, _ in columns], [data for _, _, data in columns])
    return Batch(records, len(ids), bad)


def _vectors(values: pa.Array, shape: VectorShape) -> tuple[Vectors, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """float32[rows, dimension], and which rows are vectors of the index."""
    right = pc.fill_null(pc.equal(pc.list_value_length(values), shape.dimension), False)
    usable = right.to_numpy(zero_copy_only=False).copy()
    matrix = np.zeros((len(values), shape.dimension), np.float32)
    if usable.any():
        flat = pc.list_flatten(values.filter(right)).to_numpy(zero_copy_only=False)
        matrix[usable] = flat.astype(np.float32).reshape(-1, shape.dimension)
    usable &= np.isfinite(matrix).all(axis=1) & matrix.any(axis=1)
    return matrix, usable
