"""A bounded number of threads, made when they are first needed, and anew in a process that was forked.

Laws
----
1. Whoever waits for something hears of it: of its end, or, within the time that closing takes, that the index is closed.
2. Closed, nothing is begun any more. Work that does not end is left to itself: its thread is the process's, not closing's.
3. What nobody waits for any more (``leave``) takes nobody's turn: it goes out of the queue, or, begun, does not count any more.
   ``LEFT`` times as many may go on so; beyond that nothing is begun, and whoever comes or waits is told so at once.
4. No thread keeps a process from ending: what runs then has ``EXIT_S`` seconds more.
"""

import atexit
import contextvars
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

from vector_pipeline.errors import UnavailableError

T = TypeVar("T")
LEFT = 2
"""Law 3, for each thread that may work for somebody."""
EXIT_S = 1.0
_IDLE_S = 30.0
"""After which a thread that has nothing to do ends."""
_Work = tuple[Future[Any], Callable[[], Any]]


def closed() -> UnavailableError:
    """The error of every call of an index that was closed."""
    return UnavailableError("the index is closed", fix="Open another one: open_index", kind="closed")


class Threads:
    """Runs work on at most ``most`` threads; what comes then waits its turn. The caller's context variables go with it."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = f"vector-pipeline-{name}"
        self._closed = False
        self._anew()
        _EVERY.add(self)

    def _anew(self) -> None:
        """Threads do not survive a fork, and locks do not tell who held them."""
        self._lock = threading.Lock()
        self._queue: dict[Future[Any], Callable[[], Any]] = {}
        self._running: dict[Future[Any], bool] = {}
        """Whether somebody waits for it still."""
        self._wanted = 0
        """For how many of those somebody does."""
        self._under_way: set[Future[Any]] = set()
        self._handed: SimpleQueue[_Work | None] = SimpleQueue()
        """What the next idle thread takes."""
        self._idle = 0
        """Threads to which nothing was handed."""

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The result to come. ``UnavailableError`` afterwards (``closed``), and where too much was left (law 3)."""
        future: Future[T] = Future()
        run = partial(contextvars.copy_context().run, work)
        with self._lock:
            if self._closed:
                raise closed()
            if self._left >= self._most * LEFT:
                raise self._none_free()
            if not (self._free and self._begun(future, run)):
                if not self._running:
                    raise UnavailableError("no thread is free: the system gives none", fix="Raise its limit of threads")
                self._queue[future] = run
            self._under_way.add(future)
        future.add_done_callback(self._over)
        return future

    def leave(self, future: Future[Any]) -> bool:
        """Nobody waits for it any more (law 3). Returns whether it had begun."""
        if future.cancel():
            return False
        with self._lock:
            if self._running.get(future):
                self._running[future] = False
                self._wanted -= 1
                self._advance()
            refused = list(self._queue) if self._left >= self._most * LEFT else []
        for one in refused:
            with suppress(InvalidStateError):
                one.set_exception(self._none_free())
        return True

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
            waiting = list(self._queue)
            for _ in range(self._idle):
                self._handed.put(None)
            self._idle = 0
        for future in [*waiting, *wait(self._under_way.difference(waiting), max(0.0, within_s)).not_done]:
            with suppress(InvalidStateError):
                future.set_exception(closed())

    @property
    def _left(self) -> int:
        return len(self._running) - self._wanted

    @property
    def _free(self) -> bool:
        return not self._closed and self._wanted < self._most and self._left < self._most * LEFT

    def _none_free(self) -> UnavailableError:
        return UnavailableError(
            f"no thread is free: {self._left} calls that nobody waits for any more do not end",
            fix="Something that is asked hangs; see: health()",
        )

    def _begun(self, future: Future[Any], run: Callable[[], Any]) -> bool:
        """Give it to a thread (with the lock). False: the system gives none."""
        if self._idle:
            self._idle -= 1
        else:
            try:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            except RuntimeError:
                return False
        self._running[future] = True
        self._wanted += 1
        self._handed.put((future, run))
        return True

    def _advance(self) -> None:
        """Begin what waits, as far as that may be (with the lock)."""
        while self._queue and self._free:
            future = next(iter(self._queue))
            if not self._begun(future, self._queue[future]):
                break
            del self._queue[future]

    def _work(self) -> None:
        """A thread's."""
        while (taken := self._next()) is not None:
            _do(*taken)
            with self._lock:
                self._wanted -= self._running.pop(taken[0])
                self._under_way.discard(taken[0])
                taken = None  # What was asked is not kept while nothing is.
                if self._closed or self._idle >= self._most:
                    self._advance()
                    return
                self._idle += 1
                self._advance()

    def _next(self) -> _Work | None:
        while True:
            try:
                return self._handed.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if self._idle:  # Else something is being handed to every one that waits.
                        self._idle -= 1
                        return None

    def _over(self, future: Future[Any]) -> None:
        """It has its answer: if it waited still, it does not any more."""
        with self._lock:
            if self._queue.pop(future, None) is None:
                return
            self._under_way.discard(future)
        if future.cancelled():
            future.set_running_or_notify_cancel()


def _do(future: Future[Any], run: Callable[[], Any]) -> None:
    """Whoever waits is told how it ended, if he was told nothing yet."""
    if (future.done() and not future.cancelled()) or not future.set_running_or_notify_cancel():
        return
    found, error = _outcome(run)
    with suppress(InvalidStateError):
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found)


def _outcome(run: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return run(), None
    except BaseException as error:  # noqa: BLE001 (whoever waits raises it)
        return None, error


_EVERY: WeakSet[Threads] = WeakSet()


def _forked() -> None:
    for one in list(_EVERY):
        one._anew()


def _exit() -> None:
    """Law 4: a thread that is stopped within a library may take the process with it, so what is about to end may."""
    until = time.monotonic() + EXIT_S
    for one in list(_EVERY):
        one.close(until - time.monotonic())


os.register_at_fork(after_in_child=_forked)
atexit.register(_exit)
