"""What a target holds, as a temporary table: one row for each record, read once and judged as often as need be.

Laws
----
1. A record is *ours* when its id has the form of ours and its space is the line's. It is *sound* when its document and content
   fields are those that its id names: then the id alone proves what it holds, but for the metadata, text and vector.
2. A line that holds one version *alone* (in place, or where the target cannot filter) has bare ids and one interval. A record that
   carries just that is visible, whatever the version; any other is not, and readers that do not filter see it all the same.
3. A target that scans no marks gives nulls for what it does not say; with ``whole`` it is asked for every record by id.
"""

import pyarrow as pa

from vector_pipeline.hashing import sql_base_record_id, sql_content_key, sql_document_key
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.comparing import OUR_ID, listing
from vector_pipeline.release.lines import IN_PLACE_ADDED_IN
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry import Deployment
from vector_pipeline.targets.base import LIVE, Target

_TABLES = """
    CREATE OR REPLACE TEMP TABLE drift_held (
        id VARCHAR, base VARCHAR, document_id VARCHAR, metadata_hash VARCHAR, added_in BIGINT, removed_in BIGINT,
        ours BOOLEAN, sound BOOLEAN);
    CREATE OR REPLACE TEMP TABLE drift_seen (id VARCHAR);
    CREATE OR REPLACE TEMP TABLE drift_spoilt (id VARCHAR);
"""
# ``drift_seen`` and ``drift_spoilt``: records whose values were compared, and those that differed (``values``).


def observe(lake: Lake, target: Target, deployment: Deployment, *, whole: bool = False) -> None:
    """Fill ``drift_held`` with what a deployment's namespace holds now; with nothing when it does not exist."""
    lake.run(_TABLES)
    if target.describe(deployment.namespace) is None:
        return
    insert = _insert(deployment.fingerprint, alone_since(target, deployment))
    batches = listing(target, deployment.namespace) if whole else target.scan(deployment.namespace)
    for batch in batches:
        with lake.registered("drift_rows", pa.Table.from_batches([batch])):
            lake.run(insert)


def alone_since(target: Target, deployment: Deployment) -> int | None:
    """``added_in`` of every record of a line that holds one version alone; None for a line that versions share."""
    if deployment.strategy == Strategy.IN_PLACE:
        return IN_PLACE_ADDED_IN
    return None if target.capabilities.numeric_filters else deployment.version


def _insert(fingerprint: str, alone: int | None) -> str:
    added, removed, form = "added_in", "removed_in", "true"
    if alone is not None:
        # Law 2, as an interval that every version is in, or none.
        added = f"CASE WHEN added_in IS NULL THEN NULL WHEN added_in = {alone} THEN 0 ELSE {LIVE} END"
        removed = f"CASE WHEN added_in IS NULL THEN NULL WHEN added_in = {alone} AND removed_in = {LIVE} THEN {LIVE} ELSE 0 END"
        form = "NOT contains(id, '~')"
    return f"""INSERT INTO drift_held
        SELECT id, {sql_base_record_id("id")}, document_id, metadata_hash, {added}, {removed}, ours,
               coalesce({sql_document_key("document_id")} = substr(id, 1, 24)
                        AND {sql_content_key("content_hash", fingerprint)} = substr(id, 26, 24), true)
        FROM (SELECT *, regexp_matches(id, '{OUR_ID}') AND {form} AND coalesce(space = '{fingerprint}', true) AS ours
              FROM drift_rows)"""
