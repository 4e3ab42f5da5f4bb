"""Were these vectors made by the space's model from these texts? A sample of the matched texts is embedded anew and compared.

Laws
----
1. An index may hold vectors of several models. Records are told apart by what tells who wrote them: how the text matched, the
   shape of the id, the metadata keys, whether the vector is normalised. Each such group is sampled, the large ones more; small
   groups share one.
2. A group is kept when at least ``SAME_SHARE`` of its sample agrees; of a group that was compared whole, each that agrees is.
   What was compared and does not agree is never kept.
3. A content with two different vectors in what would be kept is kept only where one of them was itself compared.
4. The same index and source give the same sample.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from vector_pipeline.adopt.comparing import SAME_COSINE, Unseen, at_most_wrong, compare, embed_again
from vector_pipeline.adopt.inventory import UNIT_TOLERANCE, Inventory
from vector_pipeline.adopt.matching import KINDS
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.lake.connection import Lake
from vector_pipeline.targets.base import Target

SAME_SHARE = 0.999
"""Share of a group's sample that has to agree."""
SAMPLE = 256
"""Texts that are embedded to compare, over all groups."""
_LEAST = 16
"""Sampled of a group, where it has as many. All groups take half of the sample so; the other half goes by their size."""
_STEPS = (SAME_COSINE, 0.99, 0.9, 0.5)


@dataclass(frozen=True, slots=True)
class Group:
    """Records that look as if one program had written them."""

    name: str
    records: int
    compared: int
    agree: int
    kept: bool


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What the comparison says. ``verdict``: same, mixed, other, dimension, nothing."""

    verdict: str
    why: str
    compared: int = 0
    agree: int = 0
    cosines: tuple[float, float, float] | None = None
    """Least, median, most."""
    distribution: dict[str, int] | None = None
    groups: tuple[Group, ...] = ()
    usable: int = 0
    """Contents whose vector in the index is the space's."""
    disputed: int = 0
    """Contents with several different vectors, none of which was itself compared: embedded anew."""
    at_most_wrong: float = 0.0
    """With 95% confidence no larger share of what is kept was made otherwise (``comparing.at_most_wrong``)."""
    normalise: int = 0
    """Of the usable, vectors that are scaled to length one on the way."""
    texts_per_s: float | None = None
    """Measured while the sample was embedded."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def without_comparison(lake: Lake, verdict: str, why: str) -> ModelCheck:
    """No vector is kept."""
    lake.run("CREATE OR REPLACE TEMP TABLE adopt_usable (content_hash VARCHAR, id VARCHAR, vector_hash VARCHAR)")
    return ModelCheck(verdict, why)


def check_model(
    lake: Lake,
    target: Target,
    inventory: Inventory,
    chunks: str,
    embedder: Embedder,
    *,
    normalize: bool,
    sample: int = SAMPLE,
    on_embed: Callable[[int, int], None] | None = None,
) -> ModelCheck:
    """Compare, and leave ``adopt_usable(content_hash, id, vector_hash)``: one record for each content to keep."""
    if inventory.dimension != embedder.dimension:
        why = f"the index has {inventory.dimension} dimensions, the space {embedder.dimension}"
        return without_comparison(lake, "dimension", why)
    _group(lake, sample)
    chosen = lake.table("SELECT id, content_hash, vector_hash FROM adopt_sample ORDER BY id")
    if not chosen.num_rows:
        return without_comparison(lake, "nothing", "no record of the index says what the source says, with a vector")
    made, rate = embed_again(lake, chunks, embedder, chosen, on_embed)
    found = target.fetch(inventory.namespace, chosen["id"].to_pylist())
    cosines, agrees = compare(chosen, made, found, normalize=normalize)
    compared = pa.table({"id": chosen["id"], "cosine": pa.array(cosines), "agrees": pa.array(agrees)})
    with lake.registered("adopt_comparison", compared):
        lake.run("CREATE OR REPLACE TEMP TABLE adopt_compared AS SELECT * FROM adopt_comparison")
    return _judged(lake, rate, normalize=normalize)


def _group(lake: Lake, sample: int) -> None:
    """Tables ``adopt_candidates`` (with their group) and ``adopt_sample``."""
    least = max(1, min(_LEAST, sample))
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE adopt_candidates AS
            WITH c AS (
                SELECT r.id, m.content_hash, r.vector_hash, m.kind, r.shape,
                       abs(r.norm - 1) <= {UNIT_TOLERANCE} AS unit, r.keys_hash
                FROM adopt_matched m JOIN adopt_records r USING (id) WHERE m.content_hash IS NOT NULL AND r.norm > 0),
            sized AS (SELECT kind, shape, unit, keys_hash, count(*) AS size FROM c GROUP BY ALL),
            ranked AS (SELECT kind, shape, unit, keys_hash,
                              row_number() OVER (ORDER BY size DESC, kind, shape, unit, keys_hash) AS rank FROM sized)
            SELECT c.*, CASE WHEN rank <= {max(1, sample // (2 * least) - 1)} THEN rank ELSE 0 END AS band
            FROM c JOIN ranked USING (kind, shape, unit, keys_hash)"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE adopt_sample AS
            WITH sized AS (SELECT band, count(*) AS size FROM adopt_candidates GROUP BY band),
            share AS (SELECT band, {least} + greatest(0, {int(sample)} - {least} * count(*) OVER ()) * size
                                   // (sum(size) OVER ())::BIGINT AS each FROM sized)
            SELECT id, content_hash, vector_hash FROM adopt_candidates JOIN share USING (band)
            QUALIFY row_number() OVER (PARTITION BY band ORDER BY md5(id), id) <= each"""
    )


def _judged(lake: Lake, rate: float | None, *, normalize: bool) -> ModelCheck:
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE adopt_groups AS
            SELECT band, count(*) AS records, count(agrees) AS compared, count(*) FILTER (agrees) AS agree,
                   agree >= {SAME_SHARE} * compared AND compared > 0 AS trusted,
                   any_value(kind) AS kind, any_value(shape) AS shape, any_value(unit) AS unit
            FROM adopt_candidates LEFT JOIN adopt_compared USING (id) GROUP BY band"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE adopt_usable AS
           SELECT content_hash, arg_min(id, rank) AS id, arg_min(vector_hash, rank) AS vector_hash,
                  arg_min(unit, rank) AS unit, arg_min(trusted, rank) AS by_group, arg_min(band, rank) AS band
           FROM (SELECT c.*, g.trusted AND p.agrees IS NULL AS trusted,
                        row_number() OVER (PARTITION BY content_hash ORDER BY p.agrees NULLS LAST, c.id) AS rank
                 FROM adopt_candidates c JOIN adopt_groups g USING (band) LEFT JOIN adopt_compared p USING (id)
                 WHERE p.agrees OR (p.agrees IS NULL AND g.trusted))
           GROUP BY content_hash HAVING bool_or(NOT trusted) OR count(DISTINCT vector_hash) = 1"""
    )
    return _summed(lake, rate, normalize=normalize)


def _summed(lake: Lake, rate: float | None, *, normalize: bool) -> ModelCheck:
    steps = ", ".join(f"count(*) FILTER (cosine >= {step})" for step in _STEPS)
    compared, agree, least, median, most, *above = lake.row(
        f"SELECT count(*), count(*) FILTER (agrees), min(cosine), median(cosine), max(cosine), {steps} FROM adopt_compared"
    )
    usable, scaled = lake.row("SELECT count(*), count(*) FILTER (NOT unit) FROM adopt_usable")
    unseen = lake.rows(
        """SELECT g.records, g.compared, g.compared - g.agree, u.kept FROM adopt_groups g
           JOIN (SELECT band, count(*) AS kept FROM adopt_usable WHERE by_group GROUP BY band) u USING (band)"""
    )
    disputed = lake.row(
        """SELECT count(DISTINCT content_hash) FROM adopt_candidates JOIN adopt_groups USING (band)
           LEFT JOIN adopt_compared p USING (id)
           WHERE trusted AND p.agrees IS NULL AND content_hash NOT IN (SELECT content_hash FROM adopt_usable)"""
    )[0]
    groups = tuple(
        Group(_name(band, kind, shape, unit), records, seen, same, trusted)
        for band, records, seen, same, trusted, kind, shape, unit in lake.rows(
            "SELECT * FROM adopt_groups ORDER BY band = 0, records DESC, band"
        )
    )
    verdict = "same" if agree == compared else "other" if not agree else "mixed"
    return ModelCheck(
        verdict,
        _why(verdict, groups),
        compared,
        agree,
        (least, median, most),
        dict(zip([*(f"at least {step}" for step in _STEPS), "less"], _differences([*above, compared]), strict=True)),
        groups,
        usable,
        disputed,
        at_most_wrong(Unseen(*row) for row in unseen) / usable if usable else 0.0,
        scaled if normalize else 0,
        rate,
    )


def _differences(rising: list[int]) -> list[int]:
    return [after - before for before, after in zip([0, *rising], rising, strict=False)]


def _name(band: int, kind: int, shape: str, unit: bool) -> str:
    if not band:
        return "small groups together"
    return f"{KINDS[kind]}, ids: {shape}, {'normalised' if unit else 'not normalised'}"


def _why(verdict: str, groups: tuple[Group, ...]) -> str:
    if verdict == "same":
        return "every vector that was compared is what the space's model makes of its text"
    if verdict == "other":
        return "no vector that was compared is what the space's model makes of its text"
    left = sum(group.records for group in groups if not group.kept and group.compared < group.records)
    rest = f"; {left} records stand in groups that do not agree, and are not kept unless compared" if left else ""
    return f"the index holds vectors of several models or texts{rest}"
