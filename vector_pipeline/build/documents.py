"""Source → ``documents``: list, compare in the lake, read only what changed, commit once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from vector_pipeline.config import DatasetConfig, FileSourceConfig, RecordSourceConfig
from vector_pipeline.corpus import FileSource
from vector_pipeline.corpus.model import Document, Item, Parsed, Quarantined, Seen, sql_digest
from vector_pipeline.corpus.records import RECORD_ROWS, RecordSource
from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import canonical_json, content_hash, sql_content_hash, sql_shard
from vector_pipeline.lake import documents as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import LISTED, STAGED_DOCUMENTS, STAGED_ITEMS, SyncCounts
from vector_pipeline.lake.tables import DatasetTables

T = TypeVar("T")
OnRead = Callable[[int, int], None]
"""Called with (items read, items to read)."""


def sync_documents(
    lake: Lake,
    dataset: str,
    config: DatasetConfig,
    base: Path,
    *,
    shards: Sequence[int] | None = None,
    on_read: OnRead | None = None,
) -> SyncCounts:
    """Bring the documents of the selected shards (None: all) to the source's present state."""
    tables = DatasetTables(dataset)
    tables.ensure(lake)
    store.select_shards(lake, config.shards, shards)
    if isinstance(config.source, FileSourceConfig):
        _stage_files(lake, tables, config.source, base, config.shards, on_read)
        revision = None
    else:
        source = RecordSource(config.source, base)
        revision = source.revision()
        if revision is not None and revision == store.source_revision(lake, tables):
            return _unchanged(lake, tables)
        _stage_records(lake, tables, config.source, source, config.shards)
    counts = store.apply_sync(lake, tables, config.shards, f"sync {dataset}")
    if revision is not None and shards is None:
        store.set_source_revision(lake, tables, revision, counts.listed)
    return counts


def _unchanged(lake: Lake, tables: DatasetTables) -> SyncCounts:
    """Counts of a record source whose files have not been touched since the last whole sync."""
    listed, quarantined = lake.row(
        f"""SELECT count(*), count(*) FILTER (reason IS NOT NULL) FROM {tables.items}
            WHERE shard IN (FROM selected_shards)"""
    )
    return SyncCounts(listed=int(listed), unchanged=int(listed - quarantined), quarantined=int(quarantined))


def _stage_files(
    lake: Lake, tables: DatasetTables, config: FileSourceConfig, base: Path, shards: int, on_read: OnRead | None
) -> None:
    source = FileSource(config, base)
    listed = store.stage(lake, "listed", LISTED, _listed(source.list()))
    _refuse_empty(lake, tables, listed, config.allow_empty, str(base / config.root))
    changed = store.changed_items(lake, tables, shards, sorted(source.parsers()))
    items = [
        Item(row["document_id"], row["revision"]) for row in changed.select(["document_id", "revision"]).to_pylist()
    ]
    seen = {
        row["document_id"]: Seen(row["seen_revision"], row["bytes_hash"], row["parser"])
        for row in changed.to_pylist()
        if row["bytes_hash"] is not None
    }
    _stage_parsed(lake, _counted(source.read(items, seen), len(items), on_read), seen_reasons(lake, tables, changed))


def seen_reasons(lake: Lake, tables: DatasetTables, changed: pa.Table) -> Mapping[str, tuple[str | None, str | None]]:
    """Quarantine state of the items about to be read: an item whose bytes did not change keeps it."""
    with lake.registered("changed_now", changed):
        rows = lake.rows(
            f"SELECT document_id, reason, detail FROM {tables.items} SEMI JOIN changed_now USING (document_id) "
            "WHERE reason IS NOT NULL"
        )
    return {row[0]: (row[1], row[2]) for row in rows}


def _counted(parsed: Iterable[Parsed], total: int, on_read: OnRead | None) -> Iterator[Parsed]:
    for done, one in enumerate(parsed, start=1):
        yield one
        if on_read is not None:
            on_read(done, total)


def _listed(items: Iterable[Item]) -> Iterator[pa.RecordBatch]:
    for some in _batched(items, 16_384):
        columns = [pa.array([item.id for item in some]), pa.array([item.revision for item in some])]
        yield pa.RecordBatch.from_arrays(columns, schema=LISTED)


def _stage_parsed(lake: Lake, parsed: Iterable[Parsed], reasons: Mapping[str, tuple[str | None, str | None]]) -> None:
    store.stage(lake, "staged_items", STAGED_ITEMS, ())
    store.stage(lake, "staged_documents", STAGED_DOCUMENTS, ())
    # Bounded by documents, not bytes: the largest document is bounded by the source's own limit.
    for some in _batched(parsed, 256):
        items, documents = [], []
        for one in some:
            reason, detail = reasons.get(one.id, (None, None)) if one.outcome is None else (None, None)
            if isinstance(one.outcome, Quarantined):
                reason, detail = one.outcome.reason.value, one.outcome.detail
            elif isinstance(one.outcome, Document):
                documents.append(document_row(one.outcome))
            items.append(
                {
                    "document_id": one.id,
                    "revision": one.seen.revision,
                    "bytes_hash": one.seen.bytes_hash,
                    "parser": one.seen.parser,
                    "reason": reason,
                    "detail": detail,
                }
            )
        _append(lake, "staged_items", pa.Table.from_pylist(items, schema=STAGED_ITEMS))
        _append(lake, "staged_documents", pa.Table.from_pylist(documents, schema=STAGED_DOCUMENTS))


def document_row(document: Document) -> dict[str, str]:
    """Row of ``staged_documents``."""
    return {
        "document_id": document.id,
        "digest": document.digest,
        "content_hash": content_hash(document.text),
        "title": document.title,
        "media_type": document.media_type,
        "metadata": canonical_json(dict(document.metadata)),
        "text": document.text,
    }


def _append(lake: Lake, name: str, rows: pa.Table) -> None:
    if rows.num_rows:
        with lake.registered("staging_rows", rows):
            lake.run(f"INSERT INTO {name} SELECT * FROM staging_rows")


def _stage_records(
    lake: Lake, tables: DatasetTables, config: RecordSourceConfig, source: RecordSource, shards: int
) -> None:
    """Stage a record source set-based: the engine hashes and compares the rows; none passes through Python here."""
    store.stage(lake, "source_rows", RECORD_ROWS, source.batches())
    hashed = " || ".join(
        sql_content_hash(f"coalesce({name}, '')") for name in ("text", "title", "media_type", "metadata")
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE hashed_rows AS
            SELECT *, {sql_content_hash(f"({hashed} || coalesce(reason, ''))")} AS bytes_hash FROM source_rows"""
    )
    lake.run("CREATE OR REPLACE TEMP TABLE listed AS SELECT id AS document_id, bytes_hash AS revision FROM hashed_rows")
    listed = int(lake.row("SELECT count(*) FROM listed")[0])
    _refuse_empty(lake, tables, listed, config.allow_empty, config.path or "the query")
    parser = "record/1"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE changed_rows AS
            SELECT h.* FROM hashed_rows h LEFT JOIN {tables.items} s ON s.document_id = h.id
            WHERE {sql_shard("h.id", shards)} IN (FROM selected_shards) AND s.bytes_hash IS DISTINCT FROM h.bytes_hash"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE staged_items AS
            SELECT id AS document_id, bytes_hash AS revision, bytes_hash, '{parser}' AS parser, reason, detail
            FROM changed_rows"""
    )
    digest = sql_digest("text", "title", "media_type", "metadata")
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE staged_documents AS
            SELECT id AS document_id, {digest} AS digest, {sql_content_hash("text")} AS content_hash, title, media_type,
                   metadata, text
            FROM changed_rows WHERE reason IS NULL"""
    )


def _refuse_empty(lake: Lake, tables: DatasetTables, listed: int, allowed: bool, where: str) -> None:
    """A source that suddenly lists nothing is an error, not a mass deletion."""
    if listed or allowed:
        return
    known = int(lake.row(f"SELECT count(*) FROM {tables.items}")[0])
    before = f"; it listed {known} items before" if known else ""
    raise RefusedError(
        f"{tables.dataset}: the source {where} lists nothing{before}",
        fix="Check its path and patterns, or set `allow_empty: true` if everything really was deleted",
    )


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``itertools.batched``, which Python 3.11 does not have yet."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some
