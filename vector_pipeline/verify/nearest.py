"""A running top k of many queries over blocks of scores. No I/O.

Laws
----
1. Whatever the blocks, the ``k`` best remain; of equal scores those whose content hashes come first. Scores are rounded to 20 bits
   before they are compared: see ``exact``.
2. A block of which every score is the same costs no more than a block.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
_DROPPED = 3
"""Low bits of a score's mantissa that say nothing."""
_SLACK = 4e-6
_MANY = 4
"""Times ``k``: so many candidates of one query in one block are thinned first."""


def rounded(scores: Scores) -> Scores:
    """Scores of 24 bits to 20 or so: the nearest float32 whose last bits are zero."""
    bits = scores.view(np.int32)
    half, mask = np.int32(1 << (_DROPPED - 1)), np.int32(-(1 << _DROPPED))
    kept: Scores = ((bits + half) & mask).view(np.float32)
    return np.where(np.isfinite(scores), kept + np.float32(0), scores)


class Nearest:
    """The ``k`` best contents of each query."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._queries = queries
        self._query = np.empty(0, np.intp)
        self._score = np.empty(0, np.float32)
        self._key = np.empty(0, np.uint64)
        self._place = np.empty(0, np.intp)
        self._floor = np.full(queries, -np.inf, np.float32)
        self._seen: list[pa.Table] = []
        self._count = 0

    def add(self, scores: Scores, contents: pa.RecordBatch, rows: Rows) -> None:
        """float32[q, n] ``scores`` of the ``rows`` (n of them) of ``contents`` [shard, content_hash]."""
        query, column = self._candidates(scores, contents, rows)
        if not len(query):
            return
        used, inverse = np.unique(column, return_inverse=True)
        names = pa.Table.from_batches([contents]).take(pa.array(rows[used]))
        keys = _keys(names)
        self._merge(query, rounded(scores[query, column]), keys[inverse], self._count + inverse)
        self._seen.append(names)
        self._count += len(used)

    def _candidates(self, scores: Scores, contents: pa.RecordBatch, rows: Rows) -> tuple[Rows, Rows]:
        """Query and column of whatever may be among the best."""
        floor = self._floor - np.abs(self._floor) * np.float32(_SLACK)
        mask = (scores >= np.where(np.isfinite(floor), floor, -np.inf)[:, None]) & (scores > -np.inf)
        order: npt.NDArray[np.int64] | None = None
        for query in np.flatnonzero(np.count_nonzero(mask, axis=1) > _MANY * self._k):
            some = np.flatnonzero(mask[query])
            own = rounded(scores[query, some])
            cut = np.partition(own, len(own) - self._k)[len(own) - self._k]
            some, own = some[own >= cut], own[own >= cut]
            if len(some) > _MANY * self._k:
                if order is None:
                    order = np.argsort(np.argsort(_keys(pa.Table.from_batches([contents])), kind="stable"))
                bits = own.view(np.int32).astype(np.int64)
                best = (np.where(bits < 0, bits ^ 0x7FFFFFFF, bits) << 32) - order[rows[some]]
                some = some[np.argpartition(best, len(best) - self._k)[len(best) - self._k :]]
            mask[query] = False
            mask[query, some] = True
        found: tuple[Rows, Rows] = np.nonzero(mask)  # type: ignore[assignment]
        return found

    def _merge(self, query: Rows, score: Scores, key: npt.NDArray[np.uint64], place: Rows) -> None:
        query, score = np.concatenate([self._query, query]), np.concatenate([self._score, score])
        key, place = np.concatenate([self._key, key]), np.concatenate([self._place, place])
        order = np.lexsort((key, -score, query))
        query = query[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        order, query = order[rank < self._k], query[rank < self._k]
        last = rank[rank < self._k] == self._k - 1
        self._query, self._score, self._key, self._place = query, score[order], key[order], place[order]
        self._floor[query[last]] = self._score[last]

    def contents(self) -> pa.Table:
        """Distinct [shard, content_hash] of all answers."""
        if not self._seen:
            return pa.table({"shard": pa.array([], pa.int32()), "content_hash": pa.array([], pa.string())})
        kept = pa.concat_tables(self._seen).take(pa.array(np.unique(self._place)))
        return kept.group_by(["shard", "content_hash"]).aggregate([])

    def answers(self) -> Iterator[list[tuple[tuple[int, str], float]]]:
        """Of each query ((shard, content hash), score), best first."""
        names: list[tuple[int, str]] = []
        if self._seen:
            kept = pa.concat_tables(self._seen).take(pa.array(self._place))
            names = list(zip(kept["shard"].to_pylist(), kept["content_hash"].to_pylist(), strict=True))
        scores = self._score.tolist()
        bounds = np.searchsorted(self._query, np.arange(self._queries + 1)).tolist()
        for begin, end in pairwise(bounds):
            yield list(zip(names[begin:end], scores[begin:end], strict=True))


def _keys(names: pa.Table) -> npt.NDArray[np.uint64]:
    """uint64[n]: the beginning of the content hash, then the shard."""
    hashes = np.array(names["content_hash"].to_pylist(), dtype="S8")
    words = np.frombuffer(hashes.tobytes(), dtype=">u8").astype(np.uint64)
    shards: npt.NDArray[np.uint64] = names["shard"].to_numpy().astype(np.uint64)
    return words ^ shards
