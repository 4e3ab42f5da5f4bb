"""Client-side limits: requests wait here, so that the service need not refuse them.

Laws
----
1. In no second does a namespace see more of anything than its limit: a bucket holds ``burst`` and fills with the rest of the rate,
   so that both together are the limit.
2. Who comes first goes first: a request takes its tokens at once and waits for the time at which they are there.
3. A request that is sent again waits again: the service counts it again.
4. Nobody sleeps longer than need be, and the clock is an argument: tests own it.

Limits: https://docs.pinecone.io/reference/api/database-limits (November 2026).
"""

import threading
import time
from collections.abc import Callable

from vector_pipeline.config.targets import PineconeLimitsConfig

_LARGEST_REQUEST = 2_000_000
_LARGEST_DELETE = 1_000


class Bucket:
    """``limit`` a second, of which at most ``burst`` at once (a single request may take more: it waits for a full bucket)."""

    def __init__(self, limit: float, burst: float, clock: Callable[[], float]) -> None:
        self._burst = min(burst, limit / 2)
        self._rate = limit - self._burst
        self._clock = clock
        self._level = self._burst
        self._at = clock()

    def reserve(self, amount: float) -> float:
        """Take ``amount``; seconds to wait before it may be used."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        lacking = min(amount, self._burst) - self._level
        self._level -= amount
        return max(0.0, lacking / self._rate)


class Limiter:
    """Buckets of every namespace, made on demand. Safe from several threads."""

    def __init__(
        self,
        limits: PineconeLimitsConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._limits = {
            "requests": (limits.requests, limits.requests / 10),
            "bytes": (limits.upsert_mb * 1e6, 2.0 * _LARGEST_REQUEST),
            "updates": (limits.updates, limits.updates / 10),
            "deletes": (limits.deletes, float(_LARGEST_DELETE)),
            "by_metadata": (limits.by_metadata, 1.0),
        }
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._lock = threading.Lock()

    def wait(
        self, namespace: str, verb: str, *, sent: int = 0, updates: int = 0, deletes: int = 0, by_metadata: int = 0
    ) -> None:
        """Return when one request of a verb may be sent: with ``sent`` bytes of upserts, records updated or deleted by id."""
        wanted: list[tuple[str, str, float]] = [(verb, "requests", 1.0)]
        amounts = {"bytes": sent, "updates": updates, "deletes": deletes, "by_metadata": by_metadata}
        wanted += [(kind, kind, float(amount)) for kind, amount in amounts.items() if amount]
        with self._lock:
            delay = max(self._bucket(namespace, name, kind).reserve(amount) for name, kind, amount in wanted)
        if delay > 0:
            self._sleep(delay)

    def forget(self, namespace: str) -> None:
        """A namespace is gone: so are its buckets."""
        with self._lock:
            for key in [key for key in self._buckets if key[0] == namespace]:
                del self._buckets[key]

    def _bucket(self, namespace: str, name: str, kind: str) -> Bucket:
        found = self._buckets.get((namespace, name))
        if found is None:
            limit, burst = self._limits[kind]
            found = self._buckets[(namespace, name)] = Bucket(limit, burst, self._clock)
        return found
