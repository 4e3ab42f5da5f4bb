"""What a request and a second may hold. Source: https://docs.pinecone.io/reference/api/database-limits (November 2026).

Sizes are always enforced; rates where ``Knobs.rate_limits`` says so. A rate is counted over the last second, per namespace; a
single request that exceeds a rate by itself is let through when nothing came before it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.knobs import Knobs

MAX_REQUEST_BYTES = 2 * 1024 * 1024
MAX_RESULT_BYTES = 4 * 1024 * 1024
MAX_RECORDS = 1_000
"""Of an upsert, and ids of a fetch or a delete."""
MAX_ID_CHARACTERS = 512
MAX_METADATA_BYTES = 40 * 1024
MAX_TOP_K = 10_000
MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Rate:
    """What of a namespace is counted, and how much of it a second may hold."""

    what: str
    most: float


REQUESTS: Mapping[str, Rate] = {
    verb: Rate(f"{verb} requests", 100) for verb in ("upsert", "query", "fetch", "list", "update", "delete")
}
UPSERTED_BYTES = Rate("bytes of upserts", 50_000_000)
UPDATED = Rate("updated records", 100)
DELETED = Rate("deleted records", 5_000)
BY_METADATA = Rate("requests by metadata", 5)


class Rates:
    """Counts what happened in the last second. Safe from several threads."""

    def __init__(self, knobs: Knobs, clock: Callable[[], float] = time.monotonic) -> None:
        self._knobs = knobs
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], deque[tuple[float, float]]] = {}

    def take(self, namespace: str, *amounts: tuple[Rate, float]) -> None:
        """Count all ``amounts`` of a request, or none and raise ``ApiError`` 429 with Retry-After."""
        if not self._knobs.rate_limits:
            return
        with self._lock:
            now = self._clock()
            for rate, amount in amounts:
                seen = self._recent(namespace, rate, now)
                if seen and sum(each for _, each in seen) + amount > rate.most:
                    raise _exceeded(namespace, rate, seen[0][0] + 1 - now)
            for rate, amount in amounts:
                self._recent(namespace, rate, now).append((now, amount))

    def _recent(self, namespace: str, rate: Rate, now: float) -> deque[tuple[float, float]]:
        seen = self._seen.setdefault((namespace, rate.what), deque())
        while seen and seen[0][0] <= now - 1:
            seen.popleft()
        return seen


def _exceeded(namespace: str, rate: Rate, wait_s: float) -> ApiError:
    text = f"Request failed. You've reached the limit of {rate.most:,.0f} {rate.what} per second for namespace '{namespace}'."
    return ApiError(
        "RESOURCE_EXHAUSTED", f"{text} Pace your requests.", headers={"Retry-After": f"{max(wait_s, 0.001):.3f}"}
    )


def check_request(body: bytes) -> None:
    """``ApiError`` 413 for a body that is too large."""
    if len(body) > MAX_REQUEST_BYTES:
        text = f"Request size {len(body)} bytes exceeds the maximum supported size of {MAX_REQUEST_BYTES} bytes"
        raise ApiError("PAYLOAD_TOO_LARGE", text)


def check_result(data: bytes) -> None:
    """``ApiError`` 400 for the answer of a query that is too large."""
    if len(data) > MAX_RESULT_BYTES:
        text = f"Error, message length too large: found {len(data)} bytes, the limit is: {MAX_RESULT_BYTES} bytes"
        raise ApiError("OUT_OF_RANGE", text)
