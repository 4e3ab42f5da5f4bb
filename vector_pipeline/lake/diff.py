"""Snapshot against snapshot, without reading a vector or a text: by record and by document.

A document *moved* when it left under one id and came under another with the same text: one removed and one added document of
equal content are paired; texts that occur several times pair as often as they occur on both sides.

Two states of the same tables are told apart by DuckLake's change feed, at the cost of what changed between them; where that cannot
tell (``lake.changes``), and between different tables, both are read and joined. Both find the same.
"""

from dataclasses import dataclass, field

from vector_pipeline.lake.changes import columns_read, count_at, find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at

CHANGES = ("added", "removed", "changed")


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Counts of a diff, and examples for people."""

    records_added: int
    records_removed: int
    records_metadata: int
    """Same content, other metadata."""
    records_unchanged: int
    documents_added: int
    documents_removed: int
    documents_changed: int
    documents_unchanged: int
    documents_moved: int
    """Pairs among the added and removed ones with the same text."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Up to ``limit`` document ids for ``added``, ``removed``, ``changed``."""

    @property
    def empty(self) -> bool:
        return not (self.records_added or self.records_removed or self.records_metadata)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a diff: a space's tables at a lake snapshot. None as snapshot reads the present."""

    tables: SpaceTables
    snapshot: int | None


def diff_versions(lake: Lake, old: Side | None, new: Side, limit: int = 10) -> VersionDiff:
    """Difference from ``old`` (None: from nothing) to ``new``."""
    if not _by_feed(lake, old, new):
        _by_join(lake, old, new)
    counts: dict[str, dict[str, int]] = {"record": {}, "document": {}}
    examples: dict[str, list[str]] = {change: [] for change in CHANGES}
    # No parameter: with its first one DuckDB imports pandas, a fifth of a second of a command that only compares.
    for what, change, count, some in lake.rows(
        f"""SELECT 'record', change, count(*), NULL FROM record_diff GROUP BY change
            UNION ALL SELECT 'document', change, count(*), min(document_id, {max(int(limit), 1)}) FROM document_diff
            GROUP BY change"""
    ):
        counts[what][change] = int(count)
        if some is not None:
            examples[change] = list(some)[: int(limit)]
    records, documents = ([counts[what].get(change, 0) for change in CHANGES] for what in ("record", "document"))
    all_records, all_documents = (
        count_at(lake, new.tables.dataset, table, new.snapshot) for table in (new.tables.chunk_table, "documents")
    )
    return VersionDiff(
        records_added=records[0],
        records_removed=records[1],
        records_metadata=records[2],
        records_unchanged=all_records - records[0] - records[2],
        documents_added=documents[0],
        documents_removed=documents[1],
        documents_changed=documents[2],
        documents_unchanged=all_documents - documents[0] - documents[2],
        documents_moved=_moved(lake) if documents[0] and documents[1] else 0,
        examples=examples,
    )


def _moved(lake: Lake) -> int:
    (pairs,) = lake.row(
        """SELECT coalesce(sum(least(added, removed)), 0)::BIGINT FROM (
               SELECT count(*) FILTER (change = 'added') AS added, count(*) FILTER (change = 'removed') AS removed
               FROM document_diff WHERE change IN ('added', 'removed') GROUP BY content_hash)"""
    )
    return int(pairs)


def _by_feed(lake: Lake, old: Side | None, new: Side) -> bool:
    """Fill ``record_diff`` and ``document_diff`` with what differs, by what was committed between the two states.

    What documents say is read again only where some came and others went: else none moved. Where nothing was read yet it is read
    with the rest: a column more of what was deleted, not all of it once more.
    """
    if old is None or old.tables != new.tables or old.snapshot is None or new.snapshot is None:
        return False
    sign = "net" if old.snapshot <= new.snapshot else "-net"
    between = sorted((old.snapshot, new.snapshot))

    def told(what: str, table: str, columns: tuple[str, ...], content: str = "''") -> bool:
        if not find_changes(lake, new.tables.dataset, table, columns, between[0], between[1], f"{what}s_net"):
            return False
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE {what}_diff AS
                SELECT {columns[0]}, CASE WHEN NOT bool_or(here < 0) THEN 'added' WHEN NOT bool_or(here > 0) THEN 'removed'
                                     ELSE 'changed' END AS change,
                       coalesce(any_value({content}) FILTER (here > 0), any_value({content})) AS content_hash
                FROM (SELECT *, {sign} AS here FROM {what}s_net) GROUP BY {columns[0]}"""
        )
        return True

    if not told("record", new.tables.chunk_table, ("record_id", "metadata_hash")):
        return False
    said = ("document_id", "digest", "content_hash")
    read = columns_read(lake, new.tables.dataset, "documents")
    if not read or "content_hash" in read:
        return told("document", "documents", said, "content_hash")
    if not told("document", "documents", said[:2]):
        return False
    (kinds,) = lake.row("SELECT count(DISTINCT change) FROM document_diff WHERE change <> 'changed'")
    return kinds < 2 or told("document", "documents", said, "content_hash")


def _by_join(lake: Lake, old: Side | None, new: Side) -> None:
    """The same by reading both states."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE record_diff AS
            WITH a AS ({_records(old)}), b AS ({_records(new)})
            SELECT record_id, CASE WHEN a.metadata_hash IS NULL THEN 'added' WHEN b.metadata_hash IS NULL THEN 'removed'
                                   ELSE 'changed' END AS change
            FROM a FULL JOIN b USING (record_id) WHERE a.metadata_hash IS DISTINCT FROM b.metadata_hash"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE document_diff AS
            WITH a AS ({_documents(old)}), b AS ({_documents(new)})
            SELECT coalesce(b.document_id, a.document_id) AS document_id,
                   CASE WHEN a.document_id IS NULL THEN 'added' WHEN b.document_id IS NULL THEN 'removed'
                        ELSE 'changed' END AS change,
                   coalesce(b.content_hash, a.content_hash) AS content_hash
            FROM a FULL JOIN b USING (document_id) WHERE a.digest IS DISTINCT FROM b.digest"""
    )


def _records(side: Side | None) -> str:
    if side is None:
        return "SELECT NULL::VARCHAR AS record_id, NULL::VARCHAR AS metadata_hash WHERE false"
    return f"SELECT record_id, metadata_hash FROM {at(side.tables.chunks, side.snapshot)}"


def _documents(side: Side | None) -> str:
    if side is None:
        return "SELECT NULL::VARCHAR AS document_id, NULL::VARCHAR AS digest, NULL::VARCHAR AS content_hash WHERE false"
    return f"SELECT document_id, digest, content_hash FROM {at(side.tables.dataset.documents, side.snapshot)}"
