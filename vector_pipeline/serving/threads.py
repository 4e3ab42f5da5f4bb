"""A bounded number of threads, made when they are first needed, and anew in a process that was forked.

Laws
----
1. Whoever waits for something hears of it: of its end, or, within the time that closing takes, that the index is closed.
2. Closed, nothing is begun any more. Work that does not end is left to itself: its thread is the process's, not closing's.
"""

import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, TypeVar, cast

from vector_pipeline.errors import UnavailableError

T = TypeVar("T")


def closed() -> UnavailableError:
    """The error of every call of an index that was closed."""
    return UnavailableError("the index is closed", fix="Open another one: open_index", kind="closed")


class Threads:
    """Runs work on at most ``most`` threads; what comes then waits its turn. The caller's context variables go with it."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = f"vector-pipeline-{name}"
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._under_way: set[Future[Any]] = set()
        self._closed = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The result to come. ``UnavailableError`` (``closed``) afterwards."""
        pool = self._pool
        # Threads do not survive a fork: the parent's pool would never run anything here.
        if pool is None or self._process != os.getpid():
            pool = self._made()
        future: Future[T] = Future()
        self._under_way.add(future)
        try:
            done = pool.submit(contextvars.copy_context().run, self._run, future, work)
        except RuntimeError:  # It was closed a moment ago.
            self._under_way.discard(future)
            raise closed() from None
        done.add_done_callback(lambda done: self._ended(done, future))
        return future

    def here(self, work: Callable[[], T]) -> T:
        """Run on the caller's own thread; closing waits for it as for the others."""
        if self._closed:
            raise closed()
        future: Future[None] = Future()
        self._under_way.add(future)
        try:
            return work()
        finally:
            self._under_way.discard(future)
            with suppress(InvalidStateError):
                future.set_result(None)

    def close(self, within_s: float) -> None:
        """Begin nothing more, and wait for what has begun. Who waits for what has not ended then is told so (law 1)."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if self._process != os.getpid():
            return
        if pool is not None:
            pool.shutdown(wait=False)
        left = wait(list(self._under_way), max(0.0, within_s)).not_done
        for future in left:
            with suppress(InvalidStateError):
                future.set_exception(closed())

    def _made(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._closed:
                raise closed()
            if self._pool is None or self._process != os.getpid():
                self._pool = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
                self._process, self._under_way = os.getpid(), set()
            return self._pool

    def _run(self, future: Future[T], work: Callable[[], T]) -> T | None:
        if (future.done() and not future.cancelled()) or not future.set_running_or_notify_cancel():
            return None  # Whoever waited was told something else.
        if self._closed:
            raise closed()
        return work()

    def _ended(self, done: "Future[T | None]", future: Future[T]) -> None:
        """Whoever waits is told how it ended, if he was told nothing yet."""
        self._under_way.discard(future)
        error = done.exception()
        with suppress(InvalidStateError):
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast(T, done.result()))
