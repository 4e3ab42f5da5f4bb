"""Take a document out of the lake's whole history: every kept state is made again without it, in tables that never held it.

Laws
----
1. A state is a commit, and a commit is never changed. So each table of the dataset is dropped and made anew; every kept state
   is then committed again from the old tables, oldest first, each by its difference from the one before; the present comes last.
2. Until what the dropped tables left is deleted (``remains``) the old states read back: a process killed at any point loses
   nothing.
3. Of vectors those stay whose text a chunk of another document needs in a kept state. Vectors name no document: the rest may be
   the erased one's. So it is with quarantine. Of golden texts the user's own go: the next build takes them from their file again.
   What stays takes along which commit wrote it: whether it is believed does not change.
4. Other datasets of the lake are not touched, nor are the numbers of their states.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from vector_pipeline.errors import CorruptError, NotFoundError
from vector_pipeline.hashing import sql_document_key
from vector_pipeline.lake import since
from vector_pipeline.lake.connection import CATALOG, METADATA, Lake
from vector_pipeline.lake.snapshots import describe_digest
from vector_pipeline.lake.tables import WRITTEN, DatasetTables, SpaceTables, at, create

_KEYS: Mapping[str, tuple[str, ...]] = {
    "documents": ("document_id", "digest", "updated_at"),
    "source_items": ("document_id", "revision", "bytes_hash", "parser", "reason", "detail"),
    "source_state": ("revision", "shards"),
    "chunks": ("record_id", "document_digest", "ordinal", "metadata_hash"),
}
"""Columns that tell two rows of a table apart: every other one follows from them."""
_BY_CONTENT = ("embeddings", "quarantine")
_STAYS = {
    "embeddings": "SEMI JOIN erase_needed USING (content_hash)",
    "quarantine": "SEMI JOIN erase_needed USING (content_hash)",
    "golden": "WHERE origin = 'packaged'",
    "attestations": "",
}
"""Kinds of tables that have no history: the present is all there is of them; and what stays of it (law 3)."""


def kind_of(table: str) -> str:
    """``documents``, ``source_items``, ``source_state``, ``chunks``, ``embeddings``, ``golden``, ``attestations`` or
    ``quarantine``.
    """
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


def tables_of_documents(lake: Lake, dataset: str) -> list[str]:
    """Of them those whose rows are of documents, or of their source."""
    return [name for name in tables_of_dataset(lake, dataset) if kind_of(name) not in _STAYS]


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
    """Vectors of one embeddings table, or hashes of one quarantine."""

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
        if kind_of(name) in _BY_CONTENT:
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
        if kind_of(name) in _BY_CONTENT
    }


def knows(lake: Lake, snapshot: int) -> bool:
    """Whether the lake still has a state."""
    return bool(lake.rows(f"SELECT 1 FROM {CATALOG}.snapshots() WHERE snapshot_id = ?", [snapshot]))


def made_since(lake: Lake, dataset: str, snapshot: int) -> bool:
    """Whether the dataset's tables of now are later than a state: they were made anew since."""
    return bool(
        lake.rows(
            f"""SELECT 1 FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id)
                WHERE s.schema_name = ? AND s.end_snapshot IS NULL AND t.table_name = 'documents'
                  AND t.end_snapshot IS NULL AND t.begin_snapshot > ?""",
            [dataset, snapshot],
        )
    )


def make_anew(lake: Lake, dataset: str, present: int) -> None:
    """Law 1, one commit: every table dropped and made anew, empty but for what stays (law 3, ``erase_needed``)."""
    tables, names = DatasetTables(dataset), tables_of_dataset(lake, dataset)
    kept = [name for name in names if kind_of(name) in _STAYS]
    for number, name in enumerate(kept):
        rows = "*" if kind_of(name) == "quarantine" else f"* REPLACE ({WRITTEN} AS written_in)"
        # Read before the drop: within the commit that drops it, a table cannot be read as it was.
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE erase_kept_{number} AS SELECT {rows}
                FROM {tables.named(name)} AT (VERSION => {int(present)}) {_STAYS[kind_of(name)]}"""
        )

    def work() -> None:
        for name in names:
            lake.run(f"DROP TABLE {tables.named(name)}")
            create(lake, tables, name, kind_of(name))
        for number, name in enumerate(kept):
            order = " ORDER BY shard" if kind_of(name) in _BY_CONTENT else ""
            lake.run(f"INSERT INTO {tables.named(name)} SELECT * FROM erase_kept_{number}{order}")

    since.forget(lake, dataset)
    lake.transaction(work, f"make the tables of {dataset} anew")
    for number in range(len(kept)):
        lake.run(f"DROP TABLE erase_kept_{number}")


def bring_to(lake: Lake, dataset: str, snapshot: int, key: str) -> int:
    """Commit the state that the old tables had at a lake snapshot, without the document; returns the new snapshot's number."""
    tables = DatasetTables(dataset)
    names = tables_of_documents(lake, dataset)
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
    keys = ", ".join(_KEYS[kind])
    lake.run(
        f"CREATE OR REPLACE TEMP TABLE erase_surplus AS SELECT {keys} FROM {table} a ANTI JOIN {wanted} b ON {same}"
    )
    lake.run(f"CREATE OR REPLACE TEMP TABLE erase_missing AS SELECT * FROM {wanted} a ANTI JOIN {table} b ON {same}")
    surplus, missing = lake.row("SELECT (SELECT count(*) FROM erase_surplus), (SELECT count(*) FROM erase_missing)")
    if surplus:
        lake.run(f"DELETE FROM {table} a USING erase_surplus b WHERE {same}")
    if missing:
        order = " ORDER BY shard" if kind != "source_state" else ""
        lake.run(f"INSERT INTO {table} SELECT * FROM erase_missing{order}")


def describe(lake: Lake, tables: SpaceTables, snapshot: int) -> tuple[str, int, int]:
    """Digest, documents and records of a space's state."""
    documents, records = lake.row(f"SELECT count(DISTINCT document_id), count(*) FROM {at(tables.chunks, snapshot)}")
    return describe_digest(lake, tables, snapshot), int(documents), int(records)
