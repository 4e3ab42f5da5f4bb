"""What faults do to a request: refusals with their documented bodies, connections that end or go silent, a slow pipe."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive, Scope, Send

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.knobs import Fault, Knobs


def meet(fault: Fault, knobs: Knobs) -> ApiError:
    """429 and 503: nothing was done."""
    if fault is Fault.TOO_MANY_REQUESTS:
        return ApiError(
            "RESOURCE_EXHAUSTED",
            "Too many requests. You have reached the limit of requests per second for this namespace. Pace your requests.",
            headers={"retry-after": f"{knobs.retry_after_s:g}"},
        )
    return ApiError("UNAVAILABLE", "The server is currently unavailable.")


async def vanish(
    fault: Fault, scope: Scope, receive: Receive, cut: Callable[[Scope], None], stopping: asyncio.Event
) -> None:
    """No answer: the connection ends at once (``DROPPED``), or stays open until its client or the server gives up."""
    if fault is Fault.TIMEOUT:
        gone = asyncio.ensure_future(_gone(receive))
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait([gone, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        gone.cancel()
    cut(scope)
    await _gone(receive)


async def lose(
    serve: Callable[[Send], Awaitable[None]], scope: Scope, receive: Receive, cut: Callable[[Scope], None]
) -> None:
    """The request is done, and its answer thrown away with the connection."""

    async def swallow(_: Message) -> None:
        return None

    await serve(swallow)
    cut(scope)
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Take in what comes until the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Pipe:
    """All bodies go through one pipe of ``bandwidth_bytes_per_s``, one after the other."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._free_at = 0.0

    async def carry(self, size: int) -> None:
        """Return when ``size`` bytes are through."""
        rate = self._knobs.bandwidth_bytes_per_s
        if rate is None or not size:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + size / rate
        await asyncio.sleep(self._free_at - now)
