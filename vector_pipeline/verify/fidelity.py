"""Are the vectors that a target holds those of the lake? Records chosen by hash, fetched and compared in float32.

Half of them are of what production has not: that is what a release wrote, and of a large version it is next to nothing. With every
version others are drawn.

Every target returns what was written (its conformance suite proves it): rounding of a normalisation on the way is forgiven, a
quantised, stale or permuted vector is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.hashing import base_record_id
from vector_pipeline.targets.base import Target, Vector
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.sampling import of_change

FETCHED = 300
"""Records that are compared: one wrong in a hundred is found with 95% certainty, of what was added with 78% at least."""
RELATIVE = 1e-4
"""Length of a difference, of the vector's own, that rounding explains. Half precision makes three times as much."""
_PLACE = "md5_number_upper(record_id || $salt)"
"""Where a record stands in the order of a version. Eight bytes each: a million are compared in 50 MB."""
_LISTED = 50
"""Records that are looked for by prefix, because they are not there under their first name."""

Vectors = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What was compared."""

    compared: int
    added: int
    """Of the sample, records that production has not, or has with other metadata."""
    absent: int
    """Records of the sample that the target did not give; ``coverage`` says which."""
    wrong: tuple[Mapping[str, Any], ...]
    """Those that differ, the most different first."""


def compare_vectors(context: GateContext, side: Side) -> Fidelity:
    """The vectors of ``FETCHED`` records of a version where it is deployed."""
    chosen, added = _chosen(context, side)
    documents = dict(chosen)
    names = list(documents)
    wanted, held = vectors_of(context, side, names), _held(context, side, names)
    wrong: list[dict[str, Any]] = []
    for name in names:
        if name in held and name in wanted:
            distance = _distance(wanted[name], held[name])
            if not distance <= RELATIVE:
                wrong.append(
                    {"fault": "vector differs", "id": name, "document_id": documents[name], "distance": distance}
                )
    wrong.sort(key=lambda one: (-one["distance"], one["id"]))
    return Fidelity(len(held), added, len(names) - len(held), tuple(wrong))


def _chosen(context: GateContext, side: Side) -> tuple[list[tuple[str, str]], int]:
    """(record, document) of the sample, and how many of them were added: half, where both groups have as many."""
    other = context.production
    sides = [(side, 1)] if other is None else [(side, 1), (other, 2)]
    keys = " UNION ALL ".join(
        f"""SELECT {_PLACE} AS place, md5_number_lower(record_id || '/' || metadata_hash) AS state, {number} AS side
            FROM {one.chunks}"""
        for one, number in sides
    )
    rows = context.lake.rows(
        f"""WITH states AS (SELECT place, bit_or(side) AS sides FROM ({keys}) GROUP BY place, state),
            drawn AS (SELECT sides = 1 AS added, unnest(min(place, {FETCHED})) AS place FROM states WHERE sides <> 2 GROUP BY added)
            SELECT c.record_id, c.document_id, d.added FROM {side.chunks} c JOIN drawn d ON {_PLACE} = d.place
            ORDER BY d.place, c.record_id""",
        {"salt": side.version.digest},
    )
    new, old = ([(str(record), str(name)) for record, name, added in rows if added is which] for which in (True, False))
    count = of_change(len(new), len(old), FETCHED)
    return [*new[:count], *old[: FETCHED - count]], count


def _distance(wanted: npt.NDArray[np.float32], held: npt.NDArray[np.float32]) -> float:
    """Of the lake's length; 0 where both are the same, whatever they are."""
    if wanted.shape == held.shape and np.array_equal(wanted, held, equal_nan=True):
        return 0.0
    if wanted.shape != held.shape:
        return float("inf")
    a, b = wanted.astype(np.float64), held.astype(np.float64)
    length = float(np.linalg.norm(a))
    distance = float(np.linalg.norm(a - b)) / (length or 1.0)
    return distance if np.isfinite(distance) else float("inf")


def vectors_of(context: GateContext, side: Side, records: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Vectors of records in the lake, by record id; unknown ids are left out."""
    if not records:
        return {}
    lake = context.lake
    with lake.registered("wanted_vectors", pa.table({"record_id": pa.array(records, pa.string())})):
        found = lake.table(
            f"""WITH named AS (SELECT c.shard, c.content_hash, c.record_id
                    FROM {side.chunks} c SEMI JOIN wanted_vectors USING (record_id))
                SELECT n.record_id, e.vector FROM named n JOIN {side.tables.embeddings} e USING (shard, content_hash)"""
        )
    return _by_name(found["record_id"], found["vector"])


def _held(context: GateContext, side: Side, records: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Vectors of records in the target as the version's readers see them, by record id without generation."""
    target = context.target(side)
    held = _seen(target, side, records)
    # A content that came back stands under another generation: it is listed by its prefix.
    lost = [name for name in records if name not in held][:_LISTED]
    others = [
        identifier
        for name in lost
        for batch in target.scan(_namespace(side), prefix=f"{name}~")
        for identifier in batch["id"].to_pylist()
        if base_record_id(identifier) == name
    ]
    return {**held, **_seen(target, side, others)} if others else held


def _seen(target: Target, side: Side, identifiers: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    if not identifiers:
        return {}
    found, number = target.fetch(_namespace(side), identifiers), side.version.number
    seen = [
        a <= number < b for a, b in zip(found["added_in"].to_pylist(), found["removed_in"].to_pylist(), strict=True)
    ]
    found = found.filter(pa.array(seen, pa.bool_()))
    named = pa.chunked_array([pa.array([base_record_id(one) for one in found["id"].to_pylist()], pa.string())])
    return _by_name(named, found["vector"])


def _namespace(side: Side) -> str:
    assert side.deployment is not None
    return side.deployment.namespace


def _by_name(names: pa.ChunkedArray, vectors: pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    held = names.to_pylist()
    rows = [row for chunk in vectors.chunks for row in _rows(chunk)]
    return dict(zip(held, rows, strict=True))


def _rows(column: pa.Array) -> list[npt.NDArray[np.float32]]:
    """Each list as an array; of any length."""
    return [
        np.asarray(one.values.to_numpy(zero_copy_only=False), dtype=np.float32)
        if one.is_valid
        else np.empty(0, np.float32)
        for one in column
    ]


def score_of(metric: str, query: Vector, vector: Vector) -> float:
    """Score of one record, as targets tell it: higher is better."""
    a, b = query.astype(np.float64), vector.astype(np.float64)
    if metric == "dotproduct":
        return float(a @ b)
    if metric == "euclidean":
        return -float(np.linalg.norm(a - b))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0
