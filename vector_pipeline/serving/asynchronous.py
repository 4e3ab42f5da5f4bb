"""The reader for an event loop: the same ``Index``, whose calls run on a bounded number of threads.

Laws
----
1. The loop is never blocked: databases and models are called on the index's threads; what comes when all are busy waits its turn,
   within its time.
2. A call that is cancelled gives its turn back if it has not begun; one that has begun is stopped where its target can be, or ends
   on its thread, and nobody hears of it.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Self, overload

from vector_pipeline.errors import InputError
from vector_pipeline.serving.answers import Answer, Health, Hit
from vector_pipeline.serving.metering import Metrics
from vector_pipeline.serving.reader import Index, open_index
from vector_pipeline.targets.base import Filter


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
    fallback: bool = True,
    space: str | None = None,
) -> "AsyncIndex":
    """A reader of a dataset's live version for an event loop: ``async with await open_async_index("handbook") as index``.

    Arguments and errors are those of ``open_index``.
    """
    opened = partial(
        open_index, dataset, project=project, environment=environment, alias=alias, target=target,
        max_staleness_s=max_staleness_s, timeout_s=timeout_s, retries=retries, route=route,
        fallback=fallback, space=space,
    )  # fmt: skip
    return AsyncIndex(await asyncio.to_thread(opened))


class AsyncIndex:
    """A reader. Tasks of one loop, or of several, may share it. Use it as a context manager, or ``close`` it."""

    def __init__(self, index: Index) -> None:
        self._index = index

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
        answers = await self.answers(text, top_k=top_k, filter=filter, key=key)
        return answers[0].hits if isinstance(text, str) else [one.hits for one in answers]

    async def search(
        self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> Answer:
        """As ``Index.search``."""
        if not isinstance(text, str):
            raise InputError(f"search takes one text, not {type(text).__name__}", fix="Ask several with query")
        return (await self.answers(text, top_k=top_k, filter=filter, key=key))[0]

    async def answers(
        self, texts: str | list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Answer]:
        """As ``search``, of several texts at once: one version answers all of them."""
        call, future = self._index.begin(texts, top_k=top_k, filter=filter, key=key)
        # A cancelled task cancels the future, which tells the thread's, if it has not begun.
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.wait_for(waiting, self._index.timeout_s)
        except TimeoutError:
            raise self._index.give_up(call, future) from None
        except asyncio.CancelledError:
            self._index.cancel(call, future)
            raise

    async def health(self) -> Health:
        """As ``Index.health``."""
        return await asyncio.to_thread(self._index.health)

    def metrics(self) -> Metrics:
        """As ``Index.metrics``: it asks nobody."""
        return self._index.metrics()

    async def close(self) -> None:
        """As ``Index.close``."""
        await asyncio.to_thread(self._index.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
