"""Drop tables that nobody needs any more, and say what tables take.

Laws
----
1. Tables are dropped together, in one commit, or none of them. States of before read back as they were until the second step.
2. DuckLake frees a dropped table's files only when no kept state is from before the drop, and kept versions of other spaces may be
   from before it for ever. So the files are handed to its clean-up, which deletes them after its grace (``collect_files``). From
   then on an old state shows the dropped table, empty. Other tables show in every state what they did, whoever reads them.
3. Both are found again by who runs them again: what is dropped and not handed over counts as left.

The catalog's own tables are those of DuckLake's format 1.0. Sizes are of files: a row that is inlined in the catalog takes none.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake import since
from vector_pipeline.lake.connection import METADATA, Lake
from vector_pipeline.lake.erasing import tables_of_dataset
from vector_pipeline.lake.golden import GoldenTables
from vector_pipeline.lake.remains import SCHEDULED
from vector_pipeline.lake.tables import DatasetTables, SpaceTables

_OF_FILES = ("file_column_stats", "file_variant_stats", "file_partition_value", "delete_file", "data_file")
"""Tables of the catalog that say what files there are."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """What a table takes."""

    table: str
    rows: int
    """Now."""
    bytes: int
    """Of every file that the catalog names for it: also of those that only older states show."""
    files: int


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Files of dropped tables that were not handed over yet."""

    files: int
    bytes: int


def beside(tables: SpaceTables) -> tuple[str, ...]:
    """Names of an embedding table and of the three beside it, whether they exist or not."""
    fingerprint = GoldenTables.of(tables).fingerprint
    return (tables.embedding_table, *(f"{kind}_{fingerprint}" for kind in ("golden", "attestations", "quarantine")))


def table_sizes(lake: Lake, dataset: str) -> dict[str, TableSize]:
    """What each of a dataset's tables takes, by name; with those that are dropped and not handed over, of no rows."""
    tables = DatasetTables(dataset)
    files = {
        str(name): (int(count), int(size))
        for name, count, size in lake.rows(
            f"""SELECT t.table_name, count(f.table_id), coalesce(sum(f.file_size_bytes), 0)
                FROM {_tables(dropped=False)} t LEFT JOIN {_FILES} f USING (table_id)
                WHERE t.schema_name = ? GROUP BY 1""",
            [dataset],
        )
    }
    left, found = left_over(lake, dataset), {}
    there = tables_of_dataset(lake, dataset)
    for name in sorted({*there, *left}):
        rows = int(lake.row(f"SELECT count(*) FROM {tables.named(name)}")[0]) if name in there else 0
        (count, size), more = files.get(name, (0, 0)), left.get(name, LeftOver(0, 0))
        found[name] = TableSize(name, rows, size + more.bytes, count + more.files)
    return found


def left_over(lake: Lake, dataset: str) -> dict[str, LeftOver]:
    """What dropped tables of a dataset left (law 3), by the name that they had."""
    rows = lake.rows(
        f"""SELECT t.table_name, count(*), coalesce(sum(f.file_size_bytes), 0)
            FROM {_tables(dropped=True)} t JOIN {_FILES} f USING (table_id)
            WHERE t.schema_name = ? GROUP BY 1""",
        [dataset],
    )
    return {str(name): LeftOver(int(files), int(size)) for name, files, size in rows}


def tables_there(lake: Lake, dataset: str) -> set[str]:
    """Names of a dataset's tables, and of those that are dropped and not handed over."""
    return {*tables_of_dataset(lake, dataset), *left_over(lake, dataset)}


def drop_tables(lake: Lake, dataset: str, names: Collection[str], message: str) -> list[str]:
    """Law 1; returns those that there were."""
    tables = DatasetTables(dataset)
    there = [name for name in tables_of_dataset(lake, dataset) if name in names]

    def work() -> None:
        for name in there:
            lake.run(f"DROP TABLE IF EXISTS {tables.named(name)}")

    if there:
        since.forget(lake, dataset)
        lake.transaction(work, message)
    return there


def hand_over(lake: Lake, dataset: str, names: Collection[str]) -> LeftOver:
    """Law 2: of dropped tables of these names. A table of that name that was made since is left alone."""
    ids = [
        int(number)
        for number, name in lake.rows(
            f"SELECT table_id, table_name FROM {_tables(dropped=True)} t WHERE schema_name = ?", [dataset]
        )
        if name in names
    ]
    if not ids:
        return LeftOver(0, 0)
    listed, inlined = ", ".join(map(str, ids)), _inlined(lake, ids)

    def work() -> LeftOver:
        count, size = lake.row(
            f"SELECT count(*), coalesce(sum(file_size_bytes), 0) FROM {_FILES} f WHERE table_id IN ({listed})"
        )
        for kind in ("data_file", "delete_file"):
            lake.run(
                f"""INSERT INTO {SCHEDULED}
                    SELECT f.{kind}_id, CASE WHEN f.path_is_relative THEN t.folder || f.path ELSE f.path END,
                           f.path_is_relative, now()
                    FROM {METADATA}.ducklake_{kind} f JOIN {_tables(dropped=True)} t USING (table_id)
                    WHERE f.table_id IN ({listed})"""
            )
        for name in _OF_FILES:
            lake.run(f"DELETE FROM {METADATA}.ducklake_{name} WHERE table_id IN ({listed})")
        for name in inlined:
            lake.run(f"DELETE FROM {name}")
        return LeftOver(int(count), int(size))

    return lake.transaction(work, None)


_FILES = f"""(SELECT table_id, file_size_bytes FROM {METADATA}.ducklake_data_file
              UNION ALL SELECT table_id, file_size_bytes FROM {METADATA}.ducklake_delete_file)"""


def _tables(*, dropped: bool) -> str:
    """Relation (table_id, table_name, schema_name, folder) of the tables that are there, or that were dropped, each once."""
    return f"""(SELECT table_id, max(table_name) AS table_name, max(s.schema_name) AS schema_name,
                       max(s.path || t.path) AS folder
                FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id)
                WHERE s.end_snapshot IS NULL
                GROUP BY table_id HAVING (count(*) FILTER (t.end_snapshot IS NULL) = 0) = {str(dropped).lower()})"""


def _inlined(lake: Lake, ids: Sequence[int]) -> list[str]:
    """The catalog's tables of rows, and of deletions, that stand in no file."""
    listed = ", ".join(map(str, ids))
    rows = lake.rows(f"SELECT table_name FROM {METADATA}.ducklake_inlined_data_tables WHERE table_id IN ({listed})")
    names = [*(str(row[0]) for row in rows), *(f"ducklake_inlined_delete_{one}" for one in ids)]
    found = []
    for name in names:
        with suppress(NotFoundError):
            lake.rows(f'SELECT 1 FROM {METADATA}."{name}" LIMIT 0')
            found.append(f'{METADATA}."{name}"')
    return found
