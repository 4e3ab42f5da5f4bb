"""Has a source changed? One short digest a shard, from the listing alone: no file is opened, no lake is asked."""

import hashlib
from pathlib import Path

from vector_pipeline.config import DatasetConfig, FileSourceConfig
from vector_pipeline.corpus import FileSource
from vector_pipeline.hashing import shard_of

_CHARS = 16


def source_digests(config: DatasetConfig, base: Path) -> dict[int, str] | None:
    """Shard → digest over the ids and revisions (size and mtime) of its files; shards without files are left out.

    None for sources that are not files. Raises ``ConfigError`` or ``UnavailableError`` as a listing does.
    """
    if not isinstance(config.source, FileSourceConfig):
        return None
    digests: dict[int, hashlib._Hash] = {}
    # A source lists in the order of its paths, so that equal folders give equal digests.
    for item in FileSource(config.source, base).list():
        digest = digests.setdefault(shard_of(item.id, config.shards), hashlib.sha256())
        digest.update(f"{item.id}\0{item.revision}\n".encode())
    return {shard: digest.hexdigest()[:_CHARS] for shard, digest in digests.items()}
