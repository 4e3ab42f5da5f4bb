"""A sample of the documents that a space lacks, cut as the space would cut them. Reads only."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vector_pipeline.build.chunks import record_metadata
from vector_pipeline.build.estimates import Numbers
from vector_pipeline.corpus import Chunker
from vector_pipeline.corpus.model import Chunk, Document
from vector_pipeline.embedding.base import TokenCounter
from vector_pipeline.hashing import canonical_json, content_hash
from vector_pipeline.lake import sampled as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.sampled import Span
from vector_pipeline.lake.tables import SpaceTables


@dataclass(slots=True)
class Seen:
    """A sampled document, cut."""

    size: int
    """Bytes of its text."""
    chunks: int
    payload: int
    """Bytes of its chunks' texts and metadata."""
    rows: int
    """The same with contexts."""
    contents: dict[str, tuple[int, float]]
    """By content hash, in order: tokens, and in how many documents it stands, as far as other tables tell."""


@dataclass(slots=True)
class Sample:
    """Sampled documents by id, their distinct texts by content hash, and the seconds that cutting took."""

    seen: dict[str, Seen] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def column(self, name: str) -> Numbers:
        """float64[n] of one number of each document, by id."""
        return np.array([getattr(self.seen[one], name) for one in sorted(self.seen)], dtype=np.float64)


def cut_sample(
    lake: Lake, tables: SpaceTables, chunker: Chunker, tokens: TokenCounter, sample: int, alike: SpaceTables | None
) -> Sample:
    """Cut up to ``sample`` of the documents that ``sampled.held`` found missing. ``alike``: another space's tables, which tell in
    how many documents a text stands.
    """
    made, cuts = Sample(), {}
    for document in _documents(lake, tables, sample):
        began = time.perf_counter()
        cuts[document.id] = (document, chunker.chunk(document))
        made.seconds += time.perf_counter() - began
    copies = store.copies(lake, tables) if cuts else {}
    others = store.spans(lake, alike) if cuts and alike is not None else {}
    for name, (document, chunks) in cuts.items():
        least, there = copies.get(name, 1), others.get(name, [])
        contents: dict[str, tuple[int, float]] = {}
        for chunk in chunks:
            text = chunk.embedded_text
            key = content_hash(text)
            if key not in made.texts:
                made.texts[key] = text
            if key not in contents:
                contents[key] = (tokens_read(tokens, text), float(max(least, _standing(there, chunk))))
        metadata = sum(_bytes(canonical_json(record_metadata(document, chunk))) for chunk in chunks)
        payload = sum(_bytes(chunk.text) for chunk in chunks) + metadata
        rows = sum(_bytes(chunk.embedded_text) for chunk in chunks) + metadata
        made.seen[name] = Seen(_bytes(document.text), len(chunks), payload, rows, contents)
    return made


def _documents(lake: Lake, tables: SpaceTables, sample: int) -> Iterator[Document]:
    for batch in store.sampled_documents(lake, tables, sample):
        for row in batch.to_pylist():
            metadata = json.loads(row["metadata"])
            yield Document(row["document_id"], row["text"], row["title"], row["media_type"], metadata)


def _standing(there: list[Span], chunk: Chunk) -> int:
    """In how many documents the text stands that another space has in the middle of this chunk."""
    middle = (chunk.start + chunk.end) // 2
    return min((one.documents for one in there if one.start <= middle < one.end), default=1)


def tokens_read(tokens: TokenCounter, text: str) -> int:
    """Tokens that the model reads of a text."""
    count = tokens.count(text)
    return count if tokens.limit is None else min(count, tokens.limit)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))
