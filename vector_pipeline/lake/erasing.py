"""Take a document out of the lake's whole history: every kept state is made again without it, in tables that never held it.

Laws
----
1. A state is a commit, and a commit is never changed. So each table of the dataset is dropped and made anew; every kept state
   is then committed again from the old tables, oldest first, each by its difference from the one before; the present comes last.
2. Only then is what the dropped tables left deleted: their rows in the catalog (inlined data and statistics hold text), their
   files, and files that a killed writer left. Until then the old states read back: a process killed at any point loses nothing.
3. Of vectors those stay whose text a chunk of another document needs in a kept state. Vectors name no document: the rest may be
   the erased one's.
4. Other datasets of the lake are not touched, nor are the numbers of their states.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from vector_pipeline.errors import ConflictError, CorruptError, NotFoundError, UnavailableError
from vector_pipeline.hashing import sql_document_key
from vector_pipeline.lake.connection import CATALOG, METADATA, Lake
from vector_pipeline.lake.snapshots import describe_digest
from vector_pipeline.lake.tables import DatasetTables, SpaceTables, at, create

_KEYS: Mapping[str, tuple[str, ...]] = {
    "documents": ("document_id", "digest", "updated_at"),
    "source_items": ("document_id", "revision", "bytes_hash", "parser", "reason", "detail"),
    "source_state": ("revision", "shards"),
    "chunks": ("record_id", "document_digest", "ordinal", "metadata_hash"),
}
"""Columns that tell two rows of a table apart: every other one follows from them."""
_CATALOG_TABLES = (
    "data_file", "delete_file", "file_column_stats", "file_variant_stats", "file_partition_value", "column", "column_tag",
    "column_mapping", "partition_info", "partition_column", "sort_info", "sort_expression", "schema_versions", "table_stats",
    "table_column_stats", "inlined_data_tables", "table",
)  # fmt: skip
"""Tables of the catalog that name a table by ``table_id``; the last one says that there is such a table."""
_UNNAMED = 2**62
"""Numbers from here on name files that the catalog never numbered."""
_BUSY_S = 30.0


def kind_of(table: str) -> str:
    """``documents``, ``source_items``, ``source_state``, ``chunks`` or ``embeddings``."""
    return table if table in _KEYS else table.partition("_")[0]


def is_erased(table: str, key: str) -> str:
    """SQL condition: a row of the table belongs to the document with that key (24 hex characters)."""
    kind = kind_of(table)
    if kind in ("documents", "source_items"):
        return f"{sql_document_key('document_id')} = '{key}'"
    return f"starts_with(record_id, '{key}#')" if kind == "chunks" else "false"


def tables_of_dataset(lake: Lake, dataset: str) -> list[str]:
    """Names of the dataset's tables as they are now, sorted."""
    rows = lake.rows(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? ORDER BY 1",
        [CATALOG, dataset],
    )
    return [str(row[0]) for row in rows]


def count_rows(lake: Lake, tables: DatasetTables, table: str, key: str, snapshot: int | None) -> int:
    """Rows of the document in a table at a lake snapshot (None: now); 0 where there is no such table."""
    try:
        return int(
            lake.row(f"SELECT count(*) FROM {at(tables.named(table), snapshot)} WHERE {is_erased(table, key)}")[0]
        )
    except NotFoundError:
        return 0


def holds(lake: Lake, tables: DatasetTables, table: str, snapshot: int | None) -> bool:
    """Whether a table can be read at a lake snapshot."""
    try:
        lake.rows(f"SELECT 1 FROM {at(tables.named(table), snapshot)} LIMIT 1")
    except NotFoundError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of one embeddings table."""

    table: str
    own: int
    """Rows whose text stands in the erased document only."""
    kept: int
    """Rows whose text another document needs."""


def count_vectors(lake: Lake, dataset: str, key: str, snapshots: Iterable[int | None]) -> list[Vectors]:
    """What law 3 would do. Leaves the texts that others need in the temporary table ``erase_needed(content_hash)``."""
    tables, names = DatasetTables(dataset), tables_of_dataset(lake, dataset)
    chunk_tables = [name for name in names if kind_of(name) == "chunks"]
    for temporary in ("erase_needed", "erase_own"):
        lake.run(f"CREATE OR REPLACE TEMP TABLE {temporary} (content_hash VARCHAR PRIMARY KEY)")
    for snapshot in dict.fromkeys(snapshots):
        for name in chunk_tables:
            for temporary, condition in (("erase_own", ""), ("erase_needed", "NOT ")):
                with suppress(NotFoundError):  # A space that did not exist then.
                    lake.run(
                        f"""INSERT OR IGNORE INTO {temporary} SELECT DISTINCT content_hash
                            FROM {at(tables.named(name), snapshot)} WHERE {condition}{is_erased(name, key)}"""
                    )
    lake.run("DELETE FROM erase_own WHERE content_hash IN (SELECT content_hash FROM erase_needed)")
    found = []
    for name in names:
        if kind_of(name) == "embeddings":
            own, needed = lake.row(
                f"""SELECT count(*) FILTER (content_hash IN (SELECT content_hash FROM erase_own)),
                           count(*) FILTER (content_hash IN (SELECT content_hash FROM erase_needed))
                    FROM {tables.named(name)}"""
            )
            found.append(Vectors(name, int(own), int(needed)))
    return found


def own_contents(lake: Lake) -> list[str]:
    """Content hashes that ``count_vectors`` found in the document only."""
    return [str(row[0]) for row in lake.rows("SELECT content_hash FROM erase_own ORDER BY 1")]


def count_contents(lake: Lake, dataset: str, contents: list[str]) -> dict[str, int]:
    """Vectors of some contents, by embeddings table."""
    tables = DatasetTables(dataset)
    return {
        name: int(
            lake.row(
                f"SELECT count(*) FROM {tables.named(name)} WHERE list_contains(?::VARCHAR[], content_hash)", [contents]
            )[0]
        )
        for name in tables_of_dataset(lake, dataset)
        if kind_of(name) == "embeddings"
    }


def phrases_of(lake: Lake, dataset: str, key: str, snapshots: Iterable[int | None], limit: int = 3) -> list[str]:
    """Lines of the document's text that no other document holds now: what must be found nowhere afterwards."""
    table = DatasetTables(dataset)
    for snapshot in snapshots:
        if not holds(lake, table, "documents", snapshot):
            continue
        lines = lake.rows(
            f"""SELECT DISTINCT trim(line) FROM (SELECT unnest(string_split(text, chr(10))) AS line
                FROM {at(table.documents, snapshot)} WHERE {is_erased("documents", key)})
                WHERE length(trim(line)) BETWEEN 16 AND 400 ORDER BY length(trim(line)) DESC LIMIT 20"""
        )
        own = [
            str(line)
            for (line,) in lines
            if not lake.row(
                f"""SELECT count(*) FROM {table.documents} WHERE contains(text, ?) AND NOT ({is_erased("documents", key)})""",
                [line],
            )[0]
        ]
        if own:
            return own[:limit]
    return []


def make_anew(lake: Lake, dataset: str, present: int) -> None:
    """Law 1, one commit: every table dropped and made anew, empty but for the vectors that are needed (``erase_needed``)."""
    tables, names = DatasetTables(dataset), tables_of_dataset(lake, dataset)
    vectors = [name for name in names if kind_of(name) == "embeddings"]
    for number, name in enumerate(vectors):
        # Read before the drop: within the commit that drops it, a table cannot be read as it was.
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE erase_vectors_{number} AS SELECT *
                FROM {at(tables.named(name), present)} SEMI JOIN erase_needed USING (content_hash)"""
        )

    def work() -> None:
        for name in names:
            lake.run(f"DROP TABLE {tables.named(name)}")
            create(lake, tables, name, kind_of(name))
        for number, name in enumerate(vectors):
            lake.run(f"INSERT INTO {tables.named(name)} SELECT * FROM erase_vectors_{number} ORDER BY shard")

    lake.transaction(work, f"make the tables of {dataset} anew")
    for number in range(len(vectors)):
        lake.run(f"DROP TABLE erase_vectors_{number}")


def bring_to(lake: Lake, dataset: str, snapshot: int, key: str) -> int:
    """Commit the state that the old tables had at a lake snapshot, without the document; returns the new snapshot's number."""
    tables = DatasetTables(dataset)
    names = [name for name in tables_of_dataset(lake, dataset) if kind_of(name) != "embeddings"]
    there = {name for name in names if holds(lake, tables, name, snapshot)}
    if "documents" not in there:
        raise CorruptError(f"{lake.where} does not hold state {snapshot} of {dataset} any more", fix="Restore the lake")

    def work() -> None:
        for name in names:
            if name in there:
                _bring(lake, tables.named(name), name, snapshot, key)
            else:
                lake.run(f"DELETE FROM {tables.named(name)}")

    lake.transaction(work, f"state {snapshot} of {dataset} again")
    return lake.snapshot_id()


def _bring(lake: Lake, table: str, name: str, snapshot: int, key: str) -> None:
    kind = kind_of(name)
    same = " AND ".join(f"a.{column} IS NOT DISTINCT FROM b.{column}" for column in _KEYS[kind])
    wanted = f"(SELECT * FROM {at(table, snapshot)} WHERE NOT ({is_erased(name, key)}))"
    # Worked out before it is applied: a statement must not read what it changes.
    lake.run(f"CREATE OR REPLACE TEMP TABLE erase_surplus AS SELECT * FROM {table} a ANTI JOIN {wanted} b ON {same}")
    lake.run(f"CREATE OR REPLACE TEMP TABLE erase_missing AS SELECT * FROM {wanted} a ANTI JOIN {table} b ON {same}")
    surplus, missing = lake.row("SELECT (SELECT count(*) FROM erase_surplus), (SELECT count(*) FROM erase_missing)")
    if surplus:
        lake.run(f"DELETE FROM {table} a USING erase_surplus b WHERE {same}")
    if missing:
        order = " ORDER BY shard" if kind != "source_state" else ""
        lake.run(f"INSERT INTO {table} SELECT * FROM erase_missing{order}")


def purge(lake: Lake, dataset: str) -> int:
    """Law 2. Returns how many files were deleted. Nobody may be writing to the dataset."""
    lake.transaction(lambda: _forget_dropped(lake, dataset), None)
    lake.transaction(lambda: _schedule_unknown(lake, dataset), None)
    deleted = lake.rows(f"CALL ducklake_cleanup_old_files('{CATALOG}', cleanup_all => true)")
    for name in ("erase_surplus", "erase_missing", "erase_needed", "erase_own"):
        lake.run(f"DROP TABLE IF EXISTS {name}")
    return len(deleted)


def _schema_id(dataset: str) -> str:
    return (
        f"(SELECT schema_id FROM {METADATA}.ducklake_schema WHERE schema_name = '{dataset}' AND end_snapshot IS NULL)"
    )


def _forget_dropped(lake: Lake, dataset: str) -> None:
    gone = [
        int(row[0])
        for row in lake.rows(
            f"""SELECT table_id FROM {METADATA}.ducklake_table WHERE schema_id = {_schema_id(dataset)}
                GROUP BY table_id HAVING count(*) FILTER (end_snapshot IS NULL) = 0"""
        )
    ]
    if not gone:
        return
    ids = ", ".join(map(str, gone))
    inlined = lake.rows(f"SELECT table_name FROM {METADATA}.ducklake_inlined_data_tables WHERE table_id IN ({ids})")
    for name in [*(str(row[0]) for row in inlined), *(f"ducklake_inlined_delete_{one}" for one in gone)]:
        lake.run(f'DROP TABLE IF EXISTS {METADATA}."{name}"')
    for name in _CATALOG_TABLES:
        lake.run(f"DELETE FROM {METADATA}.ducklake_{name} WHERE table_id IN ({ids})")


def data_files(lake: Lake, dataset: str) -> list[str]:
    """Every file in the dataset's folder, whatever the catalog says of it."""
    return [str(row[0]) for row in lake.rows("SELECT file FROM glob(?) ORDER BY 1", [f"{lake.data}{dataset}/**"])]


def _schedule_unknown(lake: Lake, dataset: str) -> None:
    """Hand files that the catalog does not name to DuckLake's own clean-up: it deletes on any storage."""
    known = {
        str(row[0])
        for kind in ("data_file", "delete_file")
        for row in lake.rows(
            f"""SELECT CASE WHEN f.path_is_relative THEN ? || s.path || t.path || f.path ELSE f.path END
                FROM {METADATA}.ducklake_{kind} f JOIN {METADATA}.ducklake_table t USING (table_id)
                JOIN {METADATA}.ducklake_schema s USING (schema_id) WHERE t.schema_id = {_schema_id(dataset)}""",
            [lake.data],
        )
    }
    # Their own numbers: clean-up forgets what it deleted by number.
    for number, file in enumerate((one for one in data_files(lake, dataset) if one not in known), start=1):
        lake.run(
            f"INSERT INTO {METADATA}.ducklake_files_scheduled_for_deletion VALUES (?, ?, 0, now())",
            [_UNNAMED + number, file],
        )


def rows_in_files(lake: Lake, dataset: str, key: str) -> int:
    """Rows of the document in any data file there is, deleted ones and those of no state too: the files themselves are read."""
    found = 0
    for file in data_files(lake, dataset):
        table = file.removeprefix(lake.data).split("/")[1]
        if kind_of(table) in ("documents", "source_items", "chunks") and not file.endswith("-delete.parquet"):
            found += int(lake.row(f"SELECT count(*) FROM read_parquet(?) WHERE {is_erased(table, key)}", [file])[0])
    return found


def compact_catalog(lake: Lake) -> None:
    """Overwrite what deleted rows left in the catalog's SQLite file. A server's catalog is vacuumed by its server."""
    if lake.catalog_file is None:
        return
    try:
        with closing(sqlite3.connect(lake.catalog_file, timeout=_BUSY_S, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            # The log holds the old pages too.
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise ConflictError(f"{lake.where} is in use by another process: {error}", fix="Run it again") from None
        raise UnavailableError(f"{lake.where} cannot be compacted: {error}", fix="Run it again") from None
    if busy:
        raise ConflictError(f"{lake.where} is in use by another process: its log was not emptied", fix="Run it again")


def describe(lake: Lake, tables: SpaceTables, snapshot: int) -> tuple[str, int, int]:
    """Digest, documents and records of a space's state."""
    documents, records = lake.row(f"SELECT count(DISTINCT document_id), count(*) FROM {at(tables.chunks, snapshot)}")
    return describe_digest(lake, tables, snapshot), int(documents), int(records)
