"""Observed against desired, record by record: set-based, over relations. What the planner counts and apply executes.

Laws
----
1. Observed is what the target holds now, never what was recorded: a half-done or abandoned push needs no special case. What it
   left is either visible at the new version and wanted (kept), visible and unwanted (closed), or invisible (ignored).
2. A record is visible at version v when ``added_in <= v < removed_in``. After apply, the records visible at v are exactly the
   snapshot's, each once; those visible at any other version are what they were.
3. Ids in a shared line: content that the line has never held takes its record id; content that returns, and metadata that
   changes, takes a generation, ``~v``. An id that carries another version's interval is never written again.
4. A line that holds one version only (in place, or where the target cannot filter) has bare record ids, one interval, and nothing
   that the version does not want.
5. A vector is taken from a record of ours that holds the same content, where the target derives and nobody else has written to the
   line since our last finished write; else from the lake: what a hand replaced is not copied into a new version.
"""

import hashlib
from collections.abc import Iterable

import pyarrow as pa

from vector_pipeline.hashing import sql_base_record_id
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage as stage_rows
from vector_pipeline.lake.sums import added_up
from vector_pipeline.release.plan import Action, StageKind
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, Capabilities

OUR_ID = r"^[0-9a-f]{24}#[0-9a-f]{24}(\.[0-9]+)?(~[0-9]+)?$"

_COMPARE_SHARED = """CREATE OR REPLACE TEMP TABLE compared AS
    WITH crowded AS (SELECT DISTINCT base FROM observed WHERE id <> base),
    seen AS (SELECT * FROM observed WHERE added_in <= {version} AND removed_in > {version}),
    visible AS (
        SELECT *, 1 AS age FROM seen ANTI JOIN crowded USING (base)
        UNION ALL
        -- Of two visible generations of one content the newer is kept.
        SELECT *, row_number() OVER (PARTITION BY base, ours ORDER BY added_in DESC, id DESC) AS age
        FROM seen SEMI JOIN crowded USING (base)),
    matched AS (
        SELECT d.*, c.id AS current_id, c.base AS current_base, c.document_id AS current_document,
               CASE WHEN c.id IS NULL THEN '{add}' WHEN d.record_id IS NULL THEN '{remove}'
                    WHEN c.metadata_hash IS DISTINCT FROM d.wanted_metadata THEN '{metadata}' ELSE '{unchanged}' END AS action
        FROM ({desired}) d
        FULL JOIN (SELECT * FROM visible WHERE ours AND age = 1) c
          ON c.base = d.record_id AND c.content_hash = d.wanted_content)
    SELECT action, shard, coalesce(record_id, current_base) AS record_id, wanted_content,
           coalesce(document_id, current_document) AS document_id, current_id
    FROM matched
    UNION ALL
    SELECT '{foreign}', NULL, base, NULL, document_id, id FROM visible WHERE NOT ours OR age > 1"""

_ACT_SHARED = """CREATE OR REPLACE TEMP TABLE plan_actions AS
    WITH before AS (
        SELECT o.base, bool_or(o.ours) AS ours, max_by(o.id, o.added_in) FILTER (o.ours AND o.content_hash = c.wanted_content) AS id
        FROM observed o JOIN (SELECT record_id, wanted_content FROM compared WHERE action = '{add}') c ON c.record_id = o.base
        GROUP BY o.base),
    written AS (
        SELECT c.*, b.base IS NOT NULL AS taken, coalesce(b.ours, false) AS held,
               CASE WHEN {derives} THEN coalesce(b.id, CASE WHEN c.action = '{metadata}' THEN c.current_id END) END AS source_id
        FROM compared c LEFT JOIN before b ON c.action = '{add}' AND b.base = c.record_id)
    SELECT CASE WHEN action = '{add}' AND held THEN '{restore}' ELSE action END AS action, shard, record_id, document_id,
           CASE WHEN action IN ('{add}', '{metadata}')
                THEN record_id || CASE WHEN taken OR action = '{metadata}' THEN '~{version}' ELSE '' END END AS id,
           source_id,
           CASE WHEN action IN ('{add}', '{metadata}')
                THEN CASE WHEN source_id IS NULL THEN '{upsert}' ELSE '{derive}' END END AS stage,
           CASE WHEN action IN ('{remove}', '{metadata}', '{foreign}') THEN current_id END AS end_id
    FROM written"""

_ACT_ALONE = """CREATE OR REPLACE TEMP TABLE plan_actions AS
    WITH matched AS (
        SELECT d.*, o.id AS current_id, o.document_id AS current_document,
               CASE WHEN o.id IS NULL THEN '{add}'
                    WHEN d.record_id IS NULL THEN CASE WHEN o.ours THEN '{remove}' ELSE '{foreign}' END
                    WHEN o.ours AND o.content_hash = d.wanted_content AND o.added_in = {added_in} AND o.removed_in = {live}
                    THEN CASE WHEN o.metadata_hash IS DISTINCT FROM d.wanted_metadata THEN '{metadata}' ELSE '{unchanged}' END
                    ELSE '{restore}' END AS action
        FROM ({desired}) d FULL JOIN observed o ON o.id = d.record_id)
    SELECT action, shard, coalesce(record_id, current_id) AS record_id, coalesce(document_id, current_document) AS document_id,
           CASE WHEN action IN ('{add}', '{restore}', '{metadata}') THEN record_id END AS id,
           NULL::VARCHAR AS source_id,
           CASE WHEN action = '{metadata}' AND {updates} THEN '{set_metadata}'
                WHEN action IN ('{add}', '{restore}', '{metadata}') THEN '{upsert}' END AS stage,
           CASE WHEN action IN ('{remove}', '{foreign}') THEN current_id END AS end_id
    FROM matched"""

_WORDS = {action.value: action.value for action in Action} | {
    kind.name.lower(): kind.value for kind in (StageKind.UPSERT, StageKind.DERIVE, StageKind.SET_METADATA)
}


def observe(lake: Lake, batches: Iterable[pa.RecordBatch], fingerprint: str) -> None:
    """Temporary table ``observed``: everything that the target holds, with the base of each id and whether we made it."""
    stage_rows(lake, "observed_rows", MARK_SCHEMA, batches)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE observed AS
            SELECT *, {sql_base_record_id("id")} AS base,
                   coalesce(regexp_matches(id, '{OUR_ID}') AND space = '{fingerprint}', false) AS ours
            FROM observed_rows"""
    )
    lake.run("DROP TABLE observed_rows")


def compare_shared(lake: Lake, desired: str, version: int, limits: Capabilities) -> None:
    """Fill ``plan_actions`` from relation ``desired`` and table ``observed``, for a line that versions share.

    Columns: action, shard, record_id, document_id, ``id`` (to be written, in ``stage``), ``source_id`` (to derive from) and
    ``end_id`` (to be closed).
    """
    words = {**_WORDS, "version": version, "desired": _desired(desired), "derives": str(limits.derives).lower()}
    lake.run(_COMPARE_SHARED.format(**words))
    lake.run(_ACT_SHARED.format(**words))
    _spare_what_is_written(lake)


def compare_alone(lake: Lake, desired: str, added_in: int, limits: Capabilities) -> None:
    """Fill ``plan_actions`` for a line that holds one version only: its records carry the interval [``added_in``, live)."""
    words = {
        **_WORDS,
        "desired": _desired(desired),
        "added_in": added_in,
        "live": LIVE,
        "updates": str(limits.updates_metadata).lower(),
    }
    lake.run(_ACT_ALONE.format(**words))


def _desired(relation: str) -> str:
    return f"""SELECT shard, record_id, document_id, content_hash AS wanted_content, metadata_hash AS wanted_metadata
               FROM {relation}"""


def _spare_what_is_written(lake: Lake) -> None:
    """What is written over must not be closed after it: metadata that somebody changed under the very id of this version."""
    lake.run(
        """UPDATE plan_actions SET end_id = NULL
           WHERE end_id IN (SELECT id FROM plan_actions WHERE id IS NOT NULL)"""
    )


def action_counts(lake: Lake) -> dict[str, int]:
    """Records by action: every ``Action`` is a key."""
    found = lake.rows("SELECT action, count(*) FROM plan_actions GROUP BY action")
    return {action.value: 0 for action in Action} | {str(name): int(count) for name, count in found}


def document_counts(lake: Lake) -> dict[str, int]:
    """Documents by what happens to them: all of a document's records new, all ended, or some of either."""
    added, removed, changed = lake.row(
        f"""SELECT count(*) FILTER (writes AND NOT keeps AND NOT ends), count(*) FILTER (ends AND NOT keeps AND NOT writes),
                   count(*) FILTER ((writes OR ends) AND (keeps OR (writes AND ends)))
            FROM (SELECT document_id, bool_or(id IS NOT NULL) AS writes, bool_or(end_id IS NOT NULL) AS ends,
                         bool_or(action = '{Action.UNCHANGED}') AS keeps
                  FROM plan_actions WHERE action <> '{Action.FOREIGN}' GROUP BY document_id)"""
    )
    return {"added": int(added), "removed": int(removed), "changed": int(changed)}


def action_examples(lake: Lake) -> dict[str, list[str]]:
    """Up to ten document ids by action."""
    rows = lake.rows(
        f"""SELECT action, min(document_id, 10) FROM (
                SELECT DISTINCT action, document_id FROM plan_actions WHERE action <> '{Action.UNCHANGED}')
            GROUP BY action ORDER BY action"""
    )
    return {str(action): [str(document) for document in documents] for action, documents in rows}


def actions_digest(lake: Lake) -> str:
    """Name of the whole list of actions: 32 hex characters. A sum over its rows, as of a version's (``lake.sums``)."""
    count, high, low = lake.row(
        f"""SELECT count(*), {added_up("hashed")} FROM (
                SELECT md5_number(concat_ws(' ', action, record_id, coalesce(id, '-'), coalesce(source_id, '-'),
                                            coalesce(end_id, '-'))) AS hashed
                FROM plan_actions WHERE action <> '{Action.UNCHANGED}')"""
    )
    return hashlib.sha256(f"{count} {int(high or 0)} {int(low or 0)}".encode()).hexdigest()[:32]
