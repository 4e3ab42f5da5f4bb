"""A circuit breaker: whether a place is worth asking, by how its last calls ended. Knows nothing of what is called.

Laws
----
1. ``failures`` calls in a row that failed within ``within_s`` seconds open it; one that succeeded in between starts the count anew.
2. Open, it lets nobody through for ``pause_s`` seconds; then it is half-open: one call at a time tries. Its success closes, its
   failure opens again. A trial that nobody ended within another pause is taken for lost, and the next one may try.
3. Time that a caller allowed and that ran out counts as a failure only where he allowed ``FLOOR_S`` seconds at least, and nobody
   else was answered meanwhile: else his limit was small or his question large, and the place is well.
4. No lock is held while something is called: calls do not wait for each other.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

FAILURES = 3
WITHIN_S = 30.0
PAUSE_S = 10.0
FLOOR_S = 1.0


class Breaker:
    """Of one place. Thread-safe."""

    def __init__(
        self,
        failures: int = FAILURES,
        within_s: float = WITHIN_S,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._within = within_s
        self._pause = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last: deque[float] = deque(maxlen=failures)
        self._waits_until: float | None = None
        """None: closed. Before it: open. After it: half-open."""
        self._tried: float | None = None
        """When the trial under way began."""
        self._answered: float | None = None
        """When it last answered."""

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        until = self._waits_until
        return "closed" if until is None else "open" if self._clock() < until else "half-open"

    def allows(self) -> bool:
        """Whether to call now. Whoever is told so ends it with ``succeeded``, ``failed`` or ``unsaid``."""
        if self._waits_until is None:
            return True
        with self._lock:
            now = self._clock()
            if self._waits_until is None:
                return True
            if now < self._waits_until or (self._tried is not None and now < self._tried + self._pause):
                return False
            self._tried = now
            return True

    def succeeded(self) -> None:
        """The call answered."""
        self._answered = self._clock()
        if self._waits_until is None and not self._last:
            return
        with self._lock:
            if self._waits_until is not None and self._tried is None:
                return  # It began before the breaker opened.
            self._last.clear()
            self._waits_until = self._tried = None

    def failed(self) -> None:
        """The call did not answer."""
        with self._lock:
            now = self._clock()
            if self._waits_until is not None:
                if self._tried is not None:
                    self._waits_until, self._tried = now + self._pause, None
                return
            self._last.append(now)
            if len(self._last) == self._last.maxlen and now - self._last[0] <= self._within:
                self._waits_until = now + self._pause

    def timed_out(self, seconds: float) -> None:
        """The call did not answer within so many seconds, and whoever made it waits no longer (law 3)."""
        answered = self._answered
        if seconds < FLOOR_S or (answered is not None and answered > self._clock() - seconds):
            self.unsaid()
        else:
            self.failed()

    def unsaid(self) -> None:
        """The call ended without saying whether the place answers: it was wrong in itself."""
        with self._lock:
            self._tried = None
