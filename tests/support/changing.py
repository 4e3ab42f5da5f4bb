"""An embedder that becomes another one under its name: what happens behind an API, to a library, in a container.

The tiny embedder, but for what the environment variable says, which its fingerprint does not cover.
"""

import os
from collections.abc import Sequence

import numpy as np

from vector_pipeline.embedding.base import Vectors
from vector_pipeline.embedding.deterministic import DeterministicEmbedder

MODEL_NOW = "VECTOR_PIPELINE_TEST_MODEL"
"""``""``: as ever. ``weights``, ``nudged``, ``halved``, ``stripped``, ``scaled``, ``prompts``, ``int8``: what became of it."""
_STOP = {"to", "be", "or", "not", "the", "of", "and", "is", "a", "it", "that", "all", "there"}


class ChangingEmbedder(DeterministicEmbedder):
    """See the module."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        prompt = self._config.query_prompt if _now() == "prompts" else self._config.document_prompt
        return self._changed(texts, prompt)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        prompt = self._config.document_prompt if _now() == "prompts" else self._config.query_prompt
        return self._changed(texts, prompt)

    def _changed(self, texts: Sequence[str], prompt: str) -> Vectors:
        now = _now()
        if now == "halved":
            half = (self.tokens.limit or 256) // 2
            texts = [" ".join(text.split(" ")[:half]) for text in texts]
        if now == "stripped":
            texts = [" ".join(word for word in text.split(" ") if word.lower() not in _STOP) for text in texts]
        if now == "weights":
            texts = ["".join(reversed(text)) for text in texts]
        found = self._embed(texts, prompt)
        if now == "scaled":
            found = found * np.float32(1.5)
        if now == "nudged":
            found = found.copy()
            found[:, 0] += np.float32(0.02)
        if now == "int8":
            step = np.abs(found).max(axis=1, keepdims=True) / 100
            found = (np.round(found / step) * step).astype(np.float32)
        return found


def _now() -> str:
    return os.environ.get(MODEL_NOW, "")
