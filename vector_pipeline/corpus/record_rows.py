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
# DuckDB also takes NaN, Infinity and numbers past any float for JSON; a document cannot keep them.
_OTHER_SPELLING = r"\\u|\\/|:-?[0-9]+[.eE]|:-0|:-?[0-9]{20}|:[-+]?[NnIi]"


def finished(batch: pa.RecordBatch, media_type: str) -> pa.RecordBatch:
    """A batch of ``RECORD_ROWS`` from DuckDB's columns id, text, title, metadata, reason, detail."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns |= _canonical(columns)
    if media_type == "text/html":
        columns |= _without_html(columns)
        media_type = "text/markdown"
    columns["media_type"] = pa.array([media_type] * batch.num_rows, pa.string())
    return pa.record_batch([columns[name].cast(pa.string()) for name in RECORD_ROWS.names], schema=RECORD_ROWS)


def _canonical(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    if not pc.any(pc.match_substring_regex(columns["metadata"], _OTHER_SPELLING)).as_py():
        return {}
    rows = _Rows(columns)
    for number, metadata in enumerate(rows.metadata):
        try:
            rows.metadata[number] = canonical_json(json.loads(metadata))
        except ValueError:
            rows.metadata[number] = "{}"
            rows.quarantine(
                number, Reason.BAD_METADATA, "the metadata holds NaN, Infinity or a number too large: correct it"
            )
    return rows.columns()


def _without_html(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    rows = _Rows(columns)
    for number, text in enumerate(rows.text):
        if rows.reason[number] is not None:
            continue
        try:
            rows.text[number], _ = parse_record(text, "text/html")
        except Exception as error:  # noqa: BLE001 - libraries raise anything for broken HTML; one must never stop the others
            detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            rows.quarantine(number, Reason.UNPARSABLE, f"not readable as html: {detail}")
            continue
        if not rows.text[number].strip():
            rows.quarantine(number, Reason.EMPTY, "the HTML holds no text")
    return rows.columns()


class _Rows:
    """A batch's columns as lists, to change single rows."""

    def __init__(self, columns: dict[str, pa.Array]) -> None:
        self.text, self.metadata, self.reason, self.detail = (
            columns[name].to_pylist() for name in ("text", "metadata", "reason", "detail")
        )

    def quarantine(self, number: int, reason: Reason, detail: str) -> None:
        """Give a row its reason; one that has a reason keeps the first."""
        if self.reason[number] is None:
            self.text[number], self.reason[number], self.detail[number] = "", reason.value, detail

    def columns(self) -> dict[str, pa.Array]:
        return {name: pa.array(values, pa.string()) for name, values in vars(self).items()}
