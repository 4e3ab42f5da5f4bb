"""Documents in the lake: compare what a source lists with what is held, and apply the difference in one commit.

Both sides are relations; no row passes through Python here. What a sync stages stands in temporary tables of this thread's
connection, which the engine spills to disk beyond its memory limit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.hashing import sql_shard
from vector_pipeline.lake.connection import METADATA, Lake
from vector_pipeline.lake.literals import literal
from vector_pipeline.lake.tables import DatasetTables

LISTED = pa.schema([("document_id", pa.string()), ("revision", pa.string())])
STAGED_ITEMS = pa.schema(
    [(name, pa.string()) for name in ("document_id", "revision", "bytes_hash", "parser", "reason", "detail")]
)
STAGED_DOCUMENTS = pa.schema(
    [
        (name, pa.string())
        for name in ("document_id", "digest", "content_hash", "title", "media_type", "metadata", "text")
    ]
)
_SQL_TYPES = {pa.string(): "VARCHAR", pa.int32(): "INTEGER", pa.int64(): "BIGINT"}


@dataclass(frozen=True, slots=True)
class SourceState:
    """What a sync saw of the whole source."""

    revision: str | None
    """Of a source that has one, when every shard was synced to it; else None."""
    shards: int


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """What a sync did, by document."""

    listed: int = 0
    """Items that the source lists, in the selected shards."""
    read: int = 0
    """Items whose revision had changed, so that their bytes were read."""
    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    """Items that are a document as before: those listed without the added, the changed and the quarantined."""
    quarantined: int = 0
    """Items that stand in quarantine now."""
    newly_quarantined: int = 0

    @property
    def touched(self) -> int:
        return self.added + self.changed + self.deleted


def stage(lake: Lake, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Fill a temporary table from a stream of batches; returns its rows.

    Batches are inserted one by one, not handed over as a stream: the engine would pull a stream on a thread of its own,
    where this thread's temporary tables do not exist and an error of ours would come out as the engine's.
    """
    columns = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in schema)
    lake.run(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
    count = 0
    for batch in batches:
        append(lake, name, pa.Table.from_batches([batch]))
        count += batch.num_rows
    return count


def append(lake: Lake, name: str, rows: pa.Table) -> None:
    """Add rows to a staged table."""
    if rows.num_rows:
        with lake.registered("staging_rows", rows):
            lake.run(f"INSERT INTO {name} SELECT * FROM staging_rows")


def select_shards(lake: Lake, shards: int, selected: Sequence[int] | None) -> None:
    """Temporary table ``selected_shards`` of the shards that this sync may touch."""
    chosen = range(shards) if selected is None else selected
    lake.run(
        f"CREATE OR REPLACE TEMP TABLE selected_shards AS SELECT unnest({literal(sorted(set(chosen)))}::INTEGER[]) AS shard"
    )


def changed_items(lake: Lake, tables: DatasetTables, shards: int, parsers: Sequence[str]) -> pa.Table:
    """Items of the temporary table ``listed`` whose revision or parser differs from the lake's, with what was last seen."""
    return lake.table(
        f"""
        SELECT l.document_id, l.revision, s.bytes_hash, s.parser, s.revision AS seen_revision
        FROM listed l LEFT JOIN {tables.items} s USING (document_id)
        WHERE {sql_shard("l.document_id", shards)} IN (SELECT shard FROM selected_shards)
          AND (s.revision IS DISTINCT FROM l.revision
               OR {f"NOT list_contains({literal(list(parsers))}, s.parser)" if parsers else "false"})
        ORDER BY l.document_id
        """
    )


def secret_of(lake: Lake, tables: DatasetTables) -> str:
    """A text of the dataset's own that stays as long as the dataset, and that nobody knows who cannot read the lake's catalog."""
    (found,) = lake.row(
        f"""SELECT schema_uuid::VARCHAR FROM {METADATA}.ducklake_schema
            WHERE schema_name = {quoted(tables.dataset)} AND end_snapshot IS NULL"""
    )
    return str(found)


def hold_items(lake: Lake, tables: DatasetTables, read: str) -> None:
    """Temporary table ``sync_held`` of the lake's items that left ``listed``, stand in quarantine, or are among ``read`` (a query
    of ids): the one look at all items for what ``apply_sync`` works out.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE sync_held AS
            SELECT *, mine AND NOT is_listed AS has_left
            FROM (SELECT *, shard IN (SELECT shard FROM selected_shards) AS mine,
                         document_id IN (SELECT document_id FROM listed WHERE document_id IS NOT NULL) AS is_listed
                  FROM {tables.items})
            WHERE (mine AND NOT is_listed) OR reason IS NOT NULL OR document_id IN ({read})"""
    )


def apply_sync(
    lake: Lake, tables: DatasetTables, state: SourceState, known: SourceState | None, message: str
) -> SyncCounts:
    """Commit ``listed``, ``staged_items`` and ``staged_documents`` (temporary tables) as the dataset's present state, where
    ``hold_items`` found what the lake has of them.

    An item that left ``listed`` is deleted; one that was quarantined loses its document, unless it merely could not be
    read: a transient error must not delete. Nothing is written, not even an empty commit, when nothing differs.
    """
    shards = state.shards
    _work_out(lake, tables)
    deleted, removed_items, gone, written, items = lake.row(
        """SELECT (SELECT count(*) FROM sync_deleted WHERE was_document), (SELECT count(*) FROM sync_deleted),
                  (SELECT count(*) FROM sync_gone), (SELECT count(*) FROM sync_written), (SELECT count(*) FROM sync_items)"""
    )
    counts = _counts(lake, shards, deleted)
    if not (gone or written or items or removed_items or state != known):
        return counts

    def work() -> None:
        if gone or written:
            lake.run(
                f"""DELETE FROM {tables.documents} WHERE document_id IN
                    (SELECT document_id FROM sync_gone UNION ALL SELECT document_id FROM sync_written)"""
            )
        if written:
            lake.run(
                f"""INSERT INTO {tables.documents}
                    SELECT {sql_shard("document_id", shards)}, document_id, digest, content_hash, title, media_type,
                           metadata, text, {literal(datetime.now(UTC).replace(tzinfo=None))}
                    FROM staged_documents SEMI JOIN sync_written USING (document_id) ORDER BY 1, 2"""
            )
        if items or removed_items:
            lake.run(
                f"""DELETE FROM {tables.items} WHERE document_id IN
                    (SELECT document_id FROM sync_deleted UNION ALL SELECT document_id FROM sync_items)"""
            )
        if items:
            lake.run(
                f"""INSERT INTO {tables.items}
                    SELECT {sql_shard("document_id", shards)}, document_id, revision, bytes_hash, parser, reason, detail
                    FROM staged_items SEMI JOIN sync_items USING (document_id) ORDER BY 1, 2"""
            )

        if state != known:
            lake.run(f"DELETE FROM {tables.sources}")
            lake.run(f"INSERT INTO {tables.sources} VALUES ({literal(state.revision)}, {literal(state.shards)})")

    lake.transaction(work, message)
    return counts


def _work_out(lake: Lake, tables: DatasetTables) -> None:
    """Temporary tables of what will change, so that counting and writing read the same rows.

    Documents are looked at once, items in ``hold_items``: whatever changed, a look at all of them costs their files.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE sync_present AS
            SELECT document_id, digest FROM {tables.documents} WHERE document_id IN (
                SELECT document_id FROM sync_held WHERE has_left UNION ALL
                SELECT document_id FROM staged_items UNION ALL SELECT document_id FROM staged_documents)"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE sync_deleted AS
           SELECT s.document_id, d.document_id IS NOT NULL AS was_document
           FROM sync_held s LEFT JOIN sync_present d USING (document_id) WHERE s.has_left"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE sync_written AS
           SELECT n.document_id, d.document_id IS NULL AS is_new
           FROM staged_documents n LEFT JOIN sync_present d USING (document_id)
           WHERE d.digest IS DISTINCT FROM n.digest"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE sync_gone AS
            SELECT document_id FROM sync_present WHERE document_id IN (
                SELECT document_id FROM sync_deleted UNION ALL
                SELECT document_id FROM staged_items WHERE reason IS NOT NULL AND reason <> '{Reason.UNREADABLE}')"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE sync_items AS
           SELECT n.document_id, s.document_id IS NULL AS is_new
           FROM staged_items n LEFT JOIN sync_held s USING (document_id)
           WHERE (s.revision, s.bytes_hash, s.parser, s.reason, s.detail)
                 IS DISTINCT FROM (n.revision, n.bytes_hash, n.parser, n.reason, n.detail)"""
    )


def _counts(lake: Lake, shards: int, deleted: int) -> SyncCounts:
    """What the commit of what was worked out makes of the selected shards."""
    (selected,) = lake.row("SELECT count(*) FROM selected_shards")
    # A shard is worked out of a hash: not for every document where all shards are selected.
    mine = "true" if selected == shards else f"{sql_shard('document_id', shards)} IN (FROM selected_shards)"
    listed, read, added, changed, dropped, newly, stayed, came = lake.row(
        f"""SELECT (SELECT count(*) FROM listed WHERE {mine}),
                   (SELECT count(*) FROM staged_items),
                   (SELECT count(*) FROM sync_written WHERE is_new),
                   (SELECT count(*) FROM sync_written WHERE NOT is_new),
                   (SELECT count(*) FROM sync_gone),
                   (SELECT count(*) FROM staged_items n SEMI JOIN sync_items USING (document_id)
                    LEFT JOIN sync_held s USING (document_id) WHERE n.reason IS NOT NULL AND s.reason IS NULL),
                   (SELECT count(*) FROM (FROM sync_held ANTI JOIN sync_deleted USING (document_id))
                    ANTI JOIN sync_items USING (document_id) WHERE reason IS NOT NULL AND mine),
                   (SELECT count(*) FROM staged_items SEMI JOIN sync_items USING (document_id) WHERE reason IS NOT NULL)"""
    )
    quarantined = stayed + came
    unchanged = listed - added - changed - quarantined
    return SyncCounts(listed, read, added, changed, max(deleted, dropped), max(unchanged, 0), quarantined, newly)


def quarantined_items(lake: Lake, tables: DatasetTables, limit: int = 1000) -> list[dict[str, str]]:
    """Items that could not become documents: id, reason, detail; ordered by id."""
    rows = lake.rows(
        f"SELECT document_id, reason, detail FROM {tables.items} WHERE reason IS NOT NULL ORDER BY 1 LIMIT {int(limit)}"
    )
    return [{"document": row[0], "reason": row[1], "detail": row[2]} for row in rows]


def source_state(lake: Lake, tables: DatasetTables) -> SourceState | None:
    """What the last sync saw; None before the first."""
    rows = lake.rows(f"SELECT revision, shards FROM {tables.sources}")
    return SourceState(rows[0][0], int(rows[0][1])) if rows else None
