"""A bounded number of threads, made when they are first needed, and anew in a process that was forked."""

import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """Runs work on at most ``most`` threads; what comes then waits its turn. The caller's context variables go with it."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = f"vector-pipeline-{name}"
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The result to come."""
        pool = self._pool
        # Threads do not survive a fork: the parent's pool would never run anything here.
        if pool is None or self._process != os.getpid():
            with self._lock:
                if self._pool is None or self._process != os.getpid():
                    self._pool = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
                    self._process = os.getpid()
                pool = self._pool
        return pool.submit(contextvars.copy_context().run, work)

    def close(self) -> None:
        """Forget what has not begun, and wait for what has."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown(wait=True, cancel_futures=True)
