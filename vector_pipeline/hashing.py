"""Identity: the hashes that name documents, chunks, records and spaces.

Laws
----
1. Every function is pure, and stable for ever: it depends on nothing but its arguments. DuckDB's own ``hash()`` changes
   between releases and is never used; ``sha256`` is, and the ``*_sql`` twins below compute the same values inside the lake.
2. ``content_hash(text)`` names a text; a *content key* names a text in one embedding space; a record id names that content
   in one document: ``<document key>#<content key>``, ASCII, so that listing ids alone proves content and a prefix lists a
   document (``record_prefix``).
3. The second and later occurrence of the same content in one document carries ``.2``, ``.3``, …; content that returns after
   its interval was closed carries ``~<version>`` (a generation). ``base_record_id`` strips the generation only.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

HASH_CHARS = 32
"""Hex characters of a content hash: 128 bits."""
KEY_CHARS = 24
"""Hex characters of a document or content key: 96 bits, 6e-12 collision odds at a billion keys."""


def _digest(data: str) -> str:
    return hashlib.sha256(data.encode("utf-8")).hexdigest()


def content_hash(text: str) -> str:
    """Name of a text: 32 hex characters."""
    return _digest(text)[:HASH_CHARS]


def bytes_hash(data: bytes) -> str:
    """Name of a file's bytes: 32 hex characters."""
    return hashlib.sha256(data).hexdigest()[:HASH_CHARS]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no insignificant blanks: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def metadata_hash(metadata: Mapping[str, Any]) -> str:
    """Name of a metadata mapping, whatever the order of its keys: 32 hex characters."""
    return content_hash(canonical_json(metadata))


def document_key(document_id: str) -> str:
    """First half of the record ids of a document: 24 hex characters."""
    return _digest(document_id)[:KEY_CHARS]


def content_key(text_hash: str, space_fingerprint: str) -> str:
    """Second half of a record id: a text in one space, 24 hex characters."""
    return _digest(f"{space_fingerprint}:{text_hash}")[:KEY_CHARS]


def record_id(document: str, text_hash: str, space_fingerprint: str, occurrence: int = 1) -> str:
    """Record id of the n-th occurrence (from 1) of a text in a document, in a space."""
    base = f"{document_key(document)}#{content_key(text_hash, space_fingerprint)}"
    return base if occurrence == 1 else f"{base}.{occurrence}"


def record_prefix(document: str) -> str:
    """Prefix shared by every record id of a document."""
    return f"{document_key(document)}#"


def base_record_id(identifier: str) -> str:
    """A target's record id without its generation suffix."""
    return identifier.partition("~")[0]


def shard_of(document: str, shards: int) -> int:
    """Stable bucket of a document id, 0 to ``shards - 1``."""
    return int(_digest(document)[:8], 16) % shards


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Name of anything described by a mapping (a space, an embedder, a plan): 16 hex characters."""
    return _digest(canonical_json(parts))[:16]


def sql_content_hash(column: str) -> str:
    """DuckDB expression equal to ``content_hash``."""
    return f"substr(sha256({column}), 1, {HASH_CHARS})"


def sql_document_key(column: str) -> str:
    """DuckDB expression equal to ``document_key``."""
    return f"substr(sha256({column}), 1, {KEY_CHARS})"


def sql_content_key(column: str, space_fingerprint: str) -> str:
    """DuckDB expression equal to ``content_key``. The fingerprint is hex, so it is safe inside quotes."""
    return f"substr(sha256('{space_fingerprint}:' || {column}), 1, {KEY_CHARS})"


def sql_shard(column: str, shards: int) -> str:
    """DuckDB expression equal to ``shard_of``."""
    return f"(('0x' || substr(sha256({column}), 1, 8))::UBIGINT % {int(shards)})::INTEGER"


def sql_base_record_id(column: str) -> str:
    """DuckDB expression equal to ``base_record_id``."""
    return f"split_part({column}, '~', 1)"
