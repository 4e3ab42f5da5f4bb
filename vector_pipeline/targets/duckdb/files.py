"""Making the immutable files: each is written under its own new name, synced and closed before anything names it."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.duckdb.engine import Engine, alias, quoted
from vector_pipeline.targets.duckdb.failures import VanishedError, translated
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.duckdb.manifest import FINDABLE_FROM, Changes, Segment, graph_bytes

COLUMNS = (
    "id",
    "document_id",
    "content_hash",
    "metadata_hash",
    "space",
    "added_in",
    "removed_in",
    "text",
    "metadata",
    "vector",
)
INDEX_FROM_RECORDS = 10_000
"""A smaller segment is searched faster without an index than an index repays being built."""
_HNSW_METRICS = {"cosine": "cosine", "dotproduct": "ip", "euclidean": "l2sq"}
_SMALL_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of a new file come from: a query over attached files, and ``tables``."""

    sql: str
    rows: int
    tables: Mapping[str, pa.Table]


def write_segment(
    engine: Engine, folder: Folder, source: Source, spec: NamespaceSpec, number: int, *, hnsw: bool
) -> Segment:
    """A new file of records. ``place`` is a record's position once more: DuckDB has indexes of columns only."""
    select = (
        f"SELECT {', '.join(COLUMNS)}, sqrt(array_inner_product(vector, vector))::FLOAT AS norm,"
        f" row_number() OVER () - 1 AS place FROM ({source.sql})"
    )
    then = []
    if source.rows >= FINDABLE_FROM:
        # Nothing promises that rows are stored in the order in which they are counted.
        then += ["UPDATE {table} SET place = rowid WHERE place <> rowid", "CREATE INDEX places ON {table} (place)"]
    indexed = hnsw and source.rows >= INDEX_FROM_RECORDS
    if indexed:
        then += [f"CREATE INDEX hnsw ON {{table}} USING HNSW (vector) WITH (metric = '{_HNSW_METRICS[spec.metric]}')"]
    size = source.rows * (4 * spec.dimension + 1024)
    rows = Source(select, source.rows, source.tables)
    with engine.room(graph_bytes(source.rows, spec.dimension) if indexed else 0):
        file, written = _write(engine, folder, "seg", "records", rows, size, then)
    return Segment(number=number, file=file, records=source.rows, bytes=written, indexed=indexed)


def write_changes(engine: Engine, folder: Folder, source: Source, segments: Sequence[int]) -> Changes:
    """A new file of changes; ``source`` yields ``segment``, ``position``, ``removed_in``."""
    select = f"SELECT segment, position, removed_in FROM ({source.sql})"
    rows = Source(select, source.rows, source.tables)
    file, written = _write(engine, folder, "chg", "changes", rows, source.rows * 20, [])
    return Changes(file=file, rows=source.rows, bytes=written, segments=tuple(sorted(segments)))


def _write(
    engine: Engine, folder: Folder, kind: str, table: str, source: Source, size: int, then: Sequence[str]
) -> tuple[str, int]:
    file = f"{kind}-{uuid.uuid4().hex}.duckdb"
    path = folder.path / file
    name = f"w_{alias(file)}"
    # Blocks are 256 KB by default: a file of ten records would take half a megabyte. An index needs that size.
    options = "(BLOCK_SIZE 16384)" if size < _SMALL_BYTES and not then else ""
    with engine.cursor() as cursor, translated(path):
        try:
            for key, rows in source.tables.items():
                cursor.register(key, rows)
            cursor.execute(f"ATTACH {quoted(path)} AS {name} {options}")
            cursor.execute(f"CREATE TABLE {name}.{table} AS {source.sql}")
            for statement in then:
                cursor.execute(statement.replace("{table}", f"{name}.{table}"))
            cursor.execute(f"CHECKPOINT {name}")  # returns when the file is synced, and leaves no log beside it
            cursor.execute(f"DETACH {name}")
            return file, path.stat().st_size
        except BaseException:
            _discard(cursor, folder, name, file)
            raise


def _discard(cursor: duckdb.DuckDBPyConnection, folder: Folder, name: str, file: str) -> None:
    """Remove what a failed write left: a full disk must not stay full of it."""
    with suppress(duckdb.Error, VectorPipelineError, VanishedError):
        cursor.execute(f"DETACH {name}")
    for leftover in (folder.path / file, folder.path / f"{file}.wal"):
        with suppress(OSError):
            leftover.unlink(missing_ok=True)
