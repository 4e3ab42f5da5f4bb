"""Chunks in the lake: which documents need chunking, and one commit that replaces exactly their chunks.

A document is stale when no chunk carries its digest; chunks of documents that are gone are orphans. Both are found by
joining ids and digests only: texts are read for stale documents and for nothing else. Where the lake knows a complete state
(``lake.since``), only what was touched after it can be either.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from vector_pipeline.hashing import sql_content_hash, sql_content_key, sql_document_key
from vector_pipeline.lake import since
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, within

STAGED_CHUNKS = pa.schema(
    [
        ("shard", pa.int32()),
        ("document_id", pa.string()),
        ("document_digest", pa.string()),
        ("ordinal", pa.int32()),
        ("span_start", pa.int32()),
        ("span_end", pa.int32()),
        ("context", pa.string()),
        ("text", pa.string()),
        ("metadata", pa.string()),
    ]
)
_GOING = "(SELECT document_id FROM stale_documents UNION ALL SELECT document_id FROM orphaned_chunks)"
"""Documents whose chunks go, after ``find_stale`` knows them."""


def find_stale(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None) -> tuple[int, int]:
    """Fill temporary tables ``stale_documents`` and ``orphaned_chunks`` (by document id); returns their sizes.

    ``stale_places`` are the row ids of their chunks: one look at the table's ids finds what is stale, and what goes.
    """
    after = since.touched(lake, tables, vectors=False)
    if after is None:
        _look_at_all(lake, tables, within(shards))
    elif not lake.row("SELECT count(*) FROM touched_documents")[0]:
        lake.run("CREATE OR REPLACE TEMP TABLE stale_documents (shard INTEGER, document_id VARCHAR, after BIGINT)")
        lake.run("CREATE OR REPLACE TEMP TABLE orphaned_chunks (document_id VARCHAR)")
        lake.run("CREATE OR REPLACE TEMP TABLE stale_places (place BIGINT)")
        return 0, 0
    else:
        _look_at_touched(lake, tables, within(shards), after)
    stale, orphaned = lake.row("SELECT (SELECT count(*) FROM stale_documents), (SELECT count(*) FROM orphaned_chunks)")
    return int(stale), int(orphaned)


def _look_at_all(lake: Lake, tables: SpaceTables, condition: str) -> None:
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE chunked AS
            SELECT DISTINCT document_id, document_digest FROM {tables.chunks} WHERE {condition}"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE stale_documents AS
            SELECT d.shard, d.document_id, 0::BIGINT AS after FROM {tables.dataset.documents} d
            WHERE {condition} AND NOT EXISTS (
                FROM chunked c WHERE c.document_id = d.document_id AND c.document_digest = d.digest)"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE orphaned_chunks AS
            SELECT DISTINCT c.document_id FROM chunked c
            ANTI JOIN (SELECT document_id FROM {tables.dataset.documents} WHERE {condition}) d USING (document_id)"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE stale_places AS
            SELECT rowid AS place FROM {tables.chunks} WHERE {condition} AND document_id IN
            {_GOING}"""
    )


def _look_at_touched(lake: Lake, tables: SpaceTables, condition: str, after: int) -> None:
    """The same where nothing else than ``touched_documents`` can be either: what came of documents is known already."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE present AS
            SELECT shard, document_id, digest FROM documents_since WHERE net > 0 AND {condition}"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE carried AS
           SELECT DISTINCT document_id, document_digest FROM chunks_since WHERE net > 0"""
    )
    # Of a document that changed, what was there before carries another digest; of one whose chunks alone changed, perhaps its own.
    lake.run(
        "CREATE OR REPLACE TEMP TABLE elsewhere AS FROM touched_documents EXCEPT SELECT document_id FROM documents_since"
    )
    if lake.row("SELECT count(*) FROM elsewhere")[0]:
        lake.run(
            f"""INSERT INTO present SELECT shard, document_id, digest FROM {tables.dataset.documents}
                WHERE {condition} AND document_id IN (FROM elsewhere)"""
        )
        lake.run(
            f"""INSERT INTO carried SELECT DISTINCT document_id, document_digest FROM {tables.chunks}
                WHERE {condition} AND document_id IN (FROM elsewhere)"""
        )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE chunked AS
            SELECT rowid AS place, document_id FROM {tables.chunks}
            WHERE {condition} AND document_id IN (FROM touched_documents)"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE stale_documents AS
            SELECT p.shard, p.document_id, {int(after)}::BIGINT AS after FROM present p
            ANTI JOIN carried c ON c.document_id = p.document_id AND c.document_digest = p.digest"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE orphaned_chunks AS
           SELECT DISTINCT document_id FROM chunked ANTI JOIN present USING (document_id)"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE stale_places AS SELECT place FROM chunked WHERE document_id IN
           {_GOING}"""
    )


def stale_documents(lake: Lake, tables: SpaceTables, rows: int = 128) -> Iterator[pa.RecordBatch]:
    """The stale documents, whole, in small batches: call after ``find_stale`` in the same thread.

    One pass, on a cursor of its own, over the shards that hold any: what was written since the complete state first, and the rest
    only where that does not hold all of them.
    """
    wanted = lake.table("SELECT document_id FROM stale_documents")
    if not wanted.num_rows:
        return
    where = within([int(shard) for (shard,) in lake.rows("SELECT DISTINCT shard FROM stale_documents ORDER BY shard")])
    (after,) = lake.row("SELECT max(after) FROM stale_documents")
    left = wanted.num_rows
    for when in (f"snapshot_id > {int(after)}", f"snapshot_id <= {int(after)}") if after else ("true",):
        if left <= 0:
            return
        for batch in lake.stream(
            f"""SELECT d.shard, d.document_id, d.digest, d.title, d.media_type, d.metadata, d.text
                FROM (SELECT * FROM {tables.dataset.documents} WHERE {where} AND {when}) d
                SEMI JOIN wanted_documents USING (document_id)""",
            rows=rows,
            given={"wanted_documents": wanted},
        ):
            left -= batch.num_rows
            yield batch


def replace_chunks(lake: Lake, tables: SpaceTables, fingerprint: str, message: str) -> tuple[int, int]:
    """Commit the temporary table ``staged_chunks`` in place of what ``find_stale`` found.

    Returns chunks written and chunks removed. Hashes and record ids are made here, set-based, so that they cannot differ
    from the lake's.
    """
    removed, written = (
        int(count)
        for count in lake.row("SELECT (SELECT count(*) FROM stale_places), (SELECT count(*) FROM staged_chunks)")
    )
    if not (removed or written):
        return 0, 0

    def work() -> None:
        if removed:
            # A row keeps its id wherever a merge or a rewrite puts it; nobody else writes chunks under our lease.
            lake.run(f"DELETE FROM {tables.chunks} WHERE rowid IN (SELECT place FROM stale_places)")
        if written:
            lake.run(f"INSERT INTO {tables.chunks} {_identified(fingerprint)} ORDER BY shard, document_id, ordinal")

    lake.transaction(work, message)
    return written, removed


def _identified(fingerprint: str) -> str:
    """SELECT that adds content hash, metadata hash and record id (law 3 of ``hashing``) to the staged chunks."""
    return f"""
        WITH hashed AS (
            SELECT *, {sql_content_hash("(context || text)")} AS content_hash,
                   {sql_content_hash("metadata")} AS metadata_hash
            FROM staged_chunks),
        numbered AS (
            SELECT *, row_number() OVER (PARTITION BY document_id, content_hash ORDER BY ordinal) AS occurrence FROM hashed)
        SELECT shard, document_id, document_digest, ordinal, span_start, span_end, context, text, content_hash, metadata,
               metadata_hash,
               {sql_document_key("document_id")} || '#' || {sql_content_key("content_hash", fingerprint)}
               || CASE WHEN occurrence > 1 THEN '.' || occurrence ELSE '' END AS record_id
        FROM numbered"""
