"""A circuit breaker: whether a place is worth asking, by how its last calls ended. Knows nothing of what is called.

Laws
----
1. ``failures`` calls in a row that failed within ``within_s`` seconds open it; one that succeeded in between starts the count anew.
2. Open, it lets nobody through for ``pause_s`` seconds; then it is half-open: one call at a time tries. Its failure opens again.
   A trial is ended by its own call alone; one that was not within another pause is taken for lost, and the next one may try.
   The success of any call that began since it opened closes it, whether it was let through or asked for want of anything else.
3. Time that a caller allowed and that ran out counts as a failure only where he allowed ``FLOOR_S`` seconds at least, and nobody
   else was answered meanwhile: else his limit was small or his question large, and the place is well.
4. No lock is held while something is called: calls do not wait for each other.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

FAILURES = 3
WITHIN_S = 30.0
PAUSE_S = 10.0
FLOOR_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One call, as its breaker knows it."""

    openings: int
    """How often the breaker had opened when it began."""


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
        self._openings = 0
        self._trial: tuple[Turn, float] | None = None
        """The trial under way, and when it began."""
        self._answered: float | None = None
        """When it last answered."""

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        until = self._waits_until
        return "closed" if until is None else "open" if self._clock() < until else "half-open"

    def allows(self) -> Turn | None:
        """Whether to call now. Whoever gets a turn ends it with ``succeeded``, ``failed``, ``timed_out`` or ``unsaid``."""
        if self._waits_until is None:
            return self.begun()
        with self._lock:
            now = self._clock()
            if self._waits_until is None:
                return self.begun()
            if now < self._waits_until or (self._trial is not None and now < self._trial[1] + self._pause):
                return None
            turn = self.begun()
            self._trial = turn, now
            return turn

    def begun(self) -> Turn:
        """The turn of a call that is made whatever the breaker says."""
        return Turn(self._openings)

    def succeeded(self, turn: Turn) -> None:
        """The call answered."""
        self._answered = self._clock()
        if self._waits_until is None and not self._last:
            return
        with self._lock:
            if self._waits_until is not None and turn.openings != self._openings:
                return  # It began before the breaker opened.
            self._last.clear()
            self._waits_until = self._trial = None

    def failed(self, turn: Turn) -> None:
        """The call did not answer."""
        with self._lock:
            now = self._clock()
            if self._waits_until is not None:
                if self._tries(turn):
                    self._open(now)
                return
            self._last.append(now)
            if len(self._last) == self._last.maxlen and now - self._last[0] <= self._within:
                self._open(now)

    def timed_out(self, turn: Turn, seconds: float) -> None:
        """The call did not answer within so many seconds, and whoever made it waits no longer (law 3)."""
        answered = self._answered
        if seconds < FLOOR_S or (answered is not None and answered > self._clock() - seconds):
            self.unsaid(turn)
        else:
            self.failed(turn)

    def unsaid(self, turn: Turn) -> None:
        """The call ended without saying whether the place answers: it was wrong in itself."""
        with self._lock:
            if self._tries(turn):
                self._trial = None

    def _tries(self, turn: Turn) -> bool:
        return self._trial is not None and self._trial[0] is turn

    def _open(self, now: float) -> None:
        self._waits_until, self._trial = now + self._pause, None
        self._openings += 1
