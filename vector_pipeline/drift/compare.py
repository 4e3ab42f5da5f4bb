"""One version against what the target holds: every record that should be there or is there gets one word.

Laws
----
1. Expected is the lake's snapshot of the version, never the journal: the version must read back with its digest first.
2. Each wanted record is ``found``, ``missing``, ``hidden`` or ``tampered``: their sum is the size of the snapshot. What is visible
   at the version and not wanted is ``stale`` where some version of the dataset explains the content, else ``foreign``. Foreign
   ids and spaces, and fields that contradict an id, are told wherever they are, visible or not. What is visible now and ends with
   a version that does not exist yet is hidden too: it would vanish one day. Where a listing has no marks, and
   what has expired is still in the line, ids of our form that nothing explains are ``doubtful``: they may be its closed records.
3. Set against set in the lake's engine: nothing here costs Python time by record.
"""

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at
from vector_pipeline.release.registry import Registry, Version
from vector_pipeline.release.snapshot import require_whole, tables_of
from vector_pipeline.targets.base import LIVE

FOUND, MISSING, HIDDEN, TAMPERED, STALE, FOREIGN = "found", "missing", "hidden", "tampered", "stale", "foreign"
DOUBTFUL = "doubtful"
_UNEXPECTED = "unexpected"
_EXAMPLES = 10


def judge(lake: Lake, registry: Registry, version: Version, *, alone: bool = False, doubtful: bool = False) -> None:
    """Fill ``drift_judged(word, shard, record_id, id, document_id)`` for a version from ``drift_held``.

    ``id``: as it is held. ``alone``: on such a line what is not visible must not be there either, unless it is wanted.
    ``doubtful``: what no version explains may be of one that has expired.
    """
    require_whole(lake, version)
    number, wanted = version.number, at(tables_of(version).chunks, version.lake_snapshot)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_visible AS
            SELECT id, base, document_id, metadata_hash, added_in, removed_in, sound FROM drift_held
            WHERE ours AND coalesce(added_in <= {number} AND removed_in > {number}, true)"""
    )
    _find_doubled(lake, wanted)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_judged AS
            SELECT CASE WHEN v.id IS NULL THEN '{MISSING}'
                        WHEN NOT v.sound THEN '{TAMPERED}'
                        WHEN w.record_id IS NULL THEN '{_UNEXPECTED}'
                        WHEN v.metadata_hash <> w.metadata_hash THEN '{TAMPERED}'
                        WHEN v.removed_in > {newest_of(registry, version)} AND v.removed_in <> {LIVE} THEN '{HIDDEN}'
                        ELSE '{FOUND}' END AS word,
                   w.shard, coalesce(w.record_id, v.base) AS record_id, v.id,
                   coalesce(w.document_id, v.document_id) AS document_id, w.metadata_hash
            FROM (SELECT shard, record_id, document_id, metadata_hash FROM {wanted}) w
            FULL JOIN (SELECT * FROM drift_visible ANTI JOIN drift_spare USING (id)) v ON v.base = w.record_id"""
    )
    _add_the_rest(lake, number)
    _find_hidden(lake, registry, version)
    if alone:
        lake.run(
            f"""INSERT INTO drift_judged SELECT '{_UNEXPECTED}', NULL, base, id, document_id, NULL FROM drift_held
                WHERE ours AND sound AND removed_in = 0 AND base NOT IN (SELECT record_id FROM {wanted})"""
        )
    _explain(lake, registry, version, DOUBTFUL if doubtful else FOREIGN)


def newest_of(registry: Registry, version: Version) -> int:
    """The latest version of its dataset. Asked after the listing: whatever a push of ours had closed by then is not above it."""
    return max(one.number for one in registry.versions(version.dataset))


def _find_doubled(lake: Lake, wanted: str) -> None:
    """``drift_spare``: all but one of the records of one base that are visible together; the one that fits best is no spare."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_spare AS
            WITH doubled AS (SELECT base FROM drift_visible GROUP BY base HAVING count(*) > 1)
            SELECT id, base, document_id, sound FROM (
                SELECT v.*, row_number() OVER (
                    PARTITION BY v.base
                    ORDER BY v.sound DESC, coalesce(v.metadata_hash = w.metadata_hash, false) DESC, v.added_in DESC, v.id DESC
                ) AS rank
                FROM (SELECT * FROM drift_visible SEMI JOIN doubled USING (base)) v
                LEFT JOIN (SELECT record_id, metadata_hash FROM {wanted} SEMI JOIN doubled ON base = record_id) w
                       ON w.record_id = v.base)
            WHERE rank > 1"""
    )


def _add_the_rest(lake: Lake, number: int) -> None:
    """What no wanted record is compared with: spares, records that are foreign by id or space, and unsound invisible ones."""
    lake.run(
        f"""INSERT INTO drift_judged
            SELECT CASE WHEN sound THEN '{STALE}' ELSE '{TAMPERED}' END, NULL, base, id, document_id, NULL FROM drift_spare
            UNION ALL
            SELECT CASE WHEN ours THEN '{TAMPERED}' ELSE '{FOREIGN}' END, NULL, base, id, document_id, NULL FROM drift_held
            WHERE NOT ours OR (NOT sound AND NOT (added_in <= {number} AND removed_in > {number}))"""
    )


def _find_hidden(lake: Lake, registry: Registry, version: Version) -> None:
    """What is not visible, and held under marks that no version explains, is hidden. A record that was rightly closed, by a version
    that did not want it, is another one than that which is missing now.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_hidden AS
            SELECT h.base, h.metadata_hash, h.removed_in
            FROM drift_held h SEMI JOIN drift_judged j
              ON j.word = '{MISSING}' AND j.record_id = h.base AND j.metadata_hash = h.metadata_hash
            WHERE h.ours AND h.sound AND least(h.added_in, h.removed_in) <= {version.number}"""
    )
    closed = {int(number) for (number,) in lake.rows("SELECT DISTINCT removed_in FROM drift_hidden")}
    for other in registry.versions(version.dataset) if closed else []:
        if other.number not in closed or other.chunk_table != version.chunk_table:
            continue
        wants = f"SELECT record_id, metadata_hash FROM {at(tables_of(other).chunks, other.lake_snapshot)}"
        if other.expired_at is None:
            lake.run(
                f"""DELETE FROM drift_hidden WHERE removed_in = {other.number} AND (base, metadata_hash) NOT IN ({wants})"""
            )
        else:
            lake.run(f"DELETE FROM drift_hidden WHERE removed_in = {other.number}")
    lake.run(
        f"""UPDATE drift_judged SET word = '{HIDDEN}' WHERE word = '{MISSING}'
            AND (record_id, metadata_hash) IN (SELECT (base, metadata_hash) FROM drift_hidden)"""
    )


def _explain(lake: Lake, registry: Registry, version: Version, unknown: str) -> None:
    """Content that another version of these tables has is stale; what none has is ``unknown``."""
    others = [one for one in reversed(registry.versions(version.dataset)) if one.chunk_table == version.chunk_table]
    for other in others:
        if not lake.row(f"SELECT count(*) FROM drift_judged WHERE word = '{_UNEXPECTED}'")[0]:
            return
        if other.expired_at is None and other.number != version.number:
            try:
                lake.run(
                    f"""UPDATE drift_judged SET word = '{STALE}' WHERE word = '{_UNEXPECTED}'
                        AND record_id IN (SELECT record_id FROM {at(tables_of(other).chunks, other.lake_snapshot)})"""
                )
            except NotFoundError:
                continue  # The lake was made anew since: what it does not hold explains nothing.
    lake.run(f"UPDATE drift_judged SET word = '{unknown}' WHERE word = '{_UNEXPECTED}'")


def counts(lake: Lake) -> dict[str, int]:
    """Records by word."""
    return {str(word): int(count) for word, count in lake.rows("SELECT word, count(*) FROM drift_judged GROUP BY word")}


def examples(lake: Lake) -> dict[str, list[str]]:
    """Up to ten records a word, but for those found: document and record id, fit to be printed."""
    rows = lake.rows(
        f"""SELECT word, list(name ORDER BY name)[:{_EXAMPLES}] FROM (
                SELECT word, concat_ws(' ', nullif(document_id, ''), coalesce(id, record_id)) AS full_name,
                       regexp_replace(full_name, '[[:cntrl:]]', '?', 'g') AS name FROM drift_judged WHERE word <> '{FOUND}'
                QUALIFY row_number() OVER (PARTITION BY word ORDER BY document_id, record_id, id) <= {_EXAMPLES})
            GROUP BY word ORDER BY word"""
    )
    return {str(word): [str(name) for name in names] for word, names in rows}


def told(counts: dict[str, int], examples: dict[str, list[str]]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Counts and examples as people read them: what is hidden and what is stale are both stale marks."""
    stale = sorted([*examples.get(HIDDEN, []), *examples.get(STALE, [])])[:_EXAMPLES]
    shown = {word: examples[word] for word in (MISSING, FOREIGN, TAMPERED) if word in examples}
    numbers = {word: counts.get(word, 0) for word in (MISSING, FOREIGN, TAMPERED)}
    return {**numbers, "stale_marks": counts.get(HIDDEN, 0) + counts.get(STALE, 0)}, {
        **shown,
        **({"stale_marks": stale} if stale else {}),
    }
