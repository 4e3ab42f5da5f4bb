"""A move into another space waits for its model: readers go on with what they know until it is loaded here.

Laws
----
1. What a reader searches changes to another model only when that model has answered here once: no query waits while weights are
   read from a disk because somebody promoted.
2. That lasts ``WARM_S`` at most: as long a version is kept for readers that follow an alias. Then, and where the model cannot be
   loaded, queries go where the alias points, and are told what is wrong.
3. It costs no answer: where the version before does not answer any more, nothing is waited for.
4. A routed version takes no reader before its model is there: production answers.
5. The first query of a reader has nothing to go on with: it loads.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.release.registry import Version
from vector_pipeline.serving.following import OUTAGE_S
from vector_pipeline.serving.resolving import Live
from vector_pipeline.serving.threads import Threads

WARM_S = OUTAGE_S
_log = logging.getLogger("vector_pipeline.serving")


class Warming:
    """Which of what the registry said is served now. Thread-safe.

    Args:
        embedder: of queries for a version. It may raise: then there is nothing to wait for.
        answers: whether a version's place answers still, as far as this reader knows.
    """

    def __init__(self, embedder: Callable[[Version], Embedder], answers: Callable[[Live], bool]) -> None:
        self._embedder = embedder
        self._answers = answers
        self._threads = Threads(1, "model")
        self._lock = threading.Lock()
        self._known: dict[int, Embedder] = {}
        """Embedders that answered, or that nobody waits for any more, by identity."""
        self._begun: dict[int, float] = {}
        """When one was begun to be loaded (monotonic seconds)."""
        self._last: Live | None = None
        """What was served last."""

    def served(self, live: Live) -> Live:
        """What to search now, of what the registry says."""
        last = self._last
        if last is not live:
            live = self._last = self._given(live, last)
        return live

    def close(self, within_s: float) -> None:
        """Load nothing more."""
        self._threads.close(within_s)

    def _given(self, live: Live, last: Live | None) -> Live:
        if last is None:
            self._expect(live.version)
        elif not self._ready(live.version) and self._answers(last):
            return last
        if live.routed is not None and not self._ready(live.routed.version):
            return replace(live, routed=None)
        return live

    def _expect(self, version: Version) -> None:
        """Law 5."""
        try:
            embedder = self._embedder(version)
        except VectorPipelineError:
            return  # The query that comes next is told.
        self._known[id(embedder)] = embedder

    def _ready(self, version: Version) -> bool:
        try:
            embedder = self._embedder(version)
        except VectorPipelineError:
            return True
        key = id(embedder)
        if key in self._known:
            return True
        with self._lock:
            began = self._begun.get(key)
            if began is None:
                began = self._begun[key] = time.monotonic()
                self._threads.submit(lambda: self._load(embedder, version))
        if time.monotonic() - began < WARM_S:
            return False
        self._known[key] = embedder
        return True

    def _load(self, embedder: Embedder, version: Version) -> None:
        """One text: weights, kernels and caches are there then."""
        try:
            embedder.embed_queries(["ready"])
        except VectorPipelineError as error:
            _log.warning("%s: the model of %s does not answer: %s", version.dataset, version.space, error)
        finally:
            self._known[id(embedder)] = embedder
