"""From configuration to a target: the one place that knows every kind."""

from pathlib import Path

from vector_pipeline.config import (
    ChromaTargetConfig,
    DuckDBTargetConfig,
    PgvectorTargetConfig,
    PineconeTargetConfig,
    TargetConfig,
)
from vector_pipeline.errors import ConfigError
from vector_pipeline.targets.base import Target


def open_target(name: str, config: TargetConfig, base: Path, *, read_only: bool = False) -> Target:
    """A target by its configuration; relative paths are below ``base``. Nothing is opened before the first call.

    ``read_only`` targets refuse every write with ``RefusedError``. ``ConfigError`` where the kind's package is not installed.
    """
    # Heavy, each of them: imported only when such a target is really used.
    try:
        match config:
            case DuckDBTargetConfig():
                from vector_pipeline.targets.duckdb import DuckDBTarget

                return DuckDBTarget(
                    name, base / config.path, memory_limit=config.memory_limit, hnsw=config.hnsw, read_only=read_only
                )
            case PineconeTargetConfig():
                from vector_pipeline.targets.pinecone import PineconeTarget

                return PineconeTarget(name, config, base, read_only=read_only)
            case ChromaTargetConfig():
                from vector_pipeline.targets.chroma import ChromaTarget

                return ChromaTarget(name, config, base, read_only=read_only)
            case PgvectorTargetConfig():
                from vector_pipeline.targets.pgvector import PgvectorTarget

                return PgvectorTarget(name, config, read_only=read_only)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "vector_pipeline":
            raise
        raise ConfigError(
            f"target {name} is of kind {config.kind}, and package {error.name} is not installed",
            fix=f"pip install 'vector-pipeline[{config.kind}]'",
        ) from error
