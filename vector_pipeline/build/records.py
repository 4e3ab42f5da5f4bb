"""A record source into temporary tables: the engine hashes and compares the rows; none passes through Python here.

A row's revision is the hash of its line where the source has lines: one that is as it was is compared, and not parsed. Elsewhere it
is the hash of what the row becomes; so it is of an erased row, of which not even the line's hash is kept.
"""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from vector_pipeline.build.files import STAYS_OUT
from vector_pipeline.build.sampling import keep_sample
from vector_pipeline.config import RecordSourceConfig
from vector_pipeline.corpus.model import Reason, sql_digest
from vector_pipeline.corpus.records import CHANGED_ROWS, RECORD_ROWS, RecordSource
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.hashing import fingerprint, sql_content_hash, sql_document_key, sql_shard
from vector_pipeline.lake import documents as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.literals import literal
from vector_pipeline.lake.tables import DatasetTables

PARSER = "record/2"
"""Raised when our own code changes what a row becomes: every row is compared again."""
_ELSEWHERE = {"path", "query", "allow_empty"}
"""Settings that say where rows are, not what they become."""
_LISTED = pa.schema([("document_id", pa.string())])
_NUL = "chr(0)"
# No catalog holds a NUL: PostgreSQL refuses it in text, and the lake's filters break on it.
_CLEAN = f"""
    SELECT replace(id, {_NUL}, '\\0') AS id, text, title, media_type, metadata, revision,
           CASE WHEN contains(id, {_NUL}) THEN '{Reason.BAD_ID}'
                WHEN contains(text, {_NUL}) OR contains(title, {_NUL}) THEN '{Reason.NOT_TEXT}'
                ELSE reason END AS reason,
           CASE WHEN contains(id, {_NUL}) THEN 'the id holds a NUL character'
                WHEN contains(text, {_NUL}) OR contains(title, {_NUL}) THEN 'the text or title holds a NUL character'
                ELSE detail END AS detail
    FROM source_rows
"""


def record_revision(config: RecordSourceConfig, base: Path, sample: Sample | None = None) -> str | None:
    """Name of the source's files, of the settings that make documents of them, and of the sample; None for a query: ask it."""
    revision = RecordSource(config, base).revision()
    if revision is None:
        return None
    parts = {"files": revision, "settings": config.model_dump(mode="json"), "parser": PARSER}
    return fingerprint({**parts, **({"sample": sample.digest} if sample is not None else {})})


def _parser(config: RecordSourceConfig) -> str:
    """What made documents of rows: our code, and the settings."""
    return f"{PARSER} {fingerprint(config.model_dump(mode='json', exclude=_ELSEWHERE))}"


def _without(erased: Collection[str]) -> str:
    """The cleaned rows, of the erased ones nothing but their ids. Keys are hex: safe inside quotes."""
    if not erased:
        return _CLEAN
    keys = ", ".join(f"'{key}'" for key in sorted(erased))
    empty = ", ".join(f"CASE WHEN out THEN '' ELSE {name} END AS {name}" for name in ("text", "title", "metadata"))
    return f"""
        SELECT id, {empty}, media_type, revision, CASE WHEN out THEN '{Reason.ERASED}' ELSE reason END AS reason,
               CASE WHEN out THEN '{STAYS_OUT}' ELSE detail END AS detail
        FROM (SELECT *, {sql_document_key("id")} IN ({keys}) AS out FROM ({_CLEAN}))
    """


def stage_records(
    lake: Lake,
    tables: DatasetTables,
    config: RecordSourceConfig,
    base: Path,
    shards: int,
    erased: Collection[str] = (),
    sample: Sample | None = None,
) -> int:
    """Temporary tables ``listed``, ``staged_items`` and ``staged_documents`` of a record source; returns its number of rows.

    What is not in the sample is not in the tables.
    """
    parser, source = _parser(config), RecordSource(config, base)
    if config.kind == "jsonl":
        with source.compared(_known(lake, tables, parser, erased), store.secret_of(lake, tables)) as compared:
            rows = store.stage(lake, "listed", _LISTED, compared.listed())
            store.stage(lake, "source_rows", CHANGED_ROWS, compared.changed())
    else:
        rows = store.stage(lake, "source_rows", RECORD_ROWS, source.batches())
        lake.run("ALTER TABLE source_rows ADD COLUMN revision VARCHAR")
    columns = ("text", "title", "media_type", "metadata", "reason")
    hashed = " || ".join(sql_content_hash(f"coalesce({name}, '')") for name in columns)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE hashed_rows AS
            SELECT * REPLACE (CASE WHEN reason = '{Reason.ERASED}' THEN bytes_hash
                                   ELSE coalesce(revision, bytes_hash) END AS revision)
            FROM (SELECT *, {sql_content_hash(f"({hashed})")} AS bytes_hash FROM ({_without(erased)}))"""
    )
    if config.kind != "jsonl":
        lake.run("CREATE OR REPLACE TEMP TABLE listed AS SELECT id AS document_id FROM hashed_rows")
    keep_sample(lake, "listed", "document_id", sample, tables.dataset)
    chosen = "h.id IN (SELECT document_id FROM listed) AND" if sample is not None else ""
    held = tables.items
    if config.kind == "jsonl":
        # Few rows, as a rule: what the lake has of them is found with the rest that a sync asks of items.
        store.hold_items(lake, tables, "SELECT id FROM hashed_rows")
        held = "sync_held"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE changed_rows AS
            SELECT h.* FROM hashed_rows h LEFT JOIN {held} s ON s.document_id = h.id
            WHERE {chosen} {sql_shard("h.id", shards)} IN (FROM selected_shards)
              AND (s.revision IS DISTINCT FROM h.revision OR s.bytes_hash <> h.bytes_hash OR s.parser <> '{parser}')"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE staged_items AS
            SELECT id AS document_id, revision, bytes_hash, '{parser}' AS parser, reason, detail FROM changed_rows"""
    )
    digest = sql_digest("text", "title", "media_type", "metadata")
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE staged_documents AS
            SELECT id AS document_id, {digest} AS digest, {sql_content_hash("text")} AS content_hash, title, media_type,
                   metadata, text
            FROM changed_rows WHERE reason IS NULL"""
    )
    if config.kind != "jsonl":
        store.hold_items(lake, tables, "SELECT document_id FROM staged_items")
    return rows


def _known(lake: Lake, tables: DatasetTables, parser: str, erased: Collection[str]) -> pa.Table:
    """[id, revision] of rows that need no look while their line is the same: such as were erased since do, or are no more."""
    keys = ", ".join(f"'{key}'" for key in sorted(erased))
    out = f"{sql_document_key('document_id')} IN ({keys})" if erased else "false"
    return lake.table(
        f"""SELECT document_id AS id, revision FROM {tables.items}
            WHERE parser = {literal(parser)} AND ({out}) = (reason IS NOT DISTINCT FROM '{Reason.ERASED}')"""
    )
