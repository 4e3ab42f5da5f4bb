"""What a space's branch holds of the documents, what it lacks, and a sample of that: before anything is filled. Reads only.

Laws
----
1. What stands in the lake is counted; only of what is missing is a sample taken.
2. The sample is a function of the documents' ids alone: the same lake gives the same sample.
3. Texts are read of sampled documents and pending contents; of the others only how long they are, and that only where a sample is
   not everything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, within

_SAMPLED = "costing_sample"


@dataclass(frozen=True, slots=True)
class Held:
    """What a branch holds of the documents as they are now."""

    documents: int
    """Documents of the dataset."""
    missing: int
    """Of them, those that no chunk of the branch carries in their present state."""
    chunks: int
    """Of the others."""
    payload: int
    """Bytes of those chunks' texts and metadata, as a target gets them."""
    rows: int
    """The same with contexts, as the lake holds them."""
    pending: int
    """Distinct contents among those chunks that have no vector."""
    pending_bytes: int


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk of another space, and in how many documents its text stands there."""

    start: int
    end: int
    documents: int


def held(lake: Lake, tables: SpaceTables) -> Held:
    """Count a branch (law 1) and leave the temporary table ``costing_missing(document_id)``. Tables may not exist yet."""
    documents = tables.dataset.documents
    total = int(lake.row(f"SELECT count(*) FROM {documents}")[0])
    if not lake.has_table(tables.dataset.dataset, tables.chunk_table):
        lake.run(f"CREATE OR REPLACE TEMP TABLE costing_missing AS SELECT document_id FROM {documents}")
        return Held(total, total, 0, 0, 0, 0, 0)
    present = f"""SELECT c.* FROM {tables.chunks} c
        SEMI JOIN {documents} d ON c.document_id = d.document_id AND c.document_digest = d.digest"""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE costing_missing AS SELECT document_id FROM {documents} d
            WHERE NOT EXISTS (FROM {tables.chunks} c WHERE c.document_id = d.document_id AND c.document_digest = d.digest)"""
    )
    missing = int(lake.row("SELECT count(*) FROM costing_missing")[0])
    chunks, payload, context = lake.row(
        f"""SELECT count(*), coalesce(sum(strlen(text) + strlen(metadata)), 0)::BIGINT, coalesce(sum(strlen(context)), 0)::BIGINT
            FROM ({present})"""
    )
    pending, size = lacking(lake, tables)
    return Held(total, missing, int(chunks), int(payload), int(payload + context), pending, size)


def lacking(lake: Lake, tables: SpaceTables, shards: Sequence[int] | None = None) -> tuple[int, int]:
    """Distinct contents of present documents in shards (None: all) that no shard has a vector of: how many, and their bytes.

    That is what embedding these shards embeds. Leaves the temporary table ``costing_pending(content_hash, size)``.
    """
    vectors = f"ANTI JOIN {tables.embeddings} USING (content_hash)" if _has_vectors(lake, tables) else ""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE costing_pending AS
            SELECT content_hash, any_value(strlen(context) + strlen(text))::BIGINT AS size
            FROM (SELECT * FROM {tables.chunks} WHERE {within(shards)}) c
            SEMI JOIN {tables.dataset.documents} d ON c.document_id = d.document_id AND c.document_digest = d.digest {vectors}
            GROUP BY content_hash"""
    )
    count, size = lake.row("SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM costing_pending")
    return int(count), int(size)


def missing_bytes(lake: Lake, tables: SpaceTables) -> int:
    """Bytes of the texts of all missing documents: call after ``held`` in the same thread."""
    found = lake.row(
        f"""SELECT coalesce(sum(strlen(text)), 0)::BIGINT FROM {tables.dataset.documents}
            SEMI JOIN costing_missing USING (document_id)"""
    )
    return int(found[0])


def sampled_documents(lake: Lake, tables: SpaceTables, most: int) -> Iterator[pa.RecordBatch]:
    """Up to ``most`` missing documents, whole, in small batches (law 2): call after ``held`` in the same thread.

    Leaves the temporary table ``costing_sample(document_id)``.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {_SAMPLED} AS SELECT document_id FROM costing_missing
            ORDER BY sha256('cost of a space' || document_id), document_id LIMIT {int(most)}"""
    )
    # A stream has a cursor of its own, which sees no temporary table.
    wanted = lake.table(f"SELECT document_id FROM {_SAMPLED}")
    yield from lake.stream(
        f"""SELECT d.document_id, d.title, d.media_type, d.metadata, d.text
            FROM {tables.dataset.documents} d SEMI JOIN wanted_documents USING (document_id)""",
        rows=32,
        given={"wanted_documents": wanted},
    )


def copies(lake: Lake, tables: SpaceTables) -> dict[str, int]:
    """Of each sampled document, how many missing ones have its text and title, itself counted."""
    alike = "title, media_type, content_hash"
    return {
        str(name): int(count)
        for name, count in lake.rows(
            f"""WITH s AS (SELECT document_id, {alike} FROM {tables.dataset.documents} SEMI JOIN {_SAMPLED} USING (document_id)),
                n AS (SELECT {alike}, count(*) AS documents FROM {tables.dataset.documents}
                      SEMI JOIN costing_missing USING (document_id) SEMI JOIN s USING ({alike}) GROUP BY ALL)
                SELECT s.document_id, n.documents FROM s JOIN n USING ({alike})"""
        )
    }


def spans(lake: Lake, other: SpaceTables) -> dict[str, list[Span]]:
    """Of each sampled document its chunks in another space, in order; empty where that has none."""
    if not lake.has_table(other.dataset.dataset, other.chunk_table):
        return {}
    found: dict[str, list[Span]] = {}
    for name, start, end, documents in lake.rows(
        f"""WITH s AS (SELECT document_id, span_start, span_end, content_hash FROM {other.chunks}
                       SEMI JOIN {_SAMPLED} USING (document_id)),
            n AS (SELECT content_hash, count(DISTINCT document_id) AS documents FROM {other.chunks}
                  SEMI JOIN s USING (content_hash) GROUP BY content_hash)
            SELECT s.document_id, s.span_start, s.span_end, n.documents FROM s JOIN n USING (content_hash)
            ORDER BY s.document_id, s.span_start, s.span_end"""
    ):
        found.setdefault(str(name), []).append(Span(int(start), int(end), int(documents)))
    return found


def known(lake: Lake, tables: SpaceTables, contents: Sequence[str]) -> tuple[set[str], set[str]]:
    """Of content hashes, those that have a vector, and those that wait for one already (``held`` has counted them)."""
    given = pa.table({"content_hash": pa.array(contents, pa.string())})
    with lake.registered("costing_contents", given):
        asked = "SELECT content_hash FROM costing_contents SEMI JOIN {} USING (content_hash)"
        embedded = lake.rows(asked.format(tables.embeddings)) if _has_vectors(lake, tables) else []
        chunked = lake.has_table(tables.dataset.dataset, tables.chunk_table)
        waiting = lake.rows(asked.format("costing_pending")) if chunked else []
    return {str(row[0]) for row in embedded}, {str(row[0]) for row in waiting}


def pending_sample(lake: Lake, tables: SpaceTables, most: int) -> pa.Table:
    """Table [text, size] of up to ``most`` contents that ``held`` found without a vector, by their hash."""
    return lake.table(
        f"""SELECT any_value(c.context || c.text) AS text, any_value(p.size) AS size FROM {tables.chunks} c
            JOIN (SELECT * FROM costing_pending ORDER BY content_hash LIMIT {int(most)}) p USING (content_hash)
            GROUP BY content_hash ORDER BY content_hash"""
    )


def same_chunks(lake: Lake, tables: SpaceTables) -> dict[str, list[str]]:
    """Of each sampled document the contents that the branch holds of it in another state, in order."""
    if not lake.has_table(tables.dataset.dataset, tables.chunk_table):
        return {}
    rows = lake.rows(
        f"""SELECT document_id, list(content_hash ORDER BY ordinal) FROM {tables.chunks}
            SEMI JOIN {_SAMPLED} USING (document_id) GROUP BY document_id"""
    )
    return {str(name): list(contents) for name, contents in rows}


def orphans(lake: Lake, tables: SpaceTables) -> int:
    """Documents that are gone, and whose chunks the branch still holds."""
    if not lake.has_table(tables.dataset.dataset, tables.chunk_table):
        return 0
    return int(
        lake.row(
            f"""SELECT count(*) FROM (SELECT DISTINCT document_id FROM {tables.chunks})
                ANTI JOIN {tables.dataset.documents} USING (document_id)"""
        )[0]
    )


def _has_vectors(lake: Lake, tables: SpaceTables) -> bool:
    return lake.has_table(tables.dataset.dataset, tables.embedding_table)
