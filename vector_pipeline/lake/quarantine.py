"""Vectors that are no longer believed: found by the commit that wrote them, named, and moved out of the embedding table.

Laws
----
1. What is doubted stands in the temporary table ``doubted(shard, content_hash, written_in)`` of the thread that asked.
2. A content that some row of before the doubt has is not doubted: later rows of it are copies.
3. A content that is doubted is doubted in every shard, since a shard takes a vector from another one.
4. Moving is one commit: rows leave the embedding table, their hashes enter the quarantine. No state of chunks or documents changes,
   so versions stay what they are; of those that need the rows nothing can be pushed or repaired until a build has made them anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.golden import WHOLE, GoldenTables
from vector_pipeline.lake.tables import WRITTEN, SpaceTables, at


@dataclass(frozen=True, slots=True)
class Doubted:
    """What would be, or was, moved."""

    rows: int
    contents: int
    documents: int
    """Documents of the present state that hold such a content."""
    examples: tuple[str, ...]
    """Ids of some of them."""
    commits: int
    """Commits that wrote them."""
    shards: tuple[int, ...]


def last_proof(lake: Lake, names: GoldenTables) -> int | None:
    """The lake snapshot of the last whole attestation that passed, or of the making of the golden texts: what was there then was
    believed. None where there was neither.
    """
    if not names.exist(lake):
        return None
    found = lake.row(
        f"""SELECT greatest((SELECT max({WRITTEN}) FROM {names.attestations} WHERE passed AND looked_at = '{WHOLE}'),
                            (SELECT min({WRITTEN}) FROM {names.golden}))"""
    )[0]
    return None if found is None else int(found)


def doubt_since(lake: Lake, tables: SpaceTables, snapshot: int | None) -> Doubted:
    """Doubt what was written after a lake snapshot; everything for None."""
    return _doubt(
        lake,
        tables,
        f"""SELECT content_hash FROM {tables.embeddings} GROUP BY content_hash
            HAVING min({WRITTEN}) > {-1 if snapshot is None else int(snapshot)}""",
    )


def doubt_commits_of(lake: Lake, tables: SpaceTables, wrong: Sequence[tuple[int, str]]) -> Doubted:
    """Doubt what was written in the same commits as wrong rows (shard, content hash), and those themselves."""
    rows = pa.table(
        {"shard": pa.array([one[0] for one in wrong], pa.int32()), "content_hash": [one[1] for one in wrong]}
    )
    with lake.registered("wrong_rows", rows):
        return _doubt(
            lake,
            tables,
            f"""WITH named AS (SELECT content_hash, {WRITTEN} AS written FROM {tables.embeddings}
                               SEMI JOIN wrong_rows USING (shard, content_hash)),
                     first AS (SELECT content_hash, min({WRITTEN}) AS written FROM {tables.embeddings} GROUP BY content_hash)
                SELECT content_hash FROM first WHERE written IN (SELECT written FROM named)
                UNION SELECT content_hash FROM named""",
        )


def doubt_contents(lake: Lake, tables: SpaceTables, contents: Sequence[str]) -> Doubted:
    """Doubt these contents alone."""
    with lake.registered("wrong_contents", pa.table({"content_hash": pa.array(contents, pa.string())})):
        return _doubt(lake, tables, "SELECT DISTINCT content_hash FROM wrong_contents")


def _doubt(lake: Lake, tables: SpaceTables, contents: str) -> Doubted:
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE doubted AS
            SELECT shard, content_hash, {WRITTEN} AS written_in FROM {tables.embeddings}
            WHERE content_hash IN ({contents})"""
    )
    rows, ones, commits, shards = lake.row(
        """SELECT count(*), count(DISTINCT content_hash), count(DISTINCT written_in), list_sort(list_distinct(list(shard)))
           FROM doubted"""
    )
    documents, examples = lake.row(
        f"""SELECT count(*), list(document_id ORDER BY document_id)[:10] FROM
            (SELECT DISTINCT document_id FROM {tables.chunks} SEMI JOIN doubted USING (shard, content_hash))"""
    )
    return Doubted(int(rows), int(ones), int(documents), tuple(examples or ()), int(commits), tuple(shards or ()))


def records_doubted(lake: Lake, tables: SpaceTables, snapshot: int) -> int:
    """Records of a version whose vectors are doubted."""
    found = lake.row(
        f"SELECT count(*) FROM {at(tables.chunks, snapshot)} c SEMI JOIN doubted USING (shard, content_hash)"
    )
    return int(found[0])


def move_doubted(lake: Lake, tables: SpaceTables, names: GoldenTables, reason: str, *, golden: bool = False) -> int:
    """Law 4; returns how many rows were moved. ``golden``: the golden texts go too, and are made anew with the next vector."""
    names.ensure(lake)

    def work() -> int:
        moved = int(
            lake.row(f"SELECT count(*) FROM {tables.embeddings} SEMI JOIN doubted USING (shard, content_hash)")[0]
        )
        lake.run(
            f"""INSERT INTO {names.quarantine}
                SELECT e.shard, e.content_hash, d.written_in, ?, ? FROM {tables.embeddings} e
                JOIN doubted d USING (shard, content_hash) ORDER BY e.shard""",
            [reason, datetime.now(UTC).replace(tzinfo=None)],
        )
        lake.run(
            f"DELETE FROM {tables.embeddings} WHERE (shard, content_hash) IN (SELECT (shard, content_hash) FROM doubted)"
        )
        if golden:
            lake.run(f"DELETE FROM {names.golden}")
        return moved

    return lake.transaction(work, f"quarantine vectors of {tables.dataset.dataset}: {reason}")


def quarantined(lake: Lake, tables: SpaceTables, names: GoldenTables) -> int:
    """Rows that are in quarantine and not made anew yet."""
    if not names.exist(lake):
        return 0
    found = lake.row(
        f"""SELECT count(*) FROM (SELECT DISTINCT shard, content_hash FROM {names.quarantine})
            ANTI JOIN {tables.embeddings} USING (shard, content_hash)"""
    )
    return int(found[0])
