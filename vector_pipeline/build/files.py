"""A source of files or objects into temporary tables: it is listed whole, and only what changed is read and parsed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice

import pyarrow as pa

from vector_pipeline.build.sampling import keep_sample
from vector_pipeline.corpus.model import Document, Item, Parsed, Quarantined, Reason, Seen
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.corpus.sources import ListedSource
from vector_pipeline.hashing import canonical_json, content_hash, document_key
from vector_pipeline.lake import documents as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import LISTED, STAGED_DOCUMENTS, STAGED_ITEMS
from vector_pipeline.lake.tables import DatasetTables

OnRead = Callable[[int, int], None]
"""Called with (items read, items to read)."""
NOT_READ = "erased/1"
"""Stands for the parser of a file that is not read because it was erased."""
STAYS_OUT = "it was erased from the dataset; what is meant to come in again needs another id"
_STAGED_DOCUMENTS = 256
_STAGED_CHARS = 32_000_000
"""A batch on its way into the engine ends at whichever comes first."""


def stage_files(
    lake: Lake,
    tables: DatasetTables,
    source: ListedSource,
    shards: int,
    on_read: OnRead | None,
    erased: Collection[str] = (),
    sample: Sample | None = None,
) -> int:
    """Temporary tables ``listed``, ``staged_items`` and ``staged_documents`` of a source; returns how many items it lists.

    What is not in the sample is not in the tables.
    """
    listed = store.stage(lake, "listed", LISTED, _listed(source.list()))
    keep_sample(lake, "listed", "document_id", sample, tables.dataset)
    changed = store.changed_items(lake, tables, shards, parsers_of(source))
    found = [
        Item(row["document_id"], row["revision"]) for row in changed.select(["document_id", "revision"]).to_pylist()
    ]
    out = {item for item in found if erased and document_key(item.id) in erased}
    items = [item for item in found if item not in out]
    seen = {
        row["document_id"]: Seen(row["seen_revision"], row["bytes_hash"], row["parser"])
        for row in changed.to_pylist()
        if row["bytes_hash"] is not None
    }
    _stage_parsed(lake, _counted(source.read(items, seen), len(items), on_read), _reasons(lake, tables, changed))
    store.append(lake, "staged_items", pa.Table.from_pylist([_left_out(item) for item in out], schema=STAGED_ITEMS))
    store.hold_items(lake, tables, "SELECT document_id FROM staged_items")
    return listed


def parsers_of(source: ListedSource) -> list[str]:
    """Parsers whose outcome still stands: an item with another one is looked at again."""
    return [*sorted(source.parsers()), NOT_READ]


def _left_out(item: Item) -> dict[str, str]:
    return {
        "document_id": item.id, "revision": item.revision, "bytes_hash": "", "parser": NOT_READ,
        "reason": Reason.ERASED.value, "detail": STAYS_OUT,
    }  # fmt: skip


def _reasons(lake: Lake, tables: DatasetTables, changed: pa.Table) -> Mapping[str, tuple[str | None, str | None]]:
    """Quarantine state of the items about to be read: an item whose bytes did not change keeps it."""
    with lake.registered("changed_now", changed):
        rows = lake.rows(
            f"SELECT document_id, reason, detail FROM {tables.items} SEMI JOIN changed_now USING (document_id) "
            "WHERE reason IS NOT NULL"
        )
    return {row[0]: (row[1], row[2]) for row in rows}


def _counted(parsed: Iterable[Parsed], total: int, on_read: OnRead | None) -> Iterator[Parsed]:
    for done, one in enumerate(parsed, start=1):
        yield one
        if on_read is not None:
            on_read(done, total)


def _listed(items: Iterable[Item]) -> Iterator[pa.RecordBatch]:
    source = iter(items)
    while some := list(islice(source, 16_384)):
        columns = [pa.array([item.id for item in some]), pa.array([item.revision for item in some])]
        yield pa.RecordBatch.from_arrays(columns, schema=LISTED)


def _stage_parsed(lake: Lake, parsed: Iterable[Parsed], reasons: Mapping[str, tuple[str | None, str | None]]) -> None:
    store.stage(lake, "staged_items", STAGED_ITEMS, ())
    store.stage(lake, "staged_documents", STAGED_DOCUMENTS, ())
    for some in _bounded(parsed):
        items, documents = [], []
        for one in some:
            reason, detail = reasons.get(one.id, (None, None)) if one.outcome is None else (None, None)
            if isinstance(one.outcome, Quarantined):
                reason, detail = one.outcome.reason.value, one.outcome.detail
            elif isinstance(one.outcome, Document):
                documents.append(_document_row(one.outcome))
            items.append(
                {
                    "document_id": one.id,
                    "revision": one.seen.revision,
                    "bytes_hash": one.seen.bytes_hash,
                    "parser": one.seen.parser,
                    "reason": reason,
                    "detail": detail,
                }
            )
        store.append(lake, "staged_items", pa.Table.from_pylist(items, schema=STAGED_ITEMS))
        store.append(lake, "staged_documents", pa.Table.from_pylist(documents, schema=STAGED_DOCUMENTS))


def _document_row(document: Document) -> dict[str, str]:
    """Row of ``staged_documents``."""
    return {
        "document_id": document.id,
        "digest": document.digest,
        "content_hash": content_hash(document.text),
        "title": document.title,
        "media_type": document.media_type,
        "metadata": canonical_json(dict(document.metadata)),
        "text": document.text,
    }


def _bounded(parsed: Iterable[Parsed]) -> Iterator[list[Parsed]]:
    """Batches bounded by count and by text: one may hold a single large document."""
    batch: list[Parsed] = []
    chars = 0
    for one in parsed:
        batch.append(one)
        chars += len(one.outcome.text) if isinstance(one.outcome, Document) else 0
        if len(batch) >= _STAGED_DOCUMENTS or chars >= _STAGED_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch
