"""Snapshot against snapshot, without reading a vector or a text: by record and by document.

A document *moved* when it left under one id and came under another with the same text: one removed and one added document of
equal content are paired; texts that occur several times pair as often as they occur on both sides.
"""

from dataclasses import dataclass, field

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.since import Changes, fill_changed_documents
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


def diff_versions(
    lake: Lake, old: Side | None, new: Side, limit: int = 10, changes: Changes | None = None
) -> VersionDiff:
    """Difference from ``old`` (None: from nothing) to ``new``. ``changes``: between both, where known; nothing else is read."""
    only, same = "", (0, 0)
    if changes is not None:
        fill_changed_documents(lake, new.tables, changes)
        only, same = "SEMI JOIN changed_documents USING (document_id)", _untouched(lake, new)
    records = lake.row(
        f"""WITH a AS ({_records(old, only)}), b AS ({_records(new, only)})
            SELECT count(*) FILTER (a.record_id IS NULL), count(*) FILTER (b.record_id IS NULL),
                   count(*) FILTER (a.metadata_hash <> b.metadata_hash),
                   count(*) FILTER (a.metadata_hash = b.metadata_hash)
            FROM a FULL JOIN b USING (record_id)"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE document_diff AS
            WITH a AS ({_documents(old, only)}), b AS ({_documents(new, only)})
            SELECT coalesce(b.document_id, a.document_id) AS document_id,
                   CASE WHEN a.document_id IS NULL THEN 'added' WHEN b.document_id IS NULL THEN 'removed'
                        WHEN a.digest <> b.digest THEN 'changed' ELSE 'unchanged' END AS change,
                   coalesce(b.content_hash, a.content_hash) AS content_hash
            FROM a FULL JOIN b USING (document_id)"""
    )
    by_change = dict(lake.rows("SELECT change, count(*) FROM document_diff GROUP BY change"))
    moved = lake.row(
        """SELECT coalesce(sum(least(added, removed)), 0)::BIGINT FROM (
               SELECT count(*) FILTER (change = 'added') AS added, count(*) FILTER (change = 'removed') AS removed
               FROM document_diff WHERE change IN ('added', 'removed') GROUP BY content_hash)"""
    )[0]
    examples = {
        change: [
            row[0]
            for row in lake.rows(
                "SELECT document_id FROM document_diff WHERE change = ? ORDER BY 1 LIMIT ?", [change, limit]
            )
        ]
        for change in ("added", "removed", "changed")
    }
    return VersionDiff(
        records_added=int(records[0]),
        records_removed=int(records[1]),
        records_metadata=int(records[2]),
        records_unchanged=int(records[3]) + same[1],
        documents_added=int(by_change.get("added", 0)),
        documents_removed=int(by_change.get("removed", 0)),
        documents_changed=int(by_change.get("changed", 0)),
        documents_unchanged=int(by_change.get("unchanged", 0)) + same[0],
        documents_moved=int(moved),
        examples=examples,
    )


def _untouched(lake: Lake, side: Side) -> tuple[int, int]:
    """Documents and records that are not of ``changed_documents``."""
    documents, chunks = at(side.tables.dataset.documents, side.snapshot), at(side.tables.chunks, side.snapshot)
    found = lake.row(
        f"""SELECT (SELECT count(*) FROM {documents} d)
                   - (SELECT count(*) FROM {documents} d WHERE document_id IN (FROM changed_documents)),
                   (SELECT count(*) FROM {chunks} c)
                   - (SELECT count(*) FROM {chunks} c WHERE document_id IN (FROM changed_documents))"""
    )
    return int(found[0]), int(found[1])


def _records(side: Side | None, only: str) -> str:
    if side is None:
        return "SELECT NULL::VARCHAR AS record_id, NULL::VARCHAR AS metadata_hash WHERE false"
    return f"SELECT record_id, metadata_hash FROM {at(side.tables.chunks, side.snapshot)} c {only}"


def _documents(side: Side | None, only: str) -> str:
    if side is None:
        return "SELECT NULL::VARCHAR AS document_id, NULL::VARCHAR AS digest, NULL::VARCHAR AS content_hash WHERE false"
    return f"SELECT document_id, digest, content_hash FROM {at(side.tables.dataset.documents, side.snapshot)} d {only}"
