"""Sources, parsing and chunking: what is out there becomes documents, and documents become chunks.

Names that lean on large libraries (pyarrow, DuckDB) are imported when first asked for.
"""

from typing import TYPE_CHECKING, Any

from vector_pipeline.corpus.chunking import Chunker
from vector_pipeline.corpus.files import FileSource
from vector_pipeline.corpus.metering import Tokens
from vector_pipeline.corpus.model import Chunk, Document, Item, Parsed, Quarantined, Reason, Seen
from vector_pipeline.corpus.parsing import parse, parse_record

if TYPE_CHECKING:
    from vector_pipeline.corpus.records import RECORD_ROWS, RecordSource

__all__ = [
    "RECORD_ROWS",
    "Chunk",
    "Chunker",
    "Document",
    "FileSource",
    "Item",
    "Parsed",
    "Quarantined",
    "Reason",
    "RecordSource",
    "Seen",
    "Tokens",
    "parse",
    "parse_record",
]


def __getattr__(name: str) -> Any:
    if name in ("RECORD_ROWS", "RecordSource"):
        from vector_pipeline.corpus import records

        return getattr(records, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
