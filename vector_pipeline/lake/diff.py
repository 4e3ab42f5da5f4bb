"""Snapshot against snapshot, without reading a vector or a text: by record and by document.

A document *moved* when it left under one id and came under another with the same text: one removed and one added document of
equal content are paired; texts that occur several times pair as often as they occur on both sides.

Two states of the same tables are told apart by DuckLake's change feed, at the cost of what changed between them; where that cannot
tell (``lake.changes``), and between different tables, both are read and joined. Both find the same.
"""

from dataclasses import dataclass, field

from vector_pipeline.lake.changes import find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at


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
    records = dict(lake.rows("SELECT change, count(*) FROM record_diff GROUP BY change"))
    documents = dict(lake.rows("SELECT change, count(*) FROM document_diff GROUP BY change"))
    moved = lake.row(
        """SELECT coalesce(sum(least(added, removed)), 0)::BIGINT FROM (
               SELECT count(*) FILTER (change = 'added') AS added, count(*) FILTER (change = 'removed') AS removed
               FROM document_diff WHERE change IN ('added', 'removed') GROUP BY content_hash)"""
    )[0]
    examples = {
        change: [
            row[0]
            # No parameter: with its first one DuckDB imports pandas, a fifth of a second of a command that only compares.
            for row in lake.rows(
                f"SELECT document_id FROM document_diff WHERE change = '{change}' ORDER BY 1 LIMIT {int(limit)}"
            )
        ]
        for change in ("added", "removed", "changed")
    }
    all_records, all_documents = (
        int(lake.row(f"SELECT count(*) FROM {at(table, new.snapshot)} t")[0])
        for table in (new.tables.chunks, new.tables.dataset.documents)
    )
    return VersionDiff(
        records_added=int(records.get("added", 0)),
        records_removed=int(records.get("removed", 0)),
        records_metadata=int(records.get("changed", 0)),
        records_unchanged=all_records - int(records.get("added", 0)) - int(records.get("changed", 0)),
        documents_added=int(documents.get("added", 0)),
        documents_removed=int(documents.get("removed", 0)),
        documents_changed=int(documents.get("changed", 0)),
        documents_unchanged=all_documents - int(documents.get("added", 0)) - int(documents.get("changed", 0)),
        documents_moved=int(moved),
        examples=examples,
    )


def _by_feed(lake: Lake, old: Side | None, new: Side) -> bool:
    """Fill ``record_diff`` and ``document_diff`` with what differs, by what was committed between the two states."""
    if old is None or old.tables != new.tables or old.snapshot is None or new.snapshot is None:
        return False
    first, last = sorted((old.snapshot, new.snapshot))
    looked = {
        "record": (new.tables.chunk_table, "record_id", ("record_id", "metadata_hash"), "''"),
        "document": ("documents", "document_id", ("document_id", "digest", "content_hash"), "content_hash"),
    }
    for what, (table, key, columns, content) in looked.items():
        if not find_changes(lake, new.tables.dataset, table, columns, first, last, f"{what}s_net"):
            return False
        sign = "net" if old.snapshot <= new.snapshot else "-net"
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE {what}_diff AS
                SELECT {key}, CASE WHEN NOT bool_or(here < 0) THEN 'added' WHEN NOT bool_or(here > 0) THEN 'removed'
                              ELSE 'changed' END AS change,
                       coalesce(any_value({content}) FILTER (here > 0), any_value({content})) AS content_hash
                FROM (SELECT *, {sign} AS here FROM {what}s_net) GROUP BY {key}"""
        )
    return True


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
