"""Texts with the vectors that are stored for them, drawn by hash: what an attestation embeds again.

Laws
----
1. What is new and what is not are two strata, drawn apart: a share of one is none of the other (``Stored.strata``).
2. Within a stratum every (shard, content) is as likely as any other, and every shard has its share of the draws, rounded by hash:
   few draws of a large shard would say little of it.
3. The same content is drawn apart in each shard that has it: a vector that is wrong in all has as many chances to be found.
"""

from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Rows [shard, content_hash, document_id, text, vector], ordered by shard and hash. A vector that is missing is null."""

    rows: pa.Table
    total: int
    """Distinct (shard, content) that there are."""
    new: int
    """Of them, contents that the other side has not."""
    new_drawn: int

    @property
    def strata(self) -> tuple[tuple[int, int], ...]:
        """How many there are, and how many of them were drawn: new ones, others."""
        return (self.new, self.new_drawn), (self.total - self.new, len(self) - self.new_drawn)

    def __len__(self) -> int:
        return int(self.rows.num_rows)


def draw_stored(
    lake: Lake, tables: SpaceTables, chunks: str, limit: int, *, salt: str, without: str | None = None
) -> Stored:
    """At most ``limit`` contents of a relation of chunks: the same for the same relation and ``salt``.

    ``without``: a relation of chunks; half of the sample is of contents that it has not, where there are as many.
    """
    new = "true" if without is None else f"content_hash NOT IN (SELECT content_hash FROM {without})"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE stored_ranked AS
            WITH placed AS (SELECT *, {new} AS new, md5(shard || '/' || content_hash || $1) AS place
                            FROM (SELECT DISTINCT shard, content_hash FROM {chunks}))
            SELECT *, (row_number() OVER (PARTITION BY new, shard ORDER BY place) - 1
                       + md5_number_upper(new || '/' || shard || '/' || $1) / 18446744073709551616.0)
                      / count(*) OVER (PARTITION BY new, shard) AS turn FROM placed""",
        [salt],
    )
    total, fresh = (int(one) for one in lake.row("SELECT count(*), count(*) FILTER (new) FROM stored_ranked"))
    wanted = min(fresh, max((limit + 1) // 2, limit - (total - fresh)))
    chosen = [
        (int(shard), str(content))
        for flag, count in ((True, wanted), (False, min(total - fresh, limit - wanted)))
        for shard, content in lake.rows(
            "SELECT shard, content_hash FROM stored_ranked WHERE new = ? ORDER BY turn, place LIMIT ?", [flag, count]
        )
    ]
    lake.run("DROP TABLE stored_ranked")
    return Stored(read_stored(lake, tables, chunks, chosen), total, fresh, wanted)


def read_stored(lake: Lake, tables: SpaceTables, chunks: str, chosen: list[tuple[int, str]]) -> pa.Table:
    """Texts and vectors of (shard, content hash)."""
    wanted = pa.table(
        {
            "shard": pa.array([shard for shard, _ in chosen], pa.int32()),
            "content_hash": pa.array([content for _, content in chosen], pa.string()),
        }
    )
    # A list in the statement is pushed down to the files: of the vectors little else is read.
    few = ", ".join(f"'{content}'" for content in sorted({content for _, content in chosen})) or "NULL"
    with lake.registered("stored_wanted", wanted):
        return lake.table(
            f"""WITH c AS (SELECT shard, content_hash, min(document_id) AS document_id, any_value(context || text) AS text
                           FROM {chunks} WHERE content_hash IN ({few}) GROUP BY shard, content_hash),
                     e AS (SELECT shard, content_hash, vector FROM {tables.embeddings} WHERE content_hash IN ({few}))
                SELECT w.shard, w.content_hash, c.document_id, c.text, e.vector
                FROM stored_wanted w JOIN c USING (shard, content_hash) LEFT JOIN e USING (shard, content_hash)
                ORDER BY w.shard, w.content_hash"""
        )
