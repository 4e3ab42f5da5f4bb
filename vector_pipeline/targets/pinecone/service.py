"""What every part of this adapter works with: configuration, client, limits and requests, in one hand."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import UnknownOutcomeError
from vector_pipeline.targets.base import WriteReceipt
from vector_pipeline.targets.pinecone.calls import Calls
from vector_pipeline.targets.pinecone.client import Client
from vector_pipeline.targets.pinecone.failures import Failures
from vector_pipeline.targets.pinecone.limiter import Limiter

if TYPE_CHECKING:
    from pinecone import Pinecone
    from pinecone.index import Index

T = TypeVar("T")
_REPEATS = 4
WORKERS = 16
"""Requests of one call that are under way at once, at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace and the index that holds it."""

    namespace: str
    index: str
    host: str
    dimension: int
    metric: str
    space: str
    """From the index's tag; empty where it has none."""


@dataclass(slots=True)
class Tally:
    """What one write came to, over its requests."""

    records: int = 0
    bytes: int = 0
    requests: int = 0
    lsn: int | None = None
    retried: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def add(self, lsn: int | None, *, records: int = 0, sent: int = 0) -> None:
        """One request landed."""
        with self._lock:
            self.records += records
            self.bytes += sent
            self.requests += 1
            if lsn is not None:
                self.lsn = lsn if self.lsn is None else max(self.lsn, lsn)

    def receipt(self) -> WriteReceipt:
        mark = None if self.lsn is None else mark_of(self.lsn)
        return WriteReceipt(self.records, self.bytes, self.requests, mark, dict(self.retried))


def mark_of(lsn: int) -> str:
    """The mark of a namespace whose reads see this log sequence number."""
    return f"lsn-{lsn}"


def lsn_of(mark: str | None) -> int | None:
    """The log sequence number of a mark of ours."""
    number = (mark or "").removeprefix("lsn-")
    return int(number) if number.isdigit() else None


class Service:
    """One target's way to Pinecone."""

    def __init__(
        self,
        name: str,
        config: PineconeTargetConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.config = name, config
        self.clock, self.sleep = clock, sleep
        failures = Failures(name, config)
        self.client = Client(name, config, failures)
        self.limiter = Limiter(config.limits, clock=clock, sleep=sleep)
        self.calls = Calls(failures, config.retry_s, clock=clock, sleep=sleep)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def control(self, request: "Callable[[Pinecone], T]", what: str, *, writes: bool = False) -> T:
        """A request to the control plane."""
        control = self.client.control
        return self.calls(lambda: request(control), what, host=self.client.control_host, writes=writes)

    def data(
        self,
        place: Place,
        request: "Callable[[Index], T]",
        what: str,
        *,
        writes: bool = False,
        retried: Counter[str] | None = None,
        verb: str = "",
        **costs: int,
    ) -> T:
        """A request to the index of a place. ``verb`` and ``costs``: what Pinecone counts it as (``Limiter.wait``), each time that
        it is sent.
        """
        index = self.client.data(place.host)

        def attempt() -> T:
            if verb:
                self.limiter.wait(place.namespace, verb, **costs)
            return request(index)

        return self.calls(attempt, what, host=place.host, writes=writes, retried=retried)

    def repeated(self, write: Callable[[], T]) -> T:
        """A write that changes nothing when it comes twice, or late: one whose outcome is unknown is sent again."""
        for _ in range(_REPEATS):
            try:
                return write()
            except UnknownOutcomeError:
                continue
        return write()

    def pool(self) -> ThreadPoolExecutor:
        """Threads for the requests of one call. Nothing that runs in them may wait for others in them."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="pinecone")
            return self._pool

    def until(self, check: Callable[[], bool], timeout_s: float) -> bool:
        """Whether ``check`` came true in time: asked at once, then ever less often."""
        deadline, wait = self.clock() + timeout_s, 0.02
        while not check():
            left = deadline - self.clock()
            if left <= 0:
                return False
            self.sleep(min(wait, left))
            wait = min(1.0, wait * 1.5)
        return True

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = None
        self.client.close()
