"""The last step of a record: HTML becomes Markdown, and metadata gets the one spelling that hashes rely on."""

import json

import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.parsing import parse_record
from vector_pipeline.hashing import canonical_json

RECORD_ROWS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("media_type", pa.string(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""A row with a ``reason`` is a quarantine (``detail`` says more, ``text`` is empty); any other is a document."""
# DuckDB and Python write these differently: control characters, and numbers that are not whole.
_OTHER_SPELLING = r"\\u|\\/|:-?[0-9]+[.eE]|:-0"


def finished(batch: pa.RecordBatch, media_type: str) -> pa.RecordBatch:
    """A batch of ``RECORD_ROWS`` from DuckDB's columns id, text, title, metadata, reason, detail."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["metadata"] = _canonical(columns["metadata"])
    if media_type == "text/html":
        columns |= _without_html(columns)
        media_type = "text/markdown"
    columns["media_type"] = pa.array([media_type] * batch.num_rows, pa.string())
    return pa.record_batch([columns[name].cast(pa.string()) for name in RECORD_ROWS.names], schema=RECORD_ROWS)


def _canonical(metadata: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(metadata, _OTHER_SPELLING)).as_py():
        return metadata
    return pa.array([canonical_json(json.loads(text)) for text in metadata.to_pylist()], pa.string())


def _without_html(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    texts, reasons, details = (columns[name].to_pylist() for name in ("text", "reason", "detail"))
    for number, (text, reason) in enumerate(zip(texts, reasons, strict=True)):
        if reason is None:
            texts[number], _ = parse_record(text, "text/html")
            if not texts[number].strip():
                reasons[number], details[number] = Reason.EMPTY.value, "the HTML holds no text"
    return {
        "text": pa.array(texts, pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "detail": pa.array(details, pa.string()),
    }
