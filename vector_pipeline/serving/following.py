"""Follow an alias: ask the registry when what is known is stale, hear of changes where it tells, and live through an outage of it.

Laws
----
1. While the registry answers, what ``current`` gives is at most ``max_staleness_s`` seconds old; 0 asks every time. Where the
   registry tells of changes (PostgreSQL), it is known sooner; that nothing was told proves nothing.
2. While it does not, the last known alias is given for ``OUTAGE_S`` seconds more: it is asked on a thread of its own, and no query
   that may take what is known waits for that longer than ``WAIT_S``, once.
3. What is given never goes back: who asks later knows what is later.
4. Whoever tells of a change waits for nobody: what it means is asked on the follower's own thread.
5. What the registry said is told on before anybody's next question, in the order of its answers, whoever asked it (``then``).
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from vector_pipeline.errors import ConflictError, UnavailableError, VectorPipelineError
from vector_pipeline.release.registry.listening import Listener, told
from vector_pipeline.serving.resolving import Followed, Live
from vector_pipeline.serving.threads import Threads, closed

OUTAGE_S = 60.0
"""How long the last known alias is served while the registry does not answer (or ``max_staleness_s``, if that is longer)."""
WAIT_S = 1.0
"""How long a query waits for the registry, before it takes what is known."""
_PAUSE_S = 5.0
"""Between two questions to a registry that does not answer."""
_log = logging.getLogger(__name__)


class Follower:
    """Follows an alias. Threads may share it."""

    def __init__(self, followed: Followed, max_staleness_s: float) -> None:
        self._followed = followed
        self._staleness = max_staleness_s
        self._threads = Threads(1, "follower")
        self._lock = threading.Lock()
        self._resolving = threading.Lock()
        self._asking: tuple[int, Future[Live]] | None = None
        """The question under way, and the process that asks it."""
        self._live: Live | None = None
        self._failed: tuple[float, VectorPipelineError] | None = None
        """When the registry last did not answer, and what it said; None while it answers."""
        self._slow = False
        """The registry did not answer, or not soon: nobody waits for it."""
        self._listener: Listener | None = None
        self._told = False
        """Something was told that was not asked about yet."""
        self._closed = False
        self._then: Callable[[Live], None] = lambda _: None

    def then(self, heard: Callable[[Live], None]) -> None:
        """Law 5. What is called waits for nobody, and raises nothing."""
        self._then = heard

    @property
    def followed(self) -> Followed:
        """What is followed."""
        return self._followed

    @property
    def known(self) -> Live | None:
        """What the registry said last, however old; None: nothing yet. Asks nobody."""
        return self._live

    @property
    def hearing(self) -> bool:
        """The registry tells of changes, and is heard now."""
        return self._listener is not None and self._listener.hearing

    @property
    def bound_s(self) -> float:
        """How old may be what is given while the registry does not answer, in seconds."""
        return max(OUTAGE_S, self._staleness)

    @property
    def closed(self) -> bool:
        """Nothing is asked any more."""
        return self._closed

    def refresh(self) -> Live:
        """Ask the registry now."""
        with self._resolving:
            if self._closed:
                raise closed()
            try:
                self._live = self._followed.ask(self._live)
            except (UnavailableError, ConflictError) as error:
                if self._failed is None:
                    _log.warning("%s: the registry does not answer: %s", self._followed.dataset, error)
                self._failed, self._slow = (time.monotonic(), error), True
                raise
            self._failed, self._slow = None, False
            self._then(self._live)
            return self._live

    def current(self) -> Live:
        """What to search now. ``NotFoundError`` when nothing was promoted; ``UnavailableError`` or ``ConflictError`` when the
        registry does not answer and nothing, or nothing recent enough, is known.
        """
        arrived = time.monotonic()
        while True:
            if self._closed:
                raise closed()
            live = self._live
            if live is not None and live.asked >= arrived - self._staleness:
                return live
            recent = live if live is not None and arrived - live.asked < self.bound_s else None
            failed = self._failed
            if failed is not None and time.monotonic() - failed[0] <= _PAUSE_S:
                if recent is None:
                    raise failed[1]
                return recent
            try:
                # Somebody else's question may have been asked before this one came: the loop looks again.
                self.question().result(None if recent is None else 0 if self._slow else WAIT_S)
            except TimeoutError:
                self._slow = True
                assert recent is not None
                return recent
            except (UnavailableError, ConflictError):
                if recent is None:
                    raise
                return recent

    def listen(self) -> None:
        """Hear of changes from here on, where the registry tells of them."""
        listener = self._followed.parts.registry(read_only=True).listener(self._hear)
        if listener is not None:
            self._listener = listener
            listener.start()

    def question(self) -> "Future[Live]":
        """The question under way, or a new one: however many wait for it, the registry is asked once."""
        with self._lock:
            if self._asking is None or self._asking[1].done() or self._asking[0] != os.getpid():
                self._asking = os.getpid(), self._threads.submit(self.refresh)
            return self._asking[1]

    def close(self, within_s: float) -> None:
        """Stop asking and hearing. A registry that does not answer is waited for so long."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()
        self._threads.close(within_s)

    def _hear(self, what: str) -> None:
        """Law 4. Of what is told while a question waits its turn, that question learns."""
        mine = what in ("", told(self._followed.dataset, self._followed.parts.environment))
        if mine and not self._told:
            self._told = True
            with suppress(UnavailableError):  # It was closed meanwhile.
                self._threads.submit(self._ask_about_it)

    def _ask_about_it(self) -> None:
        self._told = False
        try:
            self.refresh()
        except VectorPipelineError as error:
            # Whoever queries next asks, and is told.
            _log.debug("%s: asked in vain: %s", self._followed.dataset, error)
