"""What dropped tables, deleted rows and killed writers leave in a lake's catalog and files; and how it goes.

The catalog's own tables are those of DuckLake's format 1.0. Its ``expire`` would delete the same, but for what any kept state of
any dataset of the lake still shows: here a dataset's dropped tables go, and no other dataset's states. Files are handed to
DuckLake's clean-up, which deletes on any storage: those of the dataset only, whatever grace other datasets' files still have. Rows
of the catalog matter: small tables are inlined there whole, and the statistics of columns hold their least and greatest text.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from vector_pipeline.corpus.record_sql import file_name, files_below
from vector_pipeline.errors import ConflictError, UnavailableError
from vector_pipeline.lake.connection import CATALOG, METADATA, Lake
from vector_pipeline.lake.erasing import holds, is_erased, kind_of
from vector_pipeline.lake.tables import DatasetTables, at

_CATALOG_TABLES = (
    "data_file", "delete_file", "file_column_stats", "file_variant_stats", "file_partition_value", "column", "column_tag",
    "column_mapping", "partition_info", "partition_column", "sort_info", "sort_expression", "schema_versions", "table_stats",
    "table_column_stats", "inlined_data_tables", "table",
)  # fmt: skip
"""Tables of the catalog that name a table by ``table_id``; the last one says that there is such a table."""
UNNAMED = 2**62
"""Numbers from here on name files that the catalog never numbered."""
SCHEDULED = f"{METADATA}.ducklake_files_scheduled_for_deletion"
AT_ONCE, BEFORE = "TIMESTAMPTZ '1970-01-02 00:00:00+00'", "TIMESTAMPTZ '1980-01-01 00:00:00+00'"
"""A file that was given up then goes now, and no other: it tells the dataset's from those that wait for their grace."""
_BUSY_S = 30.0


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


def purge(lake: Lake, dataset: str) -> int:
    """Delete what a dataset's dropped tables left; returns how many files went. Nobody may be writing to the dataset."""
    lake.transaction(lambda: _forget_dropped(lake, dataset), None)
    lake.transaction(lambda: _schedule(lake, dataset), None)
    deleted = lake.rows(f"CALL ducklake_cleanup_old_files('{CATALOG}', older_than => {BEFORE})")
    for name in ("erase_surplus", "erase_missing", "erase_needed", "erase_own"):
        lake.run(f"DROP TABLE IF EXISTS {name}")
    # A table that DuckLake remembers of an earlier state, and that is gone now, would break the whole connection.
    lake.reattach()
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
    found = lake.rows(f"SELECT file FROM glob({files_below(lake.data, f'{dataset}/**')}) ORDER BY 1")
    return [str(row[0]) for row in found]


def _schedule(lake: Lake, dataset: str) -> None:
    """Hand the dataset's files that were given up, and those that the catalog does not name, to DuckLake's own clean-up."""
    own = [f"{dataset}/", f"{lake.data}{dataset}/"]
    lake.run(
        f"""UPDATE {SCHEDULED} SET schedule_start = {AT_ONCE}
            WHERE starts_with(path, CASE WHEN path_is_relative THEN ? ELSE ? END)""",
        own,
    )
    scheduled = lake.rows(
        f"""SELECT CASE WHEN path_is_relative THEN ? || path ELSE path END FROM {SCHEDULED}
            WHERE starts_with(path, CASE WHEN path_is_relative THEN ? ELSE ? END)""",
        [lake.data, *own],
    )
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
    known.update(str(row[0]) for row in scheduled)
    # Their own numbers: clean-up forgets what it deleted by number.
    last = lake.row(f"SELECT greatest(coalesce(max(data_file_id), 0), {UNNAMED}) FROM {SCHEDULED}")[0]
    for number, file in enumerate((one for one in data_files(lake, dataset) if one not in known), start=last + 1):
        lake.run(f"INSERT INTO {SCHEDULED} VALUES (?, ?, 0, {AT_ONCE})", [number, file])


def rows_in_files(lake: Lake, dataset: str, key: str) -> int:
    """Rows of the document in any data file there is, deleted ones and those of no state too: the files themselves are read."""
    files: dict[str, list[str]] = {}
    for file in data_files(lake, dataset):
        table = file.removeprefix(lake.data).split("/")[1]
        if kind_of(table) in ("documents", "source_items", "chunks") and not file.endswith("-delete.parquet"):
            files.setdefault(table, []).append(file)
    return sum(
        int(
            lake.row(
                f"""SELECT count(*) FROM read_parquet([{", ".join(map(file_name, ones))}], union_by_name => true)
                    WHERE {is_erased(table, key)}"""
            )[0]
        )
        for table, ones in files.items()
    )


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
