"""Values compared: text, metadata as canonical JSON, and vectors bit by bit as float32. What marks cannot tell.

Laws
----
1. Only what its marks call ``found`` is compared; whatever differs becomes ``tampered``, and what has gone since ``missing``.
2. One batch is in memory at a time, within the target's limits. A record that was compared is not fetched again in one audit,
   whatever version it is judged for: content is in its id, and metadata in its hash.
"""

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.drift.compare import FOUND, MISSING, TAMPERED
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.records import records
from vector_pipeline.release.registry import Version
from vector_pipeline.targets.base import Target

_BATCH_BYTES = 128_000_000


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


def compare_chosen(lake: Lake, target: Target, namespace: str, version: Version) -> list[str]:
    """Compare the records of ``drift_chosen(shard, record_id, id)`` with a version; returns ids that were not there.

    Adds to ``drift_seen`` what was compared and to ``drift_spoilt`` what differs.
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
        spoilt, missing = differing(records(lake, version, wanted), target.fetch(namespace, wanted["id"].to_pylist()))
        gone += missing.to_pylist()
        with lake.registered("drift_differs", pa.table({"id": spoilt})):
            lake.run("INSERT INTO drift_spoilt SELECT id FROM drift_differs")
    lake.run("INSERT INTO drift_seen SELECT id FROM drift_picked")
    return gone


def differing(wanted: pa.Table, held: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Ids whose text, metadata or vector differ, and ids that are not held. Both tables are ``record_schema``."""
    place = pc.index_in(wanted["id"], value_set=held["id"])
    present = pc.is_valid(place)
    missing = wanted["id"].filter(pc.invert(present)).combine_chunks()
    wanted, held = wanted.filter(present), held.take(place.filter(present))
    differs = np.zeros(wanted.num_rows, dtype=np.bool_)
    differs |= _unequal(wanted["text"], held["text"])
    differs |= _other_metadata(wanted["metadata"], held["metadata"])
    differs |= (_bits(wanted["vector"]) != _bits(held["vector"])).any(axis=1)
    return wanted["id"].filter(pa.array(differs)).combine_chunks(), missing


def _unequal(a: pa.ChunkedArray, b: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.fill_null(pc.not_equal(a, b), True).to_numpy()
    return found


def _other_metadata(a: pa.ChunkedArray, b: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Equal texts are equal values. Only the others are parsed: a target may write JSON in another way."""
    found = np.array(_unequal(a, b))
    for index in np.flatnonzero(found):
        found[index] = _canonical(a[int(index)].as_py()) != _canonical(b[int(index)].as_py())
    return found


def _canonical(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return canonical_json(json.loads(text))
    except ValueError:
        return text


def _bits(vectors: pa.ChunkedArray) -> npt.NDArray[np.uint32]:
    """uint32[n, dim]: NaN equals NaN, and -0 is not 0."""
    width = vectors.type.list_size
    flat = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, dtype=np.float32).view(np.uint32).reshape(len(vectors), width)
