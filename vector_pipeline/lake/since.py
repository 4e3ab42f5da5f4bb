"""What the lake says of the state of a space that was described last, and what becomes of it by what changed since.

Laws
----
1. What was described is one of the catalog's settings: it goes where the catalog goes, is as old as a copy of it that is put back,
   and is of no use to another lake.
2. ``advanced`` finds what reading everything would find, or None: where the feed cannot tell what changed, where a vector went, and
   where what changed leaves the state incomplete or with a key twice (the full reading then says what is wrong).
   ``touched`` is the first half of it, for whoever looks for what is stale or pending: nothing else can be. ``held_now`` adds what
   each shard holds, complete or not.
3. It looks at what changed, and by key at the rows that share a document or a content with that: never at a vector or a text.
4. A key is looked up where what changed does not say enough. A document that came with its chunks and a chunk that came with its
   vector are whole; a key of which one row left and one came stands as often as it did, which was once.
"""

import json
from dataclasses import dataclass

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.lake.changes import find_changes
from vector_pipeline.lake.connection import METADATA, Lake
from vector_pipeline.lake.sums import CONTENT, DOCUMENT, Shards, Sum, moved, rows_of, sums
from vector_pipeline.lake.tables import SpaceTables, at

_KIND = "vector_pipeline_described"
_FORMAT = 2
"""Of what is kept. Another one is not read: the state is described from nothing."""


@dataclass(frozen=True, slots=True)
class Described:
    """A complete state."""

    snapshot: int
    """Of the lake."""
    documents: Shards
    chunks: Shards
    """A version's digest is made of these."""
    vectors: Shards


def described(lake: Lake, tables: SpaceTables) -> Described | None:
    """What was described last; None where nothing was."""
    said = lake.setting(_key(tables))
    return _read(said) if said else None


def newest(lake: Lake, dataset: str) -> Described | None:
    """What was described last of a dataset, in whatever space: documents are the same in each."""
    rows = lake.rows(
        f"SELECT value FROM {METADATA}.ducklake_metadata WHERE starts_with(key, {quoted(f'{_KIND}/{dataset}/')})"
    )
    found = [one for (said,) in rows if (one := _read(said)) is not None]
    return max(found, key=lambda one: one.snapshot, default=None)


def _read(said: str) -> Described | None:
    found = json.loads(said)
    if found.get("format") != _FORMAT:
        return None
    documents, chunks, vectors = (
        {int(shard): Sum(*map(int, values)) for shard, values in found[table].items()}
        for table in ("documents", "chunks", "vectors")
    )
    return Described(int(found["snapshot"]), documents, chunks, vectors)


def keep(lake: Lake, tables: SpaceTables, found: Described) -> None:
    """Say what ``described`` returns from now on. No state of the lake comes of it."""
    held = {
        table: {str(shard): [one.records, str(one.high), str(one.low)] for shard, one in sorted(shards.items())}
        for table, shards in (("documents", found.documents), ("chunks", found.chunks), ("vectors", found.vectors))
    }
    lake.set_setting(_key(tables), json.dumps({"format": _FORMAT, "snapshot": found.snapshot, **held}))


def forget(lake: Lake, dataset: str) -> None:
    """Nothing of a dataset is described any more: its tables go, or are made anew. What is left is described from nothing."""
    lake.forget_settings(f"{_KIND}/{dataset}/")


def _key(tables: SpaceTables) -> str:
    return f"{_KIND}/{tables.dataset.dataset}/{tables.chunk_table}/{tables.embedding_table}"


def advanced(lake: Lake, tables: SpaceTables, known: Described, snapshot: int) -> Described | None:
    """The state at ``snapshot``, from an earlier one (law 2)."""
    if known.snapshot == snapshot:
        return known
    if not _changed(lake, tables, known, snapshot):
        return None
    if not (_complete(lake, tables, snapshot) and _unique(lake, tables, snapshot)):
        return None
    return _moved(lake, known, snapshot)


def _moved(lake: Lake, known: Described, snapshot: int) -> Described:
    """By what ``_changed`` found."""
    return Described(
        snapshot,
        moved(known.documents, sums(lake, "documents_since", "net", DOCUMENT)),
        moved(known.chunks, sums(lake, "chunks_since", "net")),
        moved(known.vectors, sums(lake, "vectors_since", "net", CONTENT)),
    )


def went_back(lake: Lake, tables: SpaceTables, known: Described, snapshot: int) -> Shards | None:
    """Sums of an earlier state than one that was described, from what changed between them; None where that cannot be told."""
    columns = ("shard", "record_id", "metadata_hash")
    if not find_changes(lake, tables.dataset, tables.chunk_table, columns, snapshot, known.snapshot, "records_since"):
        return None
    return moved(known.chunks, sums(lake, "records_since", "-net"))


def touched(lake: Lake, tables: SpaceTables, *, vectors: bool = True) -> int | None:
    """Fill the temporary tables ``documents_since``, ``chunks_since``, ``vectors_since`` (each with ``net``) and
    ``touched_documents`` with what changed since a complete state, and say which lake snapshot that was. None: there was none, it
    cannot be told, or a vector is gone. ``vectors``: False leaves these out, for whoever looks at no vector.
    """
    known = described(lake, tables)
    if known is None or not _changed(lake, tables, known, lake.snapshot_id(), vectors=vectors):
        return None
    return known.snapshot


def held_now(lake: Lake, tables: SpaceTables) -> Described | None:
    """``touched``, and what each shard holds now: a state that need not be complete. None as there."""
    known, new = described(lake, tables), lake.snapshot_id()
    if known is None or not _changed(lake, tables, known, new):
        return None
    return _moved(lake, known, new)


def _changed(lake: Lake, tables: SpaceTables, known: Described, new: int, *, vectors: bool = True) -> bool:
    looked = {
        "documents": ("documents", ("shard", "document_id", "digest"), rows_of(known.documents)),
        "chunks": (
            tables.chunk_table,
            ("shard", "document_id", "document_digest", "content_hash", "record_id", "metadata_hash"),
            rows_of(known.chunks),
        ),
    }
    if vectors:
        looked["vectors"] = (tables.embedding_table, ("shard", "content_hash"), rows_of(known.vectors))
    found = known.snapshot <= new and all(
        find_changes(lake, tables.dataset, table, columns, known.snapshot, new, f"{what}_since", expected=expected)
        for what, (table, columns, expected) in looked.items()
    )
    if found and vectors:
        found = lake.row("SELECT count(*) FROM vectors_since WHERE net < 0")[0] == 0
    if found:
        lake.run(
            """CREATE OR REPLACE TEMP TABLE touched_documents AS
               SELECT document_id FROM documents_since UNION SELECT document_id FROM chunks_since"""
        )
    return found


def _complete(lake: Lake, tables: SpaceTables, snapshot: int) -> bool:
    lake.run(
        """CREATE OR REPLACE TEMP TABLE unsure_documents AS
           SELECT document_id FROM touched_documents EXCEPT
           SELECT d.document_id FROM documents_since d
           SEMI JOIN (SELECT document_id, document_digest AS digest FROM chunks_since WHERE net > 0) c USING (document_id, digest)
           WHERE net > 0"""
    )
    contents = find_unsure(lake)
    if lake.row("SELECT count(*) FROM unsure_documents")[0]:
        unchunked, orphaned = lake.row(
            f"""WITH d AS (SELECT document_id, digest FROM {at(tables.dataset.documents, snapshot)} x
                           SEMI JOIN unsure_documents USING (document_id)),
                     c AS (SELECT document_id, document_digest FROM {at(tables.chunks, snapshot)} x
                           SEMI JOIN unsure_documents USING (document_id))
                SELECT (SELECT count(*) FROM d WHERE NOT EXISTS
                           (FROM c WHERE c.document_id = d.document_id AND c.document_digest = d.digest)),
                       (SELECT count(*) FROM c ANTI JOIN d USING (document_id))"""
        )
        if unchunked or orphaned:
            return False
    if contents:
        (unembedded,) = lake.row(
            f"""SELECT count(*) FROM unsure_contents ANTI JOIN
                (SELECT shard, content_hash FROM {at(tables.embeddings, snapshot)} x) e USING (shard, content_hash)"""
        )
        return not unembedded
    return True


def find_unsure(lake: Lake) -> int:
    """Fill ``unsure_contents`` with what may lack its vector (law 4), after ``touched``; returns how many. Nothing else can."""
    lake.run(
        """CREATE OR REPLACE TEMP TABLE unsure_contents AS
           SELECT DISTINCT shard, content_hash FROM chunks_since WHERE net > 0 EXCEPT
           SELECT shard, content_hash FROM vectors_since WHERE net > 0"""
    )
    return int(lake.row("SELECT count(*) FROM unsure_contents")[0])


def _unique(lake: Lake, tables: SpaceTables, snapshot: int) -> bool:
    """No key that came stands twice. One that was there stood once."""
    looked = {
        "documents_since": (tables.dataset.documents, "document_id"),
        "chunks_since": (tables.chunks, "record_id"),
        "vectors_since": (tables.embeddings, "shard, content_hash"),
    }
    for came, (table, key) in looked.items():
        lake.run(
            f"CREATE OR REPLACE TEMP TABLE more_keys AS SELECT {key} FROM {came} GROUP BY {key} HAVING sum(net) > 0"
        )
        if not lake.row("SELECT count(*) FROM more_keys")[0]:
            continue
        (twice,) = lake.row(
            f"""SELECT count(*) FROM (SELECT {key} FROM {at(table, snapshot)} x SEMI JOIN more_keys USING ({key})
                                      GROUP BY {key} HAVING count(*) > 1)"""
        )
        if twice:
            return False
    return True
