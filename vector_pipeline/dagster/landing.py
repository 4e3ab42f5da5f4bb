"""What an upstream asset's value becomes: one Parquet file, where the dataset's source reads it.

Laws
----
1. The file is replaced as a whole or not at all. Equal rows leave it as it is, so that nothing is read again.
2. A value that holds no documents (no such columns, another type) is an error that names the asset; nothing is written.
3. No Dagster here.
"""

import glob
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.json as pajson
import pyarrow.parquet as pq

from vector_pipeline.config import RecordSourceConfig
from vector_pipeline.errors import ConfigError, InputError

_BLOCK = 1 << 20
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".feather": "feather", ".arrow": "feather"}
_LINES = {".jsonl", ".ndjson"}
WANTED = (
    "a DataFrame, an Arrow table, a list of mappings, paths of Parquet, CSV or JSON lines files, or partitions of these"
)


def landing_file(dataset: str, source: object, base: Path) -> Path:
    """Where a dataset's source reads what is landed. ``ConfigError`` for a source that reads no single Parquet file."""
    if not isinstance(source, RecordSourceConfig) or source.kind != "parquet" or glob.has_magic(source.path or ""):
        raise ConfigError(
            f"dataset {dataset}: what an upstream asset returns is kept in one Parquet file, and its source reads none",
            fix=f"Write source: {{kind: parquet, path: .vector_pipeline/upstream/{dataset}.parquet}}, "
            "or say read: source if the asset writes what the source reads",
        )
    return base / Path(source.path or "").expanduser()


def land(value: object, source: RecordSourceConfig, path: Path, *, asset: str) -> dict[str, Any]:
    """Write the rows of ``value`` to ``path``; returns ``rows``, ``bytes``, ``digest`` and whether the file ``changed``.

    ``InputError`` for a value without rows or without the columns that ``source`` names.
    """
    columns = list(
        dict.fromkeys([source.id, *source.text, *([source.title] if source.title else []), *source.metadata])
    )
    reader = _reader(value, columns, asset)
    missing = [one for one in columns if one not in reader.schema.names]
    if missing:
        raise InputError(
            f"{asset} has no column {', '.join(missing)}; it has: {', '.join(reader.schema.names)}",
            fix="Correct id, text, title or metadata of the dataset's source",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        rows = 0
        with pq.ParquetWriter(made, reader.schema.remove_metadata(), compression="zstd") as writer:
            for batch in reader:
                rows += batch.num_rows
                writer.write_batch(batch.replace_schema_metadata(None))
        digest, size = _digest(made), made.stat().st_size
        changed = not path.is_file() or _digest(path) != digest
        if changed:
            made.replace(path)
    finally:
        made.unlink(missing_ok=True)
    return {"rows": rows, "bytes": size, "digest": digest, "changed": changed}


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()[:32]


def _reader(value: object, columns: Sequence[str], asset: str) -> pa.RecordBatchReader:
    try:
        if hasattr(value, "__arrow_c_stream__") and not isinstance(value, pa.ChunkedArray):
            return pa.RecordBatchReader.from_stream(value)
        return _table(value, columns, asset).to_reader()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"the rows of {asset} cannot be read: {error}", fix=f"It may return {WANTED}") from None


def _table(value: object, columns: Sequence[str], asset: str) -> pa.Table:
    """Rows of anything; law 2."""
    if hasattr(value, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(value).read_all()
    if isinstance(value, str | os.PathLike):
        return _file(Path(value), asset)
    if isinstance(value, Mapping):
        return _together((_table(one, columns, asset) for one in value.values()), asset)
    if isinstance(value, Iterable):
        rows = list(value)
        if rows and all(isinstance(one, Mapping) for one in rows):
            # Keys may differ: what a row lacks is null there, not a column that is dropped.
            keys = dict.fromkeys(key for row in rows for key in row)
            return pa.Table.from_pylist([{key: row.get(key) for key in keys} for row in rows])
        return _together((_table(one, columns, asset) for one in rows), asset) if rows else _nothing(columns)
    raise InputError(f"{asset} made {_named(value)}", fix=f"It may return {WANTED}")


def _named(value: object) -> str:
    kind = type(value)
    return f"a {kind.__qualname__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"


def _nothing(columns: Sequence[str]) -> pa.Table:
    """No rows: whether that means that everything was deleted is the source's to say (``allow_empty``)."""
    return pa.table({name: pa.array([], pa.string()) for name in columns})


def _together(tables: Iterable[pa.Table], asset: str) -> pa.Table:
    found = list(tables)
    if not found:
        raise InputError(f"{asset} made no partitions", fix="Materialise one of them")
    # A quiet day has no rows, and says nothing of what its columns would hold.
    return pa.concat_tables([one for one in found if one.num_rows] or found[:1], promote_options="permissive")


def _file(path: Path, asset: str) -> pa.Table:
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.suffix in {*_FORMATS, *_LINES})
        if not inside:
            raise InputError(f"{asset} names the folder {path}, which holds no rows", fix=f"It may return {WANTED}")
        return _together((_file(one, asset) for one in inside), asset)
    if path.suffix in _LINES:
        return pajson.read_json(path)
    if path.suffix not in _FORMATS:
        raise InputError(f"{asset} names {path}, whose format is not known", fix=f"It may return {WANTED}")
    return pads.dataset(path, format=_FORMATS[path.suffix]).to_table()
