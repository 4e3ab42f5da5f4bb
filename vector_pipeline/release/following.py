"""The comparison of a line with a version, cut down to what changed since the version that the line holds.

Laws
----
1. It is done where a ledger tells what the line holds: the target's mark, the registry's record and the newest push into the line
   agree that it is as our last finished push left it, no gate failed on it since, and both versions are proved to be what the
   registry says by their digests. Whatever does not agree, or cannot be read, leaves it to the full comparison.
2. All that ``comparing`` asks of the records of one content depends on those of this content alone. Of contents that did not change
   between the two versions nothing would be done, so the comparison of all others is the comparison.
3. Marks of records that the line has under their bare id are what the version that it holds says; their beginning is not known, and
   asked by nothing: they are visible, and older than any other generation.
"""

from dataclasses import dataclass

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import sql_base_record_id
from vector_pipeline.lake import between
from vector_pipeline.lake.changes import find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.snapshots import combined
from vector_pipeline.lake.tables import at
from vector_pipeline.lake.whole_records import stretched
from vector_pipeline.release import ledger
from vector_pipeline.release.comparing import OUR_ID
from vector_pipeline.release.ledger import Ledger
from vector_pipeline.release.plan import Action, StageKind
from vector_pipeline.release.registry import PushStatus, Registry, VerdictStatus, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, NamespaceState, Target

_MOST = 4
"""A difference of more than one in so many records is compared in full: it would not be faster."""
_COLUMNS = ("shard", "document_id", "content_hash", "metadata_hash", "record_id")
_NAMES = ", ".join(MARK_SCHEMA.names)
NET = "follow_net"
"""The rows that came and went between the version that the line holds and the other, by ``find_changes``."""
DESIRED = "follow_desired"
"""The records of the version that differ from those of the version that the line holds; with texts, and ``place``."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry knows of a line, for ``followed``."""

    registry: Registry
    ours: str | None
    """Its mark after our last finished write."""
    newest: int | None
    """The latest other version that the registry knows in it."""


def followed(lake: Lake, version: Version, target: Target, state: NamespaceState, line: Known) -> Ledger | None:
    """Fill ``observed`` and ``DESIRED`` with what differs, for ``comparing.compare_shared``; None where that may not be (law 1)."""
    try:
        known = _ledger(lake, version, target, state, line)
        if known is None or not _load_changes(lake, version, known):
            return None
        _observe(lake, version, known)
    except VectorPipelineError:
        return None
    return known


def _ledger(lake: Lake, version: Version, target: Target, state: NamespaceState, line: Known) -> Ledger | None:
    """Law 1, but for the lake's part."""
    if state.mark != line.ours or (line.newest or 0) > version.number:
        return None
    known = ledger.find(lake, target, state)
    if known is None or known.grown or known.of.version > version.number or known.held != state.records:
        return None
    newest = line.registry.newest_push(target.name, state.spec.name)
    if newest is None or newest.id != known.of.push or newest.status is not PushStatus.DONE:
        return None
    verdicts = line.registry.verdicts(newest.deployment_id)
    if any(one.status is VerdictStatus.FAILED and one.mark == state.mark for one in verdicts):
        # A hand between two writes of ours passes for ours (``reading_back``): a gate that lists everything has seen it, perhaps.
        return None
    if known.of.registry != line.registry.id or known.of.dataset != version.dataset:
        return None
    before = line.registry.version(version.dataset, known.of.version)
    stood = (before.digest, before.lake_snapshot, before.fingerprint, before.records)
    same = stood == (known.of.digest, known.of.lake_snapshot, known.of.fingerprint, known.of.records)
    if not same or before.expired_at is not None or tables_of(before) != tables_of(version):
        return None
    return (
        known if before.fingerprint == version.fingerprint and before.lake_snapshot <= version.lake_snapshot else None
    )


def _load_changes(lake: Lake, version: Version, known: Ledger) -> bool:
    """Whether the change feed tells what differs, and both ends are what they should be."""
    tables, old, new = tables_of(version), known.of.lake_snapshot, version.lake_snapshot
    if not find_changes(lake, tables.dataset, tables.chunk_table, _COLUMNS, old, new, NET, expected=known.of.records):
        return False
    rows, keys, most = lake.row(
        f"SELECT count(*), count(DISTINCT record_id || sign(net)::VARCHAR), coalesce(max(abs(net)), 0) FROM {NET}"
    )
    if most > 1 or keys != rows or rows > max(version.records // _MOST, ledger.LITTLE):
        return False
    shards = between.shards_at(lake, tables, new)
    if combined(shards) != version.digest or sum(one.records for one in shards.values()) != version.records:
        return False
    before = between.before(lake, shards, NET)
    return combined(before) == known.of.digest and between.load_inserted(lake, tables, old, new, NET, DESIRED)


def _observe(lake: Lake, version: Version, known: Ledger) -> None:
    """As ``comparing.observe`` does of everything, of the contents that differ."""
    base = sql_base_record_id("id")
    beside = ledger.rows_of(lake, known.files, f"{base} IN (SELECT record_id FROM {NET})")
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE observed AS
            WITH beside AS (SELECT {_NAMES}, {base} AS base FROM ({beside})),
            whole AS (
                SELECT {_NAMES}, base FROM beside
                UNION ALL
                SELECT record_id, document_id, content_hash, metadata_hash, '{version.fingerprint}', 0, {LIVE}, record_id
                FROM {NET} WHERE net < 0 AND record_id NOT IN (SELECT base FROM beside WHERE removed_in = {LIVE}))
            SELECT *, coalesce(regexp_matches(id, '{OUR_ID}') AND space = '{version.fingerprint}', false) AS ours
            FROM whole"""
    )


def complete(lake: Lake, version: Version) -> None:
    """Add to ``plan_actions`` what ``comparing.document_counts`` asks: one unchanged record of each document that keeps one."""
    tables = tables_of(version)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE follow_documents AS
            SELECT document_id FROM plan_actions WHERE action <> '{Action.FOREIGN}' GROUP BY document_id
            HAVING NOT bool_or(action = '{Action.UNCHANGED}') AND bool_or(id IS NOT NULL) <> bool_or(end_id IS NOT NULL)"""
    )
    if lake.row("SELECT count(*) FROM follow_documents")[0]:
        lake.run(
            f"""INSERT INTO plan_actions (action, shard, record_id, document_id)
                SELECT '{Action.UNCHANGED}', any_value(shard), any_value(record_id), document_id
                FROM (SELECT shard, record_id, document_id FROM {at(tables.chunks, version.lake_snapshot)})
                SEMI JOIN follow_documents USING (document_id) ANTI JOIN {DESIRED} USING (record_id)
                GROUP BY document_id"""
        )


def load_places(lake: Lake, version: Version, known: Ledger) -> None:
    """Fill ``follow_places`` (record_id, chunk_place, vector_place) with the records whose vectors are written and in the lake."""
    written = f"SELECT d.* FROM {DESIRED} d SEMI JOIN (FROM plan_actions WHERE stage = '{StageKind.UPSERT}') USING (record_id)"
    needed = f"SELECT shard, content_hash FROM ({written})"
    between.load_places(lake, tables_of(version), known.of.lake_snapshot, needed, "follow_vectors")
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE follow_places AS
            SELECT w.shard, w.record_id, w.place AS chunk_place, v.place AS vector_place
            FROM ({written}) w JOIN follow_vectors v USING (shard, content_hash)"""
    )


def vectors_within(lake: Lake) -> str:
    """SQL condition on the row ids of vectors: around those of ``follow_places``."""
    return stretched(lake.table("SELECT vector_place FROM follow_places")["vector_place"])
