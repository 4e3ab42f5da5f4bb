"""The reader for an event loop: the same ``Index``, whose calls run on a bounded number of threads.

Laws
----
1. The loop is never blocked: databases and models are called on threads, at most ``threads`` at once; others wait their turn.
2. A call that is cancelled gives its turn back if it has not begun; one that has begun ends on its thread, and nobody hears of it.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from vector_pipeline.serving.answers import Answer, Health, Hit
from vector_pipeline.serving.metering import Metrics
from vector_pipeline.serving.reader import Index, open_index
from vector_pipeline.targets.base import Filter

T = TypeVar("T")

THREADS = 8


async def open_async_index(
    dataset: str,
    *,
    project: Path | str | None = None,
    environment: str | None = None,
    alias: str = "production",
    target: str | None = None,
    max_staleness_s: float = 1.0,
    timeout_s: float | None = 30.0,
    retries: int = 2,
    route: bool = True,
    space: str | None = None,
    threads: int = THREADS,
) -> "AsyncIndex":
    """A reader of a dataset's live version for an event loop: ``async with await open_async_index("handbook") as index``.

    Arguments and errors are those of ``open_index``. ``threads``: calls at once.
    """
    opened = partial(
        open_index, dataset, project=project, environment=environment, alias=alias, target=target,
        max_staleness_s=max_staleness_s, timeout_s=timeout_s, retries=retries, route=route, space=space,
    )  # fmt: skip
    return AsyncIndex(await asyncio.to_thread(opened), threads=threads)


class AsyncIndex:
    """A reader. Tasks of one loop, or of several, may share it. Use it as a context manager, or ``close`` it."""

    def __init__(self, index: Index, *, threads: int = THREADS) -> None:
        self._index = index
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="vector-pipeline-reader")

    @overload
    async def query(
        self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Hit]: ...

    @overload
    async def query(
        self, text: list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[list[Hit]]: ...

    async def query(
        self, text: str | list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Hit] | list[list[Hit]]:
        """As ``Index.query``."""
        ask: Any = partial(self._index.query, text, top_k=top_k, filter=filter, key=key)
        found: list[Hit] | list[list[Hit]] = await self._run(ask)
        return found

    async def search(
        self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> Answer:
        """As ``Index.search``."""
        return await self._run(partial(self._index.search, text, top_k=top_k, filter=filter, key=key))

    async def health(self) -> Health:
        """As ``Index.health``."""
        return await self._run(self._index.health)

    def metrics(self) -> Metrics:
        """As ``Index.metrics``: it asks nobody."""
        return self._index.metrics()

    async def close(self) -> None:
        """Release connections, once what has begun has ended."""
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._index.close()

    async def _run(self, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: context.run(work))
