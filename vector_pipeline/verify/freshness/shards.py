"""Which shards of a version are behind: they were not read when the others were.

Laws
----
1. A document is in a shard by a hash of its id: what happens to a source happens to all shards alike. What is missing in some
   shards and not in the others was not missed by chance.
2. Where the source cannot be asked, the version is compared with the one before it: a shard that took none of many changes is
   behind.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.lake.tables import at
from vector_pipeline.verify.context import GateContext

SURELY = 1e-4
"""How often a shard may be said to have been left out that was not, over all shards."""
_LEAST = 3
_TIMES = 3.0
_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Shard:
    """Documents of one shard, and how many of them differ."""

    shard: int
    documents: int
    differ: int
    examples: tuple[str, ...] = ()


def against_parent(context: GateContext) -> tuple[Shard, ...]:
    """Documents that differ from the version before, by shard; nothing where there is none, or it has expired."""
    version, tables = context.version, context.candidate.tables.dataset
    if version.parent is None:
        return ()
    parent = context.registry.version(version.dataset, version.parent)
    if parent.expired_at is not None:
        return ()
    old, new = (at(tables.documents, one.lake_snapshot) for one in (parent, version))
    rows = context.lake.rows(
        f"""SELECT coalesce(n.shard, o.shard) AS shard, count(*), count(*) FILTER (o.digest IS DISTINCT FROM n.digest)
            FROM {old} o FULL JOIN {new} n USING (document_id) GROUP BY 1 ORDER BY 1"""
    )
    return tuple(Shard(int(shard), int(count), int(differ)) for shard, count, differ in rows)


def behind(shards: Sequence[Shard]) -> list[Shard]:
    """Shards that differ from the source much more often than the others do, where chance would not part them so.

    The shards are parted in two where that explains their counts best, and so are ``_DRAWS`` random spreads of as many differences:
    none of them may be parted as clearly.
    """
    counts = np.array([one.differ for one in shards], dtype=np.float64)
    sizes = np.array([max(1, one.documents) for one in shards], dtype=np.float64)
    if len(shards) < 2 or counts.sum() < _LEAST:
        return []
    gain, split, order = _parted(counts[None, :], sizes[None, :])
    upper, lower = order[0, : split[0]], order[0, split[0] :]
    high, low = counts[upper].sum() / sizes[upper].sum(), counts[lower].sum() / sizes[lower].sum()
    if counts[upper].sum() < _LEAST or high <= _TIMES * low:
        return []
    chance = np.random.default_rng(0)  # The same version gives the same verdict.
    random = chance.binomial(sizes.astype(np.int64), counts.sum() / sizes.sum(), size=(_DRAWS, len(sizes)))
    usual, _, _ = _parted(random.astype(np.float64), np.broadcast_to(sizes, random.shape))
    return sorted((shards[int(place)] for place in upper), key=lambda one: one.shard) if gain[0] > usual.max() else []


def _parted(
    counts: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """By row of float64[rows, shards]: log-likelihood that two rates gain over one, how many have the higher, and the order."""
    order = np.argsort(-counts / sizes, axis=1, kind="stable")
    above, of = (np.cumsum(np.take_along_axis(one, order, axis=1), axis=1) for one in (counts, sizes))
    whole = _likelihood(above[:, -1:], of[:, -1:])
    gains = (_likelihood(above, of) + _likelihood(above[:, -1:] - above, of[:, -1:] - of) - whole)[:, :-1]
    split = gains.argmax(axis=1)
    return np.take_along_axis(gains, split[:, None], axis=1)[:, 0], split + 1, order


def _likelihood(counts: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy.special import xlogy

    rate = counts / np.maximum(1.0, sizes)
    found: npt.NDArray[np.float64] = xlogy(counts, rate) + xlogy(sizes - counts, 1 - rate)
    return found


def untouched(shards: Sequence[Shard], taken: Sequence[Shard]) -> list[Shard]:
    """Shards that alone differ from the source and took hardly any of the changes that were ``taken``: for what was read in parts.

    What was taken has nothing to do with what changed afterwards: how often chance gives so few shards that differ, and how often
    as few changes in just those, are independent, and judged together (Fisher's product). What is not that rare is warned of.
    """
    from scipy.special import bdtr, comb

    found = {one.shard: one for one in shards if one.differ}
    share = sum(one.documents for one in found.values()) / max(1, sum(one.documents for one in shards))
    here, count = (sum(one.differ for one in taken if one.shard in of) for of in (found, {one.shard for one in taken}))
    if not found or not count:
        return []
    few = min(1.0, float(comb(len(shards), len(found))) * share ** sum(one.differ for one in found.values()))
    both = few * float(bdtr(here, count, share))
    return list(found.values()) if both == 0 or both * (1 - math.log(both)) < SURELY else []


def left_out(shards: Sequence[Shard]) -> list[Shard]:
    """Shards that took far fewer changes than the middle one: law 2."""
    from scipy.special import bdtr

    rates = sorted(one.differ / max(1, one.documents) for one in shards)
    usual = rates[len(rates) // 2] if rates else 0.0
    return [
        one
        for one in shards
        if _TIMES * one.differ < usual * one.documents
        and bdtr(one.differ, one.documents, usual) * len(shards) < SURELY
    ]  # fmt: skip
