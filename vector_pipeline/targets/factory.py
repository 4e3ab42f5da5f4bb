"""From configuration to a target: the one place that knows every kind."""

from pathlib import Path

from vector_pipeline.config import TargetConfig
from vector_pipeline.targets.base import Target


def open_target(name: str, config: TargetConfig, base: Path, *, read_only: bool = False) -> Target:
    """A target by its configuration; relative paths are below ``base``. Nothing is opened before the first call.

    ``read_only`` targets refuse every write with ``RefusedError``.
    """
    from vector_pipeline.targets.duckdb import DuckDBTarget  # heavy: only when a target is really used

    return DuckDBTarget(
        name, base / config.path, memory_limit=config.memory_limit, hnsw=config.hnsw, read_only=read_only
    )
