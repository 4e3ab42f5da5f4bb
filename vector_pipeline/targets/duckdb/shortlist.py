"""Which positions may be among the nearest, from vectors held in bytes: all that are, and few that are not.

Two steps. The coarse bytes of every vector that passes the mask give its score to within a known error: what lies below the
``top_k`` best even so is left out. The fine bytes of the rest narrow it to hardly more than ``top_k``. DuckDB scores those.

Memory is bounded, whatever is held, as long as there are no more questions than ``at_once``: some 50 MB a thread. Where too many
vectors are too alike to be told apart within that, there is no list.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vector_pipeline.targets.base import Vector
from vector_pipeline.targets.duckdb.held import FINER, Held, directions, in_bytes, measurable
from vector_pipeline.targets.duckdb.kernel import Bytes, products

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]
_BLOCK = 16_384
"""Vectors in one step: their bytes and scores stay in a processor's cache."""
_GROUP = 256
"""Of that many neighbours the best one bounds the ``top_k`` best from below."""
_WORTH_THREADS = 1_000_000
"""Products below which threads cost more than they bring."""
_MOST = 4_096
"""Positions that are listed for a query; more where four times ``top_k`` are."""
_LISTED = 64 * _MOST
"""Positions that are listed at once, of all queries."""
_ROOM = 2 * _LISTED
"""Candidates that a thread keeps, of 20 bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A segment and what of it is asked for."""

    number: int
    held: Held
    mask: Mask
    """bool[n]."""


@dataclass(frozen=True, slots=True)
class _Asked:
    metric: str
    units: Vector
    """float32[m, dim]."""
    coarse: Bytes
    scale: Vector
    length: Vector
    """float32[m]."""
    error: float
    """Length of what the bytes leave of a query's direction."""
    top_k: int

    @property
    def rounding(self) -> float:
        """What 32-bit sums of that many terms may be off by, ours and DuckDB's together, of vectors of length one."""
        return 4 * (int(self.units.shape[1]) + 8) / 2**24


@dataclass(frozen=True, slots=True)
class _Kept:
    """Candidates of queries: parallel arrays."""

    query: Positions
    position: Positions
    upper: Vector
    least: Vector
    """float32[m]: no query's ``top_k`` best lies below."""

    def above(self, least: Vector) -> "_Kept":
        """Those that may be among the best still."""
        among = self.upper >= least[self.query]
        return _Kept(self.query[among], self.position[among], self.upper[among], least)

    def plus(self, query: Positions, position: Positions, upper: Vector, least: Vector) -> "_Kept":
        """With those of another block."""
        return _Kept(
            np.concatenate([self.query, query]),
            np.concatenate([self.position, position]),
            np.concatenate([self.upper, upper]),
            least,
        )


def at_once(top_k: int) -> int:
    """How many queries to ask for at a time: fewer read the vectors more often; of more, only what is kept grows."""
    return max(1, _LISTED // _most(top_k))


def _most(top_k: int) -> int:
    return max(_MOST, 4 * top_k)


def shortlist(parts: Sequence[Part], queries: Vector, metric: str, top_k: int) -> list[dict[int, Positions]] | None:
    """Positions by segment for each of float32[m, dim] ``queries``. None where bytes cannot tell: ask DuckDB for everything."""
    lengths = np.linalg.norm(queries, axis=1).astype(np.float32)
    if not len(queries) or not measurable(lengths) or (lengths == 0).any():
        return None
    units = directions(queries, lengths)
    coarse, scale, rest = in_bytes(units)
    error = float(np.linalg.norm(rest, axis=1).max(initial=0))
    asked = _Asked(metric, units, coarse, scale, lengths, error, top_k)
    kept: list[tuple[Part, _Kept]] = []
    least = np.full(len(queries), -np.inf, np.float32)
    for part in parts:
        for found in _sifted(part, asked, least):
            if found is None:
                return None
            least = np.maximum(least, found.least)
            kept.append((part, found))
        kept = [(one, found.above(least)) for one, found in kept]
        if sum(len(found.query) for _, found in kept) > _ROOM:
            return None
    return _narrowed(kept, least, asked)


def _sifted(part: Part, asked: _Asked, least: Vector) -> Iterator[_Kept | None]:
    count, threads = len(part.mask), _processors()
    if threads == 1 or count * len(asked.units) < _WORTH_THREADS:
        yield _sift(part, asked, least, 0, count)
        return
    step = -(-count // threads)
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(
            lambda start: _sift(part, asked, least, start, min(start + step, count)), range(0, count, step)
        )


def _processors() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sift(part: Part, asked: _Asked, least: Vector, start: int, stop: int) -> _Kept | None:
    """Candidates among the positions from ``start`` to ``stop``, none below ``least``; None where they are too many."""
    best = np.full((len(asked.units), asked.top_k), -np.inf, np.float32)
    found = _Kept(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), least)
    for begin in range(start, stop, _BLOCK):
        rows = slice(begin, min(begin + _BLOCK, stop))
        cosines = products(asked.coarse, part.held.coarse[rows])
        cosines *= part.held.scale[rows]
        cosines *= asked.scale[:, None]
        off = part.held.coarse_error + (1 + part.held.coarse_error) * asked.error + asked.rounding
        lower, upper = _bounds(asked, asked.length[:, None], cosines, part.held.length[rows], off)
        np.copyto(lower, -np.inf, where=~part.mask[rows])
        best = _best(best, lower)
        floor = np.maximum(least, best[:, 0])
        passing = (upper >= floor[:, None]) & part.mask[rows]
        more = int(np.count_nonzero(passing))
        if len(found.query) + more > _ROOM:
            found = found.above(floor)
            if len(found.query) + more > _ROOM:
                return None
        # Flat: several times as fast as looking for pairs.
        above = np.flatnonzero(passing)
        query, position = np.divmod(above, upper.shape[1])
        found = found.plus(query, position + begin, upper.reshape(-1)[above], floor)
    return found


def _bounds(asked: _Asked, length: Vector, cosines: Vector, lengths: Vector, off: float) -> tuple[Vector, Vector]:
    """Least and greatest score, in the metric's order, of pairs whose cosine is known to within ``off``."""
    if asked.metric == "cosine":
        return cosines - np.float32(off), cosines + np.float32(off)
    both = length * lengths
    if asked.metric == "dotproduct":
        return both * (cosines - np.float32(off)), both * (cosines + np.float32(off))
    # The negative squared distance: as good as the distance for what is nearer.
    squares = length * length + lengths * lengths
    middle = np.asarray(2 * both * cosines - squares, np.float32)
    margin = np.asarray(2 * off * both + asked.rounding * squares, np.float32)
    return middle - margin, middle + margin


def _best(best: Vector, lower: Vector) -> Vector:
    """The ``top_k`` best lower bounds of groups so far, the least of them first."""
    top_k, count = best.shape[1], lower.shape[1]
    width = max(1, min(_GROUP, count // (4 * top_k)))
    groups = lower if width == 1 else np.maximum.reduceat(lower, np.arange(0, count, width), axis=1)
    return np.partition(np.concatenate([best, groups], axis=1), groups.shape[1], axis=1)[:, groups.shape[1] :]


def _narrowed(kept: list[tuple[Part, _Kept]], least: Vector, asked: _Asked) -> list[dict[int, Positions]] | None:
    """By the fine bytes."""
    answer: list[dict[int, Positions]] = []
    for number in range(len(asked.units)):
        chosen = [
            (part, found.position[(found.query == number) & (found.upper >= least[number])]) for part, found in kept
        ]
        if sum(len(positions) for _, positions in chosen) > _most(asked.top_k):
            return None
        bounds = [_fine(part.held, positions, number, asked) for part, positions in chosen]
        every = np.concatenate([lower for lower, _ in bounds])
        floor = np.partition(every, -asked.top_k)[-asked.top_k] if len(every) > asked.top_k else -np.inf
        mine: dict[int, list[Positions]] = {}
        for (part, positions), (_, upper) in zip(chosen, bounds, strict=True):
            mine.setdefault(part.number, []).append(positions[upper >= floor])
        answer.append({segment: np.concatenate(some) for segment, some in mine.items()})
    return answer


def _fine(held: Held, positions: Positions, number: int, asked: _Asked) -> tuple[Vector, Vector]:
    rows = held.coarse[positions].astype(np.float32)
    rows += held.fine[positions] / np.float32(FINER)
    cosines = (rows @ asked.units[number]) * held.scale[positions]
    return _bounds(asked, asked.length[number], cosines, held.length[positions], held.fine_error + asked.rounding)
