"""Values compared: text, metadata as canonical JSON, and vectors bit by bit as float32. What marks cannot tell.

Laws
----
1. Only what its marks call ``found`` is compared; whatever differs becomes ``tampered``, and what has gone since ``missing``.
2. One batch is in memory at a time, within the target's limits. A record that was compared is not fetched again in one audit,
   whatever version it is judged for: content is in its id, and metadata in its hash.
3. With the values come the marks that a record has now. A record that is not seen at the version by them, or has others than it is
   known to have, is hidden; one with another hash of its metadata is tampered.
"""

import pyarrow as pa

from vector_pipeline.drift.compare import FOUND, HIDDEN, MISSING, TAMPERED
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import append
from vector_pipeline.release.records import records
from vector_pipeline.release.registry import Version
from vector_pipeline.release.values import differing
from vector_pipeline.targets.base import LIVE, Target

_BATCH_BYTES = 128_000_000
_TOLD = ["id", "metadata_hash", "added_in", "removed_in"]


def compare_found(
    lake: Lake, target: Target, namespace: str, version: Version, *, sample: int | None = None, seed: int = 0
) -> int:
    """Compare the found records of ``drift_judged`` (``sample`` of them, the same ones for the same seed); returns how many."""
    # Of several records of one content, a listing without marks does not say which one is seen.
    alone = "AND record_id NOT IN (SELECT base FROM drift_spare)"
    some = "" if sample is None else f"{alone} ORDER BY sha256(id || ' {int(seed)}') LIMIT {int(sample)}"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_chosen AS
            SELECT shard, record_id, id FROM drift_judged WHERE word = '{FOUND}' {some}"""
    )
    gone = compare_chosen(lake, target, namespace, version)
    lake.run(
        f"UPDATE drift_judged SET word = '{TAMPERED}' WHERE word = '{FOUND}' AND id IN (SELECT id FROM drift_spoilt)"
    )
    if gone:
        with lake.registered("drift_gone", pa.table({"id": pa.array(gone, pa.string())})):
            lake.run(
                f"UPDATE drift_judged SET word = '{MISSING}' WHERE word = '{FOUND}' AND id IN (SELECT id FROM drift_gone)"
            )
    return int(lake.row("SELECT count(*) FROM drift_chosen")[0])


def judge_marks(lake: Lake, version: Version, *, newest: int, alone: int | None, still: bool) -> None:
    """Law 3, for what ``compare_found`` compared. ``newest``: the latest version, asked after that; ``alone``: the one ``added_in``
    of the line; ``still``: nobody has written since ``drift_held`` was filled: only then is another mark than the known one wrong.
    """
    number = version.number
    if alone is not None:
        fits = f"t.added_in = {alone} AND t.removed_in = {LIVE}"
    else:
        fits = f"t.added_in <= {number} AND t.removed_in > {number} AND (t.removed_in <= {newest} OR t.removed_in = {LIVE})"
        if still:
            fits += " AND coalesce(h.added_in = t.added_in AND h.removed_in = t.removed_in, true)"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_misplaced AS
            SELECT id, coalesce(t.metadata_hash <> j.metadata_hash, true) AS tampered
            FROM drift_judged j JOIN drift_chosen USING (id) JOIN drift_told t USING (id) JOIN drift_held h USING (id)
            WHERE j.word = '{FOUND}' AND (tampered OR NOT coalesce({fits}, false))"""
    )
    lake.run(
        f"""UPDATE drift_judged SET word = CASE WHEN m.tampered THEN '{TAMPERED}' ELSE '{HIDDEN}' END
            FROM drift_misplaced m WHERE drift_judged.id = m.id AND word = '{FOUND}'"""
    )


def compare_chosen(lake: Lake, target: Target, namespace: str, version: Version) -> list[str]:
    """Compare the records of ``drift_chosen(shard, record_id, id)`` with a version; returns ids that were not there.

    Adds to ``drift_seen`` what was compared, to ``drift_spoilt`` what differs, and to ``drift_told`` the marks of now.
    """
    lake.run(
        """CREATE OR REPLACE TEMP TABLE drift_picked AS
           SELECT row_number() OVER (ORDER BY shard, record_id, id) - 1 AS n, shard, record_id, id
           FROM drift_chosen ANTI JOIN drift_seen USING (id)"""
    )
    total = int(lake.row("SELECT count(*) FROM drift_picked")[0])
    limits = target.capabilities
    rows = min(
        limits.max_batch_records, max(1, min(_BATCH_BYTES, limits.max_batch_bytes) // (4 * version.dimension + 2_000))
    )
    gone: list[str] = []
    for begin in range(0, total, rows):
        wanted = lake.table(
            f"""SELECT shard, record_id, id, 0::BIGINT AS added_in, 0::BIGINT AS removed_in FROM drift_picked
                WHERE n >= {begin} AND n < {begin + rows}"""
        )
        held = target.fetch(namespace, wanted["id"].to_pylist())
        append(lake, "drift_told", held.select(_TOLD))
        spoilt, missing = differing(records(lake, version, wanted), held)
        gone += missing.to_pylist()
        with lake.registered("drift_differs", pa.table({"id": spoilt})):
            lake.run("INSERT INTO drift_spoilt SELECT id FROM drift_differs")
    lake.run("INSERT INTO drift_seen SELECT id FROM drift_picked")
    return gone
