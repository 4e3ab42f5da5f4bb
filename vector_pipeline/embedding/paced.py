"""An embedder that embeds no more texts a second than it is allowed to: for work that must leave the machine, or a service's quota,
to others.
"""

import time
from collections.abc import Callable, Sequence

from vector_pipeline.embedding.base import Embedder, Vectors


class Paced(Embedder):
    """Another embedder, slowed to a rate. Queries are not slowed."""

    def __init__(
        self,
        embedder: Embedder,
        texts_per_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._embedder, self._rate = embedder, texts_per_s
        self._clock, self._pause = clock, pause
        self._free_at = clock()
        self.dimension, self.fingerprint = embedder.dimension, embedder.fingerprint
        self.tokens = embedder.tokens
        # A batch is what is waited for at once: at a low rate a large one would come in gusts.
        self.batch_size = max(1, min(embedder.batch_size, int(texts_per_s)))

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """As the other one, after the time that the texts before these were allowed to take."""
        now = self._clock()
        if now < self._free_at:
            self._pause(self._free_at - now)
        self._free_at = max(now, self._free_at) + len(texts) / self._rate
        return self._embedder.embed_documents(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As the other one."""
        return self._embedder.embed_queries(texts)
