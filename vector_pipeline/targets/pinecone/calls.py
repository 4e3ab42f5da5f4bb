"""Requests, tried again where that is right (``failures``, law 1), within the target's configured time.

Laws
----
1. ``Retry-After`` is waited for, and a little more, so that not everybody comes back at once; without it the waits grow.
2. A host that has never answered is given up after five seconds: it is more likely a wrong address than a service that is away.
3. Each try again is counted by its reason.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import httpx
from pinecone.errors.exceptions import ApiError, PineconeError
from tenacity import RetryCallState, Retrying, retry_if_exception

from vector_pipeline.targets.pinecone.failures import Failures, Fault, FaultError

T = TypeVar("T")

FIRST_CONTACT_S = 5.0
_LONGEST_WAIT_S = 10.0


class Calls:
    """What every request of a target goes through. Safe from several threads."""

    def __init__(
        self,
        failures: Failures,
        retry_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._failures, self._retry_s = failures, retry_s
        self._clock, self._sleep = clock, sleep
        self._answering: set[str] = set()
        self._random = random.Random()
        self._lock = threading.Lock()

    def __call__(
        self,
        request: Callable[[], T],
        what: str,
        *,
        host: str,
        writes: bool = False,
        retried: Counter[str] | None = None,
    ) -> T:
        """The answer of ``request``; raises from ``vector_pipeline.errors``."""
        began = self._clock()

        def attempt() -> T:
            try:
                answer = request()
            except (PineconeError, httpx.HTTPError) as error:
                if isinstance(error, ApiError):
                    self._answering.add(host)
                raise FaultError(self._failures.fault(error, what, writes=writes)) from None
            self._answering.add(host)
            return answer

        def enough(state: RetryCallState) -> bool:
            return self._clock() - began + state.upcoming_sleep > self._budget(_fault(state), host)

        def count(state: RetryCallState) -> None:
            if retried is not None:
                with self._lock:
                    retried[_fault(state).again or ""] += 1

        again = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, FaultError) and error.fault.again is not None),
            stop=enough,
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=count,
            reraise=True,
        )
        try:
            return again(attempt)
        except FaultError as error:
            raise error.fault.error from None

    def _budget(self, fault: Fault, host: str) -> float:
        unseen = fault.again == "connection" and host not in self._answering
        return min(self._retry_s, FIRST_CONTACT_S) if unseen else self._retry_s

    def _wait(self, state: RetryCallState) -> float:
        """Law 1."""
        after = _fault(state).after_s
        if after is not None:
            return after * (1 + self._random.random() / 4)
        longest: float = min(_LONGEST_WAIT_S, 0.1 * 2 ** min(state.attempt_number - 1, 10))
        return longest * (0.5 + self._random.random() / 2)


def _fault(state: RetryCallState) -> Fault:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, FaultError)
    return error.fault
