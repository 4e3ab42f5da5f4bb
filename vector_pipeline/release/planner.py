"""Desired against observed → ``Plan``: set-based, over relations, for the versioned strategy.

Laws
----
1. Observed is what the target holds now, never what was recorded: a half-done or abandoned push needs no special case. What it
   left is either visible at the new version and wanted (kept), visible and unwanted (closed), or invisible (ignored).
2. A record is visible at version v when ``added_in <= v < removed_in``. After apply, the records visible at v are exactly the
   snapshot's, each once; those visible at any other version are what they were.
3. Ids: content that the namespace has never held takes its record id; content that returns takes a generation, ``~v``.
   An id that carries another version's interval is never written again.
4. A namespace that already holds a later version takes no earlier one: going back is an alias move, not a push.
"""

from collections.abc import Iterable

import pyarrow as pa

from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import sql_base_record_id
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage as stage_rows
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.release.plan import Action, Plan, Preconditions, Stage, StageKind, Strategy
from vector_pipeline.release.registry import Version
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, Target

_OUR_ID = r"^[0-9a-f]{24}#[0-9a-f]{24}(\.[0-9]+)?(~[0-9]+)?$"
OVERHEAD = 200
"""Bytes that ids, hashes and marks of a record take on the way; an estimate for people."""


def namespace_of(dataset: str, space: str, fingerprint: str) -> str:
    """Name of the namespace that holds a dataset in a space: another model or chunker gets another namespace.

    Two datasets or spaces never share one: their names hold no ``-``.
    """
    return f"{dataset}--{space}--{fingerprint[:8]}"


def make_plan(
    lake: Lake, tables: SpaceTables, version: Version, target: Target, *, environment: str, namespace: str
) -> Plan:
    """Look at the target and compare. Leaves the actions in the temporary table ``plan_actions`` for ``apply``."""
    if not target.capabilities.numeric_filters:
        raise RefusedError(f"target {target.name} cannot filter by number: the versioned strategy needs that")
    state = target.describe(namespace)
    observe(lake, target.scan(namespace) if state is not None else ())
    classify(lake, at(tables.chunks, version.lake_snapshot), version.number, version.fingerprint)
    actions = {action.value: 0 for action in Action} | {
        str(name): int(count) for name, count in lake.rows("SELECT action, count(*) FROM plan_actions GROUP BY action")
    }
    _refuse_older(lake, version, namespace, actions)
    stages = _stages(lake, tables, version, target, exists=state is not None)
    return Plan(
        dataset=version.dataset,
        environment=environment,
        target=target.name,
        namespace=namespace,
        space=version.space,
        fingerprint=version.fingerprint,
        dimension=version.dimension,
        metric=version.metric,
        version=version.number,
        goal="staging",
        strategy=Strategy.VERSIONED,
        why="the target filters by number: readers keep their version until the alias moves, and going back writes nothing",
        actions=actions,
        documents=_documents(lake),
        examples=_examples(lake),
        stages=stages,
        preconditions=Preconditions(
            version.lake_snapshot, version.digest, state.mark if state is not None else None, _digest(lake)
        ),
    )


def observe(lake: Lake, batches: Iterable[pa.RecordBatch]) -> None:
    """Temporary table ``observed``: everything that the target holds, with the base of each id."""
    stage_rows(lake, "observed_rows", MARK_SCHEMA, batches)
    lake.run(
        f"CREATE OR REPLACE TEMP TABLE observed AS SELECT *, {sql_base_record_id('id')} AS base FROM observed_rows"
    )


def _refuse_older(lake: Lake, version: Version, namespace: str, actions: dict[str, int]) -> None:
    """Law 4. A version that stands there whole, older or not, is an empty plan and always welcome."""
    newest = lake.row(
        f"""SELECT max(greatest(added_in, CASE WHEN removed_in <> {LIVE} THEN removed_in ELSE 0 END)) FROM observed
            WHERE regexp_matches(id, '{_OUR_ID}')"""
    )[0]
    changes = sum(count for action, count in actions.items() if action != Action.UNCHANGED)
    if newest is not None and newest > version.number and changes:
        stood = lake.rows(
            f"""SELECT 1 FROM observed WHERE {version.number} IN (added_in, removed_in) AND regexp_matches(id, '{_OUR_ID}')
                LIMIT 1"""
        )
        what = f"{namespace} already holds version {newest}; version {version.number} can no longer be pushed into it"
        if stood:
            raise RefusedError(
                f"{what}, and is not whole there any more ({changes} records differ): it was changed by hand, or never "
                "pushed to its end",
                fix=f"Bring the source to what you want to serve, then: vector-pipeline build {version.dataset}",
            )
        raise RefusedError(
            f"{what}, and never was",
            fix=f"Push a later version, or go back to one that was served: vector-pipeline history {version.dataset}",
        )


def classify(lake: Lake, desired: str, version: int, fingerprint: str) -> None:
    """Fill ``plan_actions(action, shard, record_id, document_id, id, close_id)`` from relation ``desired`` and table ``observed``.

    ``id`` is what will be written (add, metadata); ``close_id`` is what will be closed (remove, metadata, foreign).
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE plan_actions AS
        WITH visible AS (
            SELECT *, regexp_matches(id, '{_OUR_ID}') AND space = '{fingerprint}' AS ours,
                   -- Of two visible generations of one content the newer is kept.
                   row_number() OVER (PARTITION BY base ORDER BY added_in DESC, id DESC) AS age
            FROM observed WHERE added_in <= {version} AND removed_in > {version}),
        current AS (SELECT * FROM visible WHERE ours AND age = 1),
        taken AS (SELECT DISTINCT base FROM observed),
        compared AS (
            SELECT d.shard, d.record_id, coalesce(d.document_id, c.document_id) AS document_id, c.id AS current_id,
                   CASE WHEN c.id IS NULL THEN '{Action.ADD}'
                        WHEN d.record_id IS NULL THEN '{Action.REMOVE}'
                        WHEN c.metadata_hash <> d.metadata_hash THEN '{Action.METADATA}'
                        ELSE '{Action.UNCHANGED}' END AS action
            FROM (SELECT shard, record_id, document_id, metadata_hash FROM {desired}) d
            FULL JOIN current c ON c.base = d.record_id)
        SELECT p.action, p.shard, coalesce(p.record_id, split_part(p.current_id, '~', 1)) AS record_id, p.document_id,
               CASE WHEN p.action IN ('{Action.ADD}', '{Action.METADATA}')
                    THEN p.record_id || CASE WHEN t.base IS NULL THEN '' ELSE '~{version}' END END AS id,
               CASE WHEN p.action IN ('{Action.REMOVE}', '{Action.METADATA}') THEN p.current_id END AS close_id
        FROM compared p LEFT JOIN taken t ON t.base = p.record_id
        UNION ALL
        SELECT '{Action.FOREIGN}', NULL, base, document_id, NULL, id FROM visible WHERE NOT ours OR age > 1"""
    )
    # Metadata that changed back within one version would close the very id that is to be written: write it over instead.
    lake.run("UPDATE plan_actions SET close_id = NULL WHERE close_id = id")


def _stages(lake: Lake, tables: SpaceTables, version: Version, target: Target, *, exists: bool) -> tuple[Stage, ...]:
    limits = target.capabilities
    adds, size = lake.row(
        f"""SELECT count(*), coalesce(sum(strlen(c.text) + strlen(c.metadata)), 0)::BIGINT
            FROM (SELECT record_id FROM plan_actions WHERE id IS NOT NULL) a
            JOIN {at(tables.chunks, version.lake_snapshot)} c USING (record_id)"""
    )
    closes = int(lake.row("SELECT count(*) FROM plan_actions WHERE close_id IS NOT NULL")[0])
    stages = []
    if not exists:
        stages.append(Stage(StageKind.ENSURE_NAMESPACE))
    if adds:
        total = int(size) + int(adds) * (4 * version.dimension + OVERHEAD)
        requests = max(_ceil(int(adds), limits.max_batch_records), _ceil(total, limits.max_batch_bytes))
        stages.append(Stage(StageKind.UPSERT, int(adds), total, requests))
    if closes:
        stages.append(Stage(StageKind.CLOSE, closes, closes * 60, _ceil(closes, limits.max_batch_records)))
    return tuple(stages)


def _ceil(amount: int, unit: int) -> int:
    return -(-amount // unit)


def _documents(lake: Lake) -> dict[str, int]:
    """Documents by what happens to them: all of a document's records new, all closed, or some of either."""
    added, removed, changed = lake.row(
        f"""SELECT count(*) FILTER (writes AND NOT keeps AND NOT closes), count(*) FILTER (closes AND NOT keeps AND NOT writes),
                   count(*) FILTER ((writes OR closes) AND (keeps OR (writes AND closes)))
            FROM (SELECT document_id, bool_or(id IS NOT NULL) AS writes, bool_or(close_id IS NOT NULL) AS closes,
                         bool_or(action = '{Action.UNCHANGED}') AS keeps
                  FROM plan_actions GROUP BY document_id)"""
    )
    return {"added": int(added), "removed": int(removed), "changed": int(changed)}


def _examples(lake: Lake) -> dict[str, list[str]]:
    rows = lake.rows(
        f"""SELECT action, list(document_id ORDER BY document_id)[:10] FROM (
                SELECT DISTINCT action, document_id FROM plan_actions WHERE action <> '{Action.UNCHANGED}')
            GROUP BY action ORDER BY action"""
    )
    return {str(action): [str(document) for document in documents] for action, documents in rows}


def _digest(lake: Lake) -> str:
    """Name of the whole list of actions: 32 hex characters."""
    value = lake.row(
        f"""SELECT sha256(coalesce(string_agg(concat_ws(' ', action, record_id, id, close_id), '\n'
                                   ORDER BY record_id, id, close_id), ''))
            FROM plan_actions WHERE action <> '{Action.UNCHANGED}'"""
    )[0]
    return str(value)[:32]
