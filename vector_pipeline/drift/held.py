"""What a target holds, as a temporary table: one row for each record, read once and judged as often as need be.

Laws
----
1. A record is *ours* when its id has the form of ours and its space is the line's. It is *sound* when its document and content
   fields are those that its id names: then the id alone proves what it holds, but for the metadata, text and vector.
2. A line that holds one version *alone* (in place, or where the target cannot filter) has bare ids and one interval. A record that
   carries just that is visible, whatever the version; any other is not, and readers that do not filter see it all the same.
3. A target that scans no marks gives nulls for what it does not say, unless its marks are remembered for just the state that it is
   in (``Depth.LISTED``). What was computed is not believed, and the listing is asked all the same: ``observed`` has the laws.
   ``Depth.KNOWN`` fetches where nothing is remembered, ``Depth.FETCHED`` always.
"""

from collections.abc import Iterator
from enum import Enum

import pyarrow as pa

from vector_pipeline.hashing import sql_base_record_id, sql_content_key, sql_document_key
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import append, stage
from vector_pipeline.release.comparing import OUR_ID
from vector_pipeline.release.lines import IN_PLACE_ADDED_IN
from vector_pipeline.release.observed import fetched, listed, proved
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry import Deployment
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, NamespaceState, Target

_TABLES = """
    CREATE OR REPLACE TEMP TABLE drift_held (
        id VARCHAR, base VARCHAR, document_id VARCHAR, metadata_hash VARCHAR, added_in BIGINT, removed_in BIGINT,
        ours BOOLEAN, sound BOOLEAN);
    CREATE OR REPLACE TEMP TABLE drift_seen (id VARCHAR);
    CREATE OR REPLACE TEMP TABLE drift_spoilt (id VARCHAR);
    CREATE OR REPLACE TEMP TABLE drift_told (id VARCHAR, metadata_hash VARCHAR, added_in BIGINT, removed_in BIGINT);
"""
# ``drift_seen``, ``drift_spoilt`` and ``drift_told``: records whose values were compared, those that differed, and the marks that
# came with them (``values``).


class Depth(Enum):
    """How a target that lists no marks is asked for them (law 3)."""

    LISTED = "listed"
    KNOWN = "known"
    FETCHED = "fetched"


def observe(lake: Lake, target: Target, deployment: Deployment, depth: Depth = Depth.LISTED) -> bool:
    """Fill ``drift_held`` with what a deployment's namespace holds now; with nothing when it does not exist.

    Returns whether marks were told. Those of a target that lists none are left in ``drift_marks`` too.
    """
    lake.run(_TABLES)
    stage(lake, "drift_marks", MARK_SCHEMA, ())
    state = target.describe(deployment.namespace)
    if state is None:
        return True
    insert = _insert(deployment.fingerprint, alone_since(target, deployment))
    told, batches = _batches(lake, target, state, depth)
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        with lake.registered("drift_rows", rows):
            lake.run(insert)
        if not target.capabilities.scans_marks:
            append(lake, "drift_marks", rows)
    return told


def _batches(lake: Lake, target: Target, state: NamespaceState, depth: Depth) -> tuple[bool, Iterator[pa.RecordBatch]]:
    namespace = state.spec.name
    if depth is Depth.FETCHED:
        return True, fetched(target, namespace)
    if depth is Depth.KNOWN:
        return True, proved(lake, target, state)
    found = listed(lake, target, state)
    return (False, target.scan(namespace)) if found is None else (True, found)


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
