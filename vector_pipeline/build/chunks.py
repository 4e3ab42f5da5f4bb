"""``documents`` → ``chunks_<space>``: only documents whose digest no chunk carries are chunked, and one commit replaces them."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.corpus import Chunker
from vector_pipeline.corpus.model import Chunk, Document
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.errors import CorruptError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake import chunks as store
from vector_pipeline.lake.chunks import STAGED_CHUNKS
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.lake.tables import SpaceTables, within

_STAGED_CHARS = 1_000_000
"""Characters of documents whose chunks are staged together."""


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """What chunking did."""

    documents_chunked: int = 0
    documents_removed: int = 0
    chunks_written: int = 0
    chunks_removed: int = 0
    chunks: int = 0
    """Chunks that the selected shards hold now."""


def chunk_documents(
    lake: Lake,
    tables: SpaceTables,
    space: EmbeddingSpace,
    chunker: Chunker,
    *,
    shards: Sequence[int] | None = None,
    on_document: Callable[[int, int], None] | None = None,
) -> ChunkCounts:
    """Bring the chunks of the selected shards (None: all) in line with the documents."""
    tables.ensure(lake)
    stale, orphaned = store.find_stale(lake, tables, shards)
    documents = store.stale_documents(lake, tables)
    stage(lake, "staged_chunks", STAGED_CHUNKS, _chunked(documents, chunker, stale, on_document))
    written, removed = store.replace_chunks(
        lake, tables, space.fingerprint, f"chunk {stale} documents of {tables.dataset.dataset} for {space.name}"
    )
    total = int(lake.row(f"SELECT count(*) FROM {tables.chunks} WHERE {within(shards)}")[0])
    return ChunkCounts(stale, orphaned, written, removed, total)


def _chunked(
    documents: Iterable[pa.RecordBatch], chunker: Chunker, stale: int, on_document: Callable[[int, int], None] | None
) -> Iterator[pa.RecordBatch]:
    done, size = 0, 0
    rows: list[dict[str, object]] = []
    for batch in documents:
        for row in batch.to_pylist():
            metadata = json.loads(row["metadata"])
            document = Document(row["document_id"], row["text"], row["title"], row["media_type"], metadata)
            rows.extend(_row(row["shard"], row["digest"], document, chunk) for chunk in chunker.chunk(document))
            done, size = done + 1, size + len(row["text"])
            if on_document is not None:
                on_document(done, stale)
        if size >= _STAGED_CHARS:
            yield from pa.Table.from_pylist(rows, schema=STAGED_CHUNKS).to_batches()
            rows, size = [], 0
    if rows:
        yield from pa.Table.from_pylist(rows, schema=STAGED_CHUNKS).to_batches()


def _row(shard: int, digest: str, document: Document, chunk: Chunk) -> dict[str, object]:
    if not chunk.embedded_text.endswith(chunk.text):
        raise CorruptError(f"{document.id}: chunk {chunk.ordinal} is not the end of the text that is embedded")
    return {
        "shard": shard,
        "document_id": document.id,
        "document_digest": digest,
        "ordinal": chunk.ordinal,
        "span_start": chunk.start,
        "span_end": chunk.end,
        "context": chunk.embedded_text[: len(chunk.embedded_text) - len(chunk.text)],
        "text": chunk.text,
        "metadata": canonical_json(record_metadata(document, chunk)),
    }


def record_metadata(document: Document, chunk: Chunk) -> dict[str, object]:
    """User metadata of a record: the document's, its title, and the headings above the chunk.

    Positions stay in the lake: were they part of a record, a paragraph inserted at the top would rewrite a whole document.
    """
    metadata: dict[str, object] = dict(document.metadata)
    if document.title:
        metadata.setdefault("title", document.title)
    if chunk.heading_path:
        metadata.setdefault("heading", list(chunk.heading_path))
    return metadata
