"""Stopping what nobody waits for any more: a reader's time is over, or its caller went away.

Laws
----
1. Whoever asks a target on behalf of a call sets ``CALL``; an adapter that can stop its system registers how, while it asks.
   Neither knows the other. Without a call nothing is stopped.
2. Once ended, nothing more is begun for that call. A stop that comes between two statements may be lost: it saves work, and nothing
   depends on it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from vector_pipeline.errors import UnavailableError


class Interruption:
    """Of one call. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        self._over = False

    def end(self) -> None:
        """Stop what is under way for this call, and begin nothing more."""
        with self._lock:
            self._over = True
            for stop in self._stops:
                stop()

    @contextmanager
    def stopped_by(self, stop: Callable[[], None]) -> Iterator[None]:
        """``stop`` is called from another thread when the call ends within the block, and never after it."""
        with self._lock:
            if self._over:
                raise UnavailableError("nobody waits for this question any more", kind="timeout")
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)


CALL: ContextVar[Interruption | None] = ContextVar("vector_pipeline_call", default=None)
"""The call that this thread works for."""


@contextmanager
def stopped_by(stop: Callable[[], None]) -> Iterator[None]:
    """Let the present call, if there is one, stop what is done in the block."""
    call = CALL.get()
    if call is None:
        yield
    else:
        with call.stopped_by(stop):
            yield
