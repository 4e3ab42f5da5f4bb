"""What a target holds, as a temporary table: one row for each record, read once and judged as often as need be.

Laws
----
1. A record is *ours* when its id has the form of ours and its space is the line's. It is *sound* when its document and content
   fields are those that its id names: then the id alone proves what it holds, but for the metadata, text and vector.
2. On an in-place line readers see everything: marks say nothing there, and every record is visible at every version.
3. A target that scans no marks gives nulls for what it does not say; with ``whole`` it is asked for every record by id.
"""

from collections.abc import Iterator

import pyarrow as pa

from vector_pipeline.hashing import sql_base_record_id, sql_content_key, sql_document_key
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.registry import Deployment
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, Target

OUR_ID = r"^[0-9a-f]{24}#[0-9a-f]{24}(\.[0-9]+)?(~[0-9]+)?$"
IN_PLACE = "in-place"
_FETCHED = 10_000

HELD_TABLES = """
    CREATE OR REPLACE TEMP TABLE drift_held (
        id VARCHAR, base VARCHAR, document_id VARCHAR, metadata_hash VARCHAR, added_in BIGINT, removed_in BIGINT,
        ours BOOLEAN, sound BOOLEAN);
    CREATE OR REPLACE TEMP TABLE drift_seen (id VARCHAR);
    CREATE OR REPLACE TEMP TABLE drift_spoilt (id VARCHAR);
"""
"""``drift_seen`` and ``drift_spoilt``: records whose values were compared, and those that differed (``values``)."""


def observe(lake: Lake, target: Target, deployment: Deployment, *, whole: bool = False) -> None:
    """Fill ``drift_held`` with what a deployment's namespace holds now; with nothing when it does not exist."""
    lake.run(HELD_TABLES)
    if target.describe(deployment.namespace) is None:
        return
    read = _fetched if whole and not target.capabilities.scans_marks else _scanned
    insert = _insert(deployment.fingerprint, in_place=deployment.strategy == IN_PLACE)
    for rows in read(target, deployment.namespace):
        with lake.registered("drift_rows", rows):
            lake.run(insert)


def _scanned(target: Target, namespace: str) -> Iterator[pa.Table]:
    for batch in target.scan(namespace):
        yield pa.Table.from_batches([batch])


def _fetched(target: Target, namespace: str) -> Iterator[pa.Table]:
    for batch in target.scan(namespace, batch_records=_FETCHED):
        found = target.fetch(namespace, batch.column("id").to_pylist(), vectors=False)
        yield found.select(MARK_SCHEMA.names)


def _insert(fingerprint: str, *, in_place: bool) -> str:
    added, removed = ("0", str(LIVE)) if in_place else ("added_in", "removed_in")
    return f"""INSERT INTO drift_held
        SELECT id, {sql_base_record_id("id")}, document_id, metadata_hash, {added}, {removed}, ours,
               coalesce({sql_document_key("document_id")} = substr(id, 1, 24)
                        AND {sql_content_key("content_hash", fingerprint)} = substr(id, 26, 24), true)
        FROM (SELECT *, regexp_matches(id, '{OUR_ID}') AND coalesce(space = '{fingerprint}', true) AS ours FROM drift_rows)"""
