"""Has a source changed? One short digest a shard, from the listing alone: nothing is read, and no lake is asked."""

import hashlib
import time
from pathlib import Path

from vector_pipeline.config import DatasetConfig, RecordSourceConfig, S3SourceConfig
from vector_pipeline.corpus.sources import listed_source
from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import shard_of

_CHARS = 16


def watched(config: DatasetConfig) -> str | None:
    """What is listed, for people: a folder as it was written, ``s3://bucket/prefix/``. None for records: nothing lists them."""
    source = config.source
    if isinstance(source, RecordSourceConfig):
        return None
    return source.where if isinstance(source, S3SourceConfig) else str(source.root)


def source_digests(config: DatasetConfig, base: Path, *, within_s: float | None = None) -> dict[int, str] | None:
    """Shard → digest over the ids and revisions of its files (size and mtime) or objects (size and ETag); shards without any are
    left out.

    None for sources that list nothing (``watched``). Raises ``ConfigError`` or ``UnavailableError`` as a listing does, and
    ``RefusedError`` where it is not at its end after ``within_s`` seconds: half a listing says nothing.
    """
    until = None if within_s is None else time.monotonic() + within_s
    if isinstance(config.source, RecordSourceConfig):
        return None
    digests: dict[int, hashlib._Hash] = {}
    # A source lists in the order of its paths, so that equal folders give equal digests.
    for count, item in enumerate(listed_source(config.source, base).list(), 1):
        if until is not None and time.monotonic() > until:
            raise RefusedError(
                f"{watched(config)} cannot be watched: after {within_s:g} s no more than {count:,} items are listed",
                fix="Enable `refresh` instead of `changes`, or give ticks more time: DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS",
            )
        digest = digests.setdefault(shard_of(item.id, config.shards), hashlib.sha256())
        digest.update(f"{item.id}\0{item.revision}\n".encode())
    return {shard: digest.hexdigest()[:_CHARS] for shard, digest in digests.items()}
