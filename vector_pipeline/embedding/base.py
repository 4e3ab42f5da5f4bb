"""The contract of an embedder, and what an embedding space is.

Laws
----
1. Vectors of two spaces never share a query, a namespace or a comparison. A space's fingerprint covers everything that
   moves a vector or a chunk: weights digest, revision, dimension, normalisation, prompts, token limit, chunker with its
   library's version, metric. Device, backend and batch size are not part of it; a precision other than float32 is.
2. ``embedder_fingerprint`` covers what moves a vector of a given text; two spaces that differ only in their chunker share
   it, and with it their stored vectors.
3. ``embed_documents`` keeps order and returns float32[n, dimension], finite, of unit length where ``normalize`` is set.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.config import ChunkerConfig

Vectors = npt.NDArray[np.float32]


class TokenCounter(ABC):
    """The embedder's own tokenizer, without its weights: what the chunker needs. Picklable, cheap to load."""

    name: str
    """Digest of the tokenizer: part of the chunker's identity."""
    limit: int | None
    """Tokens that the model reads of a text; None for no limit."""

    @abstractmethod
    def count(self, text: str) -> int:
        """Tokens of a text, without the model's special tokens."""

    @property
    def tokenizer_file(self) -> str | None:
        """Path of a Hugging Face ``tokenizer.json``, for libraries that count faster themselves; None where there is none."""
        return None


class Embedder(ABC):
    """Makes vectors. Construction is cheap: weights are loaded at the first ``embed_*``."""

    dimension: int
    fingerprint: str
    """Of everything that moves the vector of a given text: 16 hex characters, known without loading weights."""
    tokens: TokenCounter
    batch_size: int

    @abstractmethod
    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """float32[n, dimension] of texts that are indexed. Texts may come in any order of length."""

    @abstractmethod
    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """float32[n, dimension] of queries."""


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """A resolved space: what its configuration became on this machine."""

    name: str
    fingerprint: str
    embedder_fingerprint: str
    dimension: int
    metric: str
    chunker: ChunkerConfig
    model: str
    """For people: the model's name and revision."""
