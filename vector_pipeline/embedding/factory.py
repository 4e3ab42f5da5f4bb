"""From configuration to embedders and spaces.

Laws
----
1. A model is loaded once per process: equal fingerprints (on the same device, by the same backend, with the same batch size) share
   an embedder.
2. A space's fingerprint covers the embedder's fingerprint, the metric, every setting of the chunker, the chunker's
   version and the tokenizer that it counts with. Device, backend, batch size and prices are in neither; a precision is in both.
3. Resolving a space loads no weights.
"""

import threading
from pathlib import Path

from vector_pipeline.config import EmbedderConfig, SpaceConfig
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.embedding.deterministic import DeterministicEmbedder
from vector_pipeline.embedding.sentence_transformers import SentenceTransformerEmbedder
from vector_pipeline.embedding.static import StaticEmbedder
from vector_pipeline.errors import ConfigError
from vector_pipeline.hashing import fingerprint

Known = SentenceTransformerEmbedder | StaticEmbedder | DeterministicEmbedder

Opened = tuple[str, str | None, str, int]
_open: dict[Opened, Known] = {}
_lock = threading.Lock()


def open_embedder(config: EmbedderConfig, base: Path) -> Embedder:
    """The configured embedder; ``base`` is the folder that relative model paths begin at.

    Raises:
        NotFoundError, ConfigError, RefusedError, UnavailableError: as the embedder of that kind says.
    """
    return _opened(config, base)


def resolve_space(name: str, config: SpaceConfig, base: Path, chunker_version: str) -> EmbeddingSpace:
    """What a configured space is on this machine.

    Args:
        chunker_version: name of the chunking code: ours and its library's version.

    Raises:
        ConfigError: the chunker would make chunks that the model cannot read to their end.
    """
    embedder = _opened(config.embedder, base)
    chunker, limit = config.chunker, embedder.tokens.limit
    if chunker.kind != "whole" and limit is not None and chunker.max_tokens > limit:
        raise ConfigError(
            f"space {name}: chunker.max_tokens is {chunker.max_tokens}, but {config.embedder.model} reads {limit}",
            fix=f"Set chunker.max_tokens to {limit} or less",
        )
    return EmbeddingSpace(
        name=name,
        fingerprint=fingerprint(
            {
                "format": 1,
                "embedder": embedder.fingerprint,
                "metric": config.metric,
                "chunker": {
                    **chunker.model_dump(mode="json"),
                    "version": chunker_version,
                    "tokens": embedder.tokens.name,
                    "limit": limit,
                },
            }
        ),
        embedder_fingerprint=embedder.fingerprint,
        dimension=embedder.dimension,
        metric=config.metric,
        chunker=chunker,
        model=embedder.label,
    )


def _opened(config: EmbedderConfig, base: Path) -> Known:
    made = _make(config, base)
    with _lock:
        return _open.setdefault(opened_as(made, config), made)


def opened_as(made: Embedder, config: EmbedderConfig) -> Opened:
    """What tells two embedders of one process apart: one that is open already is used again."""
    return made.fingerprint, config.device, config.backend, config.batch_size


def _make(config: EmbedderConfig, base: Path) -> Known:
    if config.kind == "deterministic":
        return DeterministicEmbedder(config)
    if config.kind == "static":
        return StaticEmbedder(config, base)
    return SentenceTransformerEmbedder(config, base)
