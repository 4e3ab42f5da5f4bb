"""Tables of token vectors (wordllama, model2vec, a saved StaticEmbedding): a text's vector is the mean of its tokens'.

The only file that imports safetensors. No torch, and not wordllama's own code, which sets up the root logger when it is
imported; its vectors are the same (a test compares them).

Laws
----
1. A text's vector depends on that text alone: the same bytes in every batch.
2. A text without tokens gets the direction of all ones: it has to have one, and is near nothing in particular.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.embedding.layout import digest_of
from vector_pipeline.embedding.models import find_model
from vector_pipeline.embedding.tokens import HuggingFaceTokens
from vector_pipeline.embedding.vectors import agreed_dimension, finish
from vector_pipeline.errors import CorruptError, InputError
from vector_pipeline.hashing import fingerprint

_TENSORS = ("embedding.weight", "embeddings")
# (weights, tokenizer) below the model's folder: model2vec; a saved StaticEmbedding; wordllama.
_PLACES = (
    ("model.safetensors", "tokenizer.json"),
    ("0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json"),
    ("weights/*.safetensors", "tokenizers/*tokenizer*.json"),
)
_GROUP = 256
"""Texts that are tokenized in one call."""


def is_static(folder: Path) -> bool:
    """Whether the folder holds a table of token vectors and its tokenizer."""
    return _files(folder) is not None


class StaticEmbedder(Embedder):
    """Mean of token vectors. Fast (about ten thousand paragraphs a second), and any smaller dimension may be cut.

    Raises:
        NotFoundError, ConfigError: no such model, or another dimension than configured.
    """

    tokens: HuggingFaceTokens

    def __init__(self, config: EmbedderConfig, base: Path = Path()) -> None:
        model = find_model(config.model, config.revision, base, is_static)
        files = _files(model.folder)
        assert files is not None  # find_model accepts nothing else
        self._weights, tokenizer = files
        self._config = config
        self._name, self._rows, self._native = _shape(self._weights)
        self._table: npt.NDArray[np.floating] | None = None
        self._lock = threading.Lock()
        self.label = model.label
        self.dimension = agreed_dimension(config, self._native, may_cut=True)
        self.batch_size = config.batch_size
        self.tokens = HuggingFaceTokens(tokenizer, config.max_tokens)
        self._digest = digest_of(model.folder, set(files))
        self.fingerprint = fingerprint(
            {
                "format": 1,
                "kind": config.kind,
                "weights": self._digest,
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
        if isinstance(texts, str):
            raise InputError("texts must be a list of texts, not one text")
        table = self._load()
        means = np.empty((len(texts), self._native), dtype=np.float32)
        for start in range(0, len(texts), _GROUP):
            group = [prompt + text for text in texts[start : start + _GROUP]]
            for row, ids in enumerate(self.tokens.ids(group), start):
                used = ids[: self.tokens.limit]
                means[row] = table[used].mean(axis=0, dtype=np.float32) if used else 1.0
        return finish(
            means,
            native=self._native,
            dimension=self.dimension,
            normalize=self._config.normalize,
            model=self._config.model,
        )

    def _load(self) -> npt.NDArray[np.floating]:
        with self._lock:
            if self._table is None:
                from safetensors.numpy import load_file

                self._table = load_file(self._weights)[self._name]
            return self._table


def _files(folder: Path) -> tuple[Path, Path] | None:
    for weights, tokenizer in _PLACES:
        found = sorted(folder.glob(weights)), sorted(folder.glob(tokenizer))
        if len(found[0]) == 1 and len(found[1]) == 1 and _tensor_names(found[0][0]) is not None:
            return found[0][0], found[1][0]
    return None


def _tensor_names(weights: Path) -> str | None:
    """Name of the one table in the file; None if it is something else (a transformer's weights)."""
    try:
        with _open(weights) as file:
            names = list(file.keys())
    except CorruptError:
        return None
    return names[0] if len(names) == 1 and names[0] in _TENSORS else None


def _shape(weights: Path) -> tuple[str, int, int]:
    name = _tensor_names(weights)
    assert name is not None  # only such files are accepted
    with _open(weights) as file:
        rows, width = file.get_slice(name).get_shape()
    return name, int(rows), int(width)


def _open(weights: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(weights, framework="np")
    except (OSError, SafetensorError) as error:
        raise CorruptError(f"{weights} cannot be read: {error}", fix="Install the model again") from None
