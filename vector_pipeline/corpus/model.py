"""What the corpus hands on: documents, what could not become one, and chunks. Plain values, no I/O.

Laws
----
1. A source item becomes exactly one document or exactly one quarantine entry with its reason; one item never stops another.
2. An item whose revision (a stat, an ETag) is unchanged is not read; one whose bytes are unchanged is not parsed.
3. A document's text is what its chunks' spans point into: ``document.text[chunk.start:chunk.end] == chunk.text``.
4. Chunking is a pure function of (document, chunker settings, tokenizer): the same input gives the same chunks for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vector_pipeline.hashing import canonical_json, content_hash, sql_content_hash


class Reason(StrEnum):
    """Why an item was quarantined. Codes are only ever added."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    NOT_TEXT = "not-text"
    UNPARSABLE = "unparsable"
    UNREADABLE = "unreadable"
    BAD_METADATA = "bad-metadata"
    BAD_ID = "bad-id"
    UNSUPPORTED = "unsupported"
    ERASED = "erased"
    """It was erased from the dataset: its source still has it, and it stays out."""


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed document. ``text`` is Markdown for every format that has structure, else plain text."""

    id: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    """How ``text`` is marked up now: ``text/markdown`` or ``text/plain``."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values are strings, numbers, booleans or lists of strings; no key begins with ``vp_``."""

    @property
    def digest(self) -> str:
        """Name of everything that chunks are made from: text, title, markup, metadata (``sql_digest`` is its twin)."""
        parts = (self.text, self.title, self.media_type, canonical_json(dict(self.metadata)))
        return content_hash("".join(content_hash(part) for part in parts))


def sql_digest(text: str, title: str, media_type: str, metadata: str) -> str:
    """DuckDB expression equal to ``Document.digest``; ``metadata`` is canonical JSON."""
    parts = " || ".join(sql_content_hash(part) for part in (text, title, media_type, metadata))
    return sql_content_hash(f"({parts})")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An item that could not become a document."""

    id: str
    reason: Reason
    detail: str
    """One line for a person: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an item from the last sync: its revision (cheap to ask) and the hash of its bytes."""

    revision: str
    bytes_hash: str
    parser: str
    """Parser and its version: an item is parsed again when this changes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a source lists. ``revision`` is cheap (size and mtime); equal revisions mean equal bytes."""

    id: str
    revision: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """Outcome for one item that was read: its new ``seen``, and a document, a quarantine, or neither (bytes unchanged)."""

    id: str
    seen: Seen
    outcome: Document | Quarantined | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that gets one vector."""

    ordinal: int
    start: int
    end: int
    """Characters of ``document.text``, half open."""
    text: str
    embedded_text: str
    """What the embedder reads: ``text``, with title and heading path before it where the chunker says so."""
    heading_path: tuple[str, ...] = ()
