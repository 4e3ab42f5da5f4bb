"""A move into another space waits for its model: readers go on with what they know until it is loaded here.

Laws
----
1. What a reader searches changes to another model only when that model has answered here once: no query waits while its files
   are read because somebody promoted. Finding out which model it is, and loading it, begins when the move is heard of.
2. The version before is served until ``WARM_S`` after the registry last said that it is the one: time that went by unasked, and an
   outage, count. Then, and where the model cannot be loaded, queries go where the alias points, and are told what is wrong.
3. It costs no answer: where the version before does not answer, or is written over, nothing is waited for.
4. A routed version takes no reader before its model is there, or ``WARM_S`` have gone by: production answers.
5. A reader that was not asked yet has nothing to go on with, and loads nothing: its first query loads.
6. Asking what is served changes nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import replace

from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.release.registry import Version
from vector_pipeline.serving.following import OUTAGE_S
from vector_pipeline.serving.resolving import Live
from vector_pipeline.serving.threads import Threads

WARM_S = OUTAGE_S
_log = logging.getLogger("vector_pipeline.serving")


class Warming:
    """Which of what the registry said is served now. Thread-safe.

    Args:
        model: by what a version's queries are embedded: equal where it is the same model. Reads nothing.
        embedder: of queries for a version. It may read files, and raise.
        answers: whether a version's place answers still, as far as this reader knows.
    """

    def __init__(
        self,
        model: Callable[[Version], Hashable],
        embedder: Callable[[Version], Embedder],
        answers: Callable[[Live], bool],
    ) -> None:
        self._model = model
        self._embedder = embedder
        self._answers = answers
        self._threads = Threads(1, "model")
        self._lock = threading.Lock()
        self._ready: frozenset[Hashable] = frozenset()
        """Models that answered, or that nobody waits for any more."""
        self._begun: dict[Hashable, float] = {}
        """When one was begun to be loaded (monotonic seconds)."""
        self._said: Live | None = None
        """What the registry said last."""
        self._last: Live | None = None
        """What is served: what the registry said last while the model of that was there."""
        self._used = False

    def heard(self, live: Live) -> None:
        """The registry said this. Whoever asked it tells so, in the order of its answers; waits for nothing."""
        with self._lock:
            self._said, last = live, self._last
            if last is None or not self._used or self._is_ready(live.version) or not self._stands_in(last, live):
                self._follow(live)
            else:
                self._begin(live.version)
            if self._used and live.routed is not None:
                self._begin(live.routed.version)

    def taken(self, live: Live) -> Live:
        """``served``, for a query: from now on there is something to go on with (law 5)."""
        if not self._used:
            with self._lock:
                self._used = True
                if live.routed is not None:
                    self._begin(live.routed.version)
        return self.served(live)

    def served(self, live: Live) -> Live:
        """What to search now, of what the registry says. Its ``routed`` is None until it may be asked."""
        last = self._last
        if last is None or last is live or self._is_ready(live.version) or not self._stands_in(last, live):
            routed = live.routed
            waits = routed is not None and not self._is_ready(routed.version)
            return replace(live, routed=None) if waits else live
        # Where it does not answer, nothing but the present version is asked.
        return replace(last, route=live.route, routed=None, previous=None)

    def given_up(self, live: Live) -> None:
        """Law 3: what was served did not answer. The present version is served from now on."""
        with self._lock:
            if self._said is not None and self._last is not None and self._last.served.place == live.served.place:
                self._follow(self._said)

    def close(self, within_s: float) -> None:
        """Load nothing more."""
        self._threads.close(within_s)

    def _follow(self, live: Live) -> None:
        self._last = live
        """With the lock held. Law 5: of a reader that was not asked, what it followed until now was never loaded."""
        self._ready = frozenset({self._model(live.version)}) | (self._ready if self._used else frozenset())

    def _stands_in(self, last: Live, live: Live) -> bool:
        """Laws 2 and 3."""
        recent = time.monotonic() - last.asked < WARM_S
        return recent and last.served.place != live.served.place and self._answers(last)

    def _is_ready(self, version: Version) -> bool:
        model = self._model(version)
        if model in self._ready:
            return True
        began = self._begun.get(model)
        return began is not None and time.monotonic() - began >= WARM_S

    def _begin(self, version: Version) -> None:
        """With the lock held."""
        model = self._model(version)
        if model not in self._ready and model not in self._begun:
            with suppress(UnavailableError):  # It was closed meanwhile.
                self._threads.submit(lambda: self._load(version))
                self._begun[model] = time.monotonic()

    def _load(self, version: Version) -> None:
        """One text: weights, kernels and caches are there then."""
        try:
            self._embedder(version).embed_queries(["ready"])
        except VectorPipelineError as error:
            _log.warning("%s: the model of %s does not answer: %s", version.dataset, version.space, error)
        finally:
            with self._lock:
                self._ready = self._ready | {self._model(version)}
                if self._said is not None and self._is_ready(self._said.version):
                    self._last = self._said
