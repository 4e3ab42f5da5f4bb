"""Embeddings in the lake: content-addressed, written in whole commits, never twice for the same text.

Pending content of a shard is text that no shard has a vector for; content that another shard has already is copied, not
embedded. Each commit is complete in itself, so a killed run keeps what it committed. A text that no shard has a vector for is
embedded under the leases of all shards that lack it: so no two processes embed it, whatever shards they are at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.lake import since
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, within


@dataclass(frozen=True, slots=True)
class Pending:
    """Distinct contents of one shard that have no vector there: to embed, and to copy from another shard."""

    shard: int
    embed: int
    copy: int


def find_pending(
    lake: Lake, tables: SpaceTables, shards: Sequence[int] | None, *, beside: bool = False, only_shared: bool = False
) -> list[Pending]:
    """Fill the temporary table ``pending(shard, content_hash, known, nowhere, after)``; one entry a shard that lacks anything.

    A content that several shards lack is embedded for the first of them and copied to the others. ``beside``: one that shards
    lack which are not selected either goes into the temporary table ``shared_contents``, and is not pending: they may be somebody
    else's now, who would embed it too. ``only_shared``: look at no other contents than are in that table.
    """
    only = "AND content_hash IN (FROM shared_contents)" if only_shared else ""
    # What came after a state in which every content had its vector; else all there are.
    after = since.touched(lake, tables)
    chunks = tables.chunks if after is None else "(FROM chunks_since WHERE net > 0)"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE needed AS
            SELECT DISTINCT shard, content_hash FROM {chunks} t WHERE {within(shards)} {only}"""
    )
    # One look at the table's hashes says what a shard has, and what another has.
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE pending AS
            WITH had AS MATERIALIZED (SELECT e.shard, e.content_hash FROM {tables.embeddings} e
                                      SEMI JOIN needed USING (content_hash)),
            lacking AS (SELECT * FROM needed ANTI JOIN had USING (shard, content_hash)),
            known AS (SELECT DISTINCT content_hash FROM had)
            SELECT l.shard, l.content_hash,
                   k.content_hash IS NOT NULL
                   OR row_number() OVER (PARTITION BY l.content_hash ORDER BY l.shard) > 1 AS known,
                   k.content_hash IS NULL AS nowhere, {after or 0}::BIGINT AS after
            FROM lacking l LEFT JOIN known k USING (content_hash)"""
    )
    if beside and shards is not None:
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE shared_contents AS
                SELECT DISTINCT content_hash FROM {tables.chunks} WHERE NOT {within(shards)}
                AND content_hash IN (SELECT content_hash FROM pending WHERE nowhere)"""
        )
        lake.run("DELETE FROM pending WHERE content_hash IN (FROM shared_contents)")
    return [
        Pending(int(shard), int(embed), int(copy))
        for shard, embed, copy in lake.rows(
            """SELECT shard, count(*) FILTER (NOT known), count(*) FILTER (known) FROM pending
               GROUP BY shard ORDER BY shard"""
        )
    ]


def shared_shards(lake: Lake, tables: SpaceTables) -> tuple[int, ...]:
    """Shards that lack a content of ``shared_contents``, in order: call after ``find_pending`` in the same thread."""
    rows = lake.rows(
        f"SELECT DISTINCT shard FROM {tables.chunks} WHERE content_hash IN (FROM shared_contents) ORDER BY shard"
    )
    return tuple(int(shard) for (shard,) in rows)


def pending_texts(lake: Lake, tables: SpaceTables, shards: Sequence[int]) -> dict[int, pa.Table]:
    """Shard → table [content_hash, text] of what it must embed, of all these at once: call after ``find_pending``."""
    (after,) = lake.row("SELECT coalesce(max(after), 0) FROM pending")
    found = lake.table(
        f"""SELECT c.shard, c.content_hash, any_value(c.context || c.text) AS text
            FROM (SELECT shard, content_hash, context, text FROM {tables.chunks}
                  WHERE {within(shards)} {f"AND snapshot_id > {int(after)}" if after else ""}) c
            SEMI JOIN (SELECT shard, content_hash FROM pending WHERE NOT known) p USING (shard, content_hash)
            GROUP BY c.shard, c.content_hash"""
    )
    return {
        shard: found.filter(pc.equal(found["shard"], pa.scalar(shard, pa.int32()))).drop_columns(["shard"])
        for shard in shards
    }


def store_vectors(
    lake: Lake,
    tables: SpaceTables,
    parts: Sequence[tuple[int, pa.Table]],
    message: str,
    also: Callable[[], None] | None = None,
    *,
    lacked_at: int = 0,
) -> None:
    """Commit shards and their tables [content_hash, vector], and what ``also`` writes: all or nothing. ``also`` is repeatable.

    ``lacked_at``: lake snapshot at which none of these shards had a vector of these contents; what came after it is looked at.
    """
    rows = pa.concat_tables(
        part.append_column("shard", pa.array([shard] * part.num_rows, pa.int32())) for shard, part in parts
    )
    where = within(sorted({shard for shard, _ in parts}))
    where += f" AND snapshot_id > {int(lacked_at)}" if lacked_at else ""

    def work() -> None:
        with lake.registered("new_vectors", rows):
            # A vector that another space's run has stored meanwhile stays: a key stands once in a shard.
            lake.run(
                f"""INSERT INTO {tables.embeddings} (shard, content_hash, vector)
                    SELECT shard, content_hash, vector FROM new_vectors
                    ANTI JOIN (SELECT shard, content_hash FROM {tables.embeddings} WHERE {where}) USING (shard, content_hash)
                    ORDER BY shard"""
            )
        if also is not None:
            also()

    lake.transaction(work, message)


def copy_known(lake: Lake, tables: SpaceTables, message: str) -> int:
    """Commit the vectors that ``pending`` shards lack and another shard has; returns how many rows."""
    count = int(lake.row("SELECT count(*) FROM pending WHERE known")[0])
    if not count:
        return 0

    def work() -> None:
        lake.run(
            f"""INSERT INTO {tables.embeddings} (shard, content_hash, vector)
                SELECT p.shard, p.content_hash, any_value(e.vector)
                FROM pending p JOIN {tables.embeddings} e USING (content_hash)
                WHERE p.known AND (p.shard, p.content_hash) NOT IN (SELECT (shard, content_hash) FROM {tables.embeddings})
                GROUP BY p.shard, p.content_hash ORDER BY p.shard"""
        )

    lake.transaction(work, message)
    return count
