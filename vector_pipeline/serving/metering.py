"""What a reader counts: queries, errors and seconds, by arm.

Laws
----
1. Every attempt of an arm is counted once: a call that another arm stood in for counts with both. A call of several texts is one.
2. Counters only grow. A metric is a copy of one moment: its buckets add up to its count.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram, in seconds; the last bucket has none."""


@dataclass(frozen=True, slots=True)
class ArmMetrics:
    """What one arm has done since the index was opened."""

    count: int
    """Calls, failed ones too."""
    errors: int
    """Of them, those that were not answered, but for wrong questions (``InputError``)."""
    seconds: float
    """Sum over all calls, of the whole call."""
    embed_s: float
    """Of it, embedding."""
    search_s: float
    """Of it, waiting for the target."""
    buckets: tuple[tuple[float, int], ...]
    """(upper bound in seconds, calls that took at most that long): cumulative, the last bound is infinite."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters of an index."""

    arms: Mapping[str, ArmMetrics]

    def to_json(self) -> dict[str, Any]:
        return {name: asdict(one) for name, one in self.arms.items()}


class _Counter:
    __slots__ = ("buckets", "count", "embed_s", "errors", "search_s", "seconds")

    def __init__(self) -> None:
        self.count, self.errors = 0, 0
        self.seconds, self.embed_s, self.search_s = 0.0, 0.0, 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)


class Meter:
    """The counters themselves. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arms: dict[str, _Counter] = {}

    def add(
        self, arm: str, seconds: float, *, embed_s: float = 0.0, search_s: float = 0.0, failed: bool = False
    ) -> None:
        """Count one call."""
        with self._lock:
            one = self._arms.get(arm)
            if one is None:
                one = self._arms[arm] = _Counter()
            one.count += 1
            one.errors += failed
            one.seconds += seconds
            one.embed_s += embed_s
            one.search_s += search_s
            one.buckets[bisect_left(BUCKETS_S, seconds)] += 1

    def read(self) -> Metrics:
        """The counters as they are now."""
        with self._lock:
            return Metrics({name: _copy(one) for name, one in sorted(self._arms.items())})


def _copy(one: _Counter) -> ArmMetrics:
    total, buckets = 0, []
    for bound, calls in zip((*BUCKETS_S, float("inf")), one.buckets, strict=True):
        total += calls
        buckets.append((bound, total))
    return ArmMetrics(one.count, one.errors, one.seconds, one.embed_s, one.search_s, tuple(buckets))
