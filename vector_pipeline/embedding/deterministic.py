"""A tiny embedder for tests: words hashed to signed buckets, so that texts which share words are near.

Laws
----
1. The same text gives the same bytes on every machine and in every batch: sums of small whole numbers are exact.
2. It is refused unless ``VECTOR_PIPELINE_ALLOW_DETERMINISTIC=1``: its vectors know nothing of meaning.
"""

import hashlib
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.embedding.tokens import WordTokens
from vector_pipeline.embedding.vectors import finish
from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import fingerprint

ALLOW = "VECTOR_PIPELINE_ALLOW_DETERMINISTIC"
DEFAULT_DIMENSION = 64
_BUCKETS = 4
"""Buckets of one word: two words that meet in one still differ in the others."""
_KEPT_WORDS = 200_000


class DeterministicEmbedder(Embedder):
    """Words to buckets; ``model`` seeds the hash, so that two names are two spaces.

    Raises:
        RefusedError: the environment does not allow it.
    """

    tokens: WordTokens

    def __init__(self, config: EmbedderConfig) -> None:
        if os.environ.get(ALLOW) != "1":
            raise RefusedError(
                "the deterministic embedder is for tests: its vectors carry no meaning",
                fix=f"Choose another embedder.kind, or set {ALLOW}=1 in a test",
            )
        self.dimension = config.dimension or DEFAULT_DIMENSION
        self.tokens = WordTokens(config.max_tokens)
        self.batch_size = config.batch_size
        self.label = f"deterministic {config.model}"
        self._config = config
        self._seed = hashlib.blake2b(config.model.encode(), digest_size=32).digest()
        self._words: dict[str, tuple[int, ...]] = {}
        self.fingerprint = fingerprint(
            {
                "format": 1,
                "kind": config.kind,
                "model": config.model,
                "revision": config.revision,
                "dimension": self.dimension,
                "normalize": config.normalize,
                "query_prompt": config.query_prompt,
                "document_prompt": config.document_prompt,
                "max_tokens": config.max_tokens,
            }
        )

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._config.document_prompt)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._config.query_prompt)

    def _embed(self, texts: Sequence[str], prompt: str) -> Vectors:
        codes: list[int] = []
        lengths: list[int] = []
        for text in texts:
            before = len(codes)
            for word in self.tokens.words(prompt + text)[: self.tokens.limit]:
                codes += self._words.get(word) or self._learn(word)
            lengths.append(len(codes) - before)
        flat: npt.NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
        rows = np.repeat(np.arange(len(texts)), lengths)
        size = len(texts) * self.dimension
        sums = np.bincount(rows * self.dimension + flat // 2, weights=1.0 - 2.0 * (flat % 2), minlength=size)
        table = sums.astype(np.float32).reshape(len(texts), self.dimension)
        for row in np.flatnonzero(~table.any(axis=1)).tolist():
            # No word, or words that cancel: the text as a whole gets one bucket, so that it has a direction.
            table[row, self._hash(texts[row])[0] // 2] = 1.0
        return finish(
            table, native=self.dimension, dimension=self.dimension, normalize=self._config.normalize, model=self.label
        )

    def _learn(self, word: str) -> tuple[int, ...]:
        if len(self._words) >= _KEPT_WORDS:
            self._words.clear()
        return self._words.setdefault(word, self._hash(word))

    def _hash(self, word: str) -> tuple[int, ...]:
        """``2 * bucket + sign`` of each of the word's buckets."""
        digest = hashlib.blake2b(
            word.encode("utf-8", "surrogatepass"), key=self._seed, digest_size=8 * _BUCKETS
        ).digest()
        numbers = (int.from_bytes(digest[i : i + 8], "big") for i in range(0, len(digest), 8))
        return tuple(2 * ((number >> 1) % self.dimension) + (number & 1) for number in numbers)
