"""Open readers: one for each dataset, and a bounded number beside them for targets and spaces that somebody asked for.

Laws
----
1. A reader is opened when it is first asked for, once, however many ask. Whoever stops waiting stops it for nobody else.
2. That of a dataset itself stays open to the end. Of the others at most ``most`` are open: the one that was asked longest ago makes
   room, where nobody is being answered by it. Where all are busy, the request is refused (``saturated``).
3. What a reader counted is not lost when it is closed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from vector_pipeline.errors import UnavailableError
from vector_pipeline.serving import ArmMetrics, AsyncIndex, Metrics

T = TypeVar("T")
Key = tuple[str, str | None, str | None]
"""Dataset, target, space."""


class Shared(Generic[T]):
    """Work that several ask for at once is done once."""

    def __init__(self) -> None:
        self.under_way: dict[object, asyncio.Task[T]] = {}

    async def get(self, key: object, work: Callable[[], Coroutine[Any, Any, T]], within_s: float) -> T:
        """``TimeoutError`` when it takes longer; it goes on, and whoever asks next may find it done."""
        task = self.under_way.get(key)
        if task is None:
            task = self.under_way[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.wait_for(asyncio.shield(task), within_s)

    def _ended(self, key: object, task: "asyncio.Task[T]") -> None:
        del self.under_way[key]
        if not task.cancelled():
            task.exception()  # Taken, lest the loop complain where nobody waited to the end.


class Pool:
    """Readers of one event loop."""

    def __init__(self, opened: Callable[[Key], Awaitable[AsyncIndex]], most: int) -> None:
        self._opened = opened
        self._most = most
        self._open: dict[Key, AsyncIndex] = {}
        """The one that was asked longest ago comes first."""
        self._opening = Shared[AsyncIndex]()
        self._users: Counter[Key] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._counted: dict[str, Metrics] = {}
        """By readers that were closed, by dataset."""
        self._closed = False

    @asynccontextmanager
    async def lent(self, key: Key, within_s: float) -> AsyncIterator[AsyncIndex]:
        """A reader, which stays open meanwhile. ``TimeoutError`` when opening takes longer; errors are those of opening it, and
        ``UnavailableError`` by law 2.
        """
        if key not in self._open and key not in self._opening.under_way:
            self._make_room(key)
        self._users[key] += 1
        try:
            reader = self._open.get(key)
            if reader is None:
                reader = await self._opening.get(key, lambda: self._make(key), within_s)
            else:
                self._open[key] = self._open.pop(key)  # Asked last.
            yield reader
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]

    def metrics(self) -> list[tuple[str, Metrics]]:
        """What readers counted, with their dataset; those that were closed too."""
        return [*self._counted.items(), *((key[0], reader.metrics()) for key, reader in self._open.items())]

    async def close(self, within_s: float) -> bool:
        """End every reader; False where something did not end in time."""
        self._closed = True
        for key in list(self._open):
            self._end(key)
        _, left = await asyncio.wait(self._closing, timeout=within_s) if self._closing else ((), ())
        return not left and not self._opening.under_way

    def _make_room(self, key: Key) -> None:
        """Law 2."""
        beside = [one for one in (*self._open, *self._opening.under_way) if isinstance(one, tuple) and _beside(one)]
        if not _beside(key) or len(beside) < self._most:
            return
        idle = next((one for one in self._open if _beside(one) and not self._users[one]), None)
        # What is being closed holds connections as well.
        if idle is None or len(self._closing) >= self._most:
            raise UnavailableError(
                f"{self._most} readers of targets and spaces beside the usual ones are busy", fix="Try again soon",
                kind="saturated",
            )  # fmt: skip
        self._end(idle)

    def _end(self, key: Key) -> None:
        reader = self._open.pop(key)
        known = self._counted.get(key[0])
        self._counted[key[0]] = reader.metrics() if known is None else _together(known, reader.metrics())
        task = asyncio.create_task(reader.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _make(self, key: Key) -> AsyncIndex:
        reader = await self._opened(key)
        if self._closed:
            await reader.close()
            raise UnavailableError("the service is ending", fix="Ask another one")
        self._open[key] = reader
        return reader


def _beside(key: Key) -> bool:
    """Whether it is not a dataset's own."""
    return key[1:] != (None, None)


def _together(one: Metrics, other: Metrics) -> Metrics:
    arms = dict(one.arms)
    for name, more in other.arms.items():
        arms[name] = added(arms[name], more) if name in arms else more
    return Metrics(arms)


def added(one: ArmMetrics, other: ArmMetrics) -> ArmMetrics:
    """What two readers counted, together."""
    return ArmMetrics(
        one.count + other.count, one.errors + other.errors, one.seconds + other.seconds, one.embed_s + other.embed_s,
        one.search_s + other.search_s,
        tuple((bound, calls + more) for (bound, calls), (_, more) in zip(one.buckets, other.buckets, strict=True)),
    )  # fmt: skip
