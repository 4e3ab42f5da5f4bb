"""What lies between two versions of a space: rows of the change feed, with the places where they stand, and digests of both ends.

Laws
----
1. A state is proved to be the one with a digest from what was described last in the lake's own catalog, and what came and went
   between the two; where that does not tell, by reading the state.
2. Places are row ids: of chunks from the feed, of vectors from the feed and, where they are older than that, by key. They are
   looked at in the table itself: what the feed names and is gone has none.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.lake import since
from vector_pipeline.lake.changes import place_of
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.sums import Shards, moved, sums
from vector_pipeline.lake.tables import SpaceTables, at, within
from vector_pipeline.lake.whole_records import chunks_at, stretched

_GROUP_ROWS = 50_000


def shards_at(lake: Lake, tables: SpaceTables, snapshot: int) -> Shards:
    """Sums of a state's shards (law 1). ``NotFoundError`` where the lake has not got it."""
    known = since.described(lake, tables)
    if known is not None and known.snapshot >= snapshot:
        found = since.went_back(lake, tables, known, snapshot)
        if found is not None:
            return found
    return sums(lake, at(tables.chunks, snapshot))


def before(lake: Lake, shards: Shards, net: str) -> Shards:
    """Sums of the state from which ``net`` (of ``find_changes``) leads to that of ``shards``."""
    return moved(shards, sums(lake, net, "-net"))


def load_inserted(lake: Lake, tables: SpaceTables, old: int, new: int, net: str, into: str) -> bool:
    """Fill ``into`` with the chunks of ``net`` (of ``find_changes``, with ``net`` 1) that came, and ``place``, their row id.

    False where the feed has not got them all.
    """
    keys = "shard, document_id, content_hash, metadata_hash, record_id"
    try:
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE {into} AS
                SELECT * EXCLUDE (snapshot_id, newest) FROM (
                    SELECT snapshot_id, rowid AS place, {keys}, text, metadata,
                           row_number() OVER (PARTITION BY record_id ORDER BY snapshot_id DESC, rowid DESC) AS newest
                    FROM {_inserted(tables, tables.chunk_table, old, new)}
                    SEMI JOIN (FROM {net} WHERE net = 1) USING ({keys})) WHERE newest = 1"""
        )
    except (NotFoundError, UnavailableError):
        return False
    came, wanted = lake.row(f"SELECT (SELECT count(*) FROM {into}), (SELECT count(*) FROM {net} WHERE net = 1)")
    return bool(came == wanted)


def load_places(lake: Lake, tables: SpaceTables, old: int, needed: str, into: str) -> None:
    """Fill ``into`` with (shard, content_hash, place) of those of ``needed`` (a query of shard and content_hash) that have a vector
    now (law 2). ``old``: since when most of them came.
    """
    lake.run(f"CREATE OR REPLACE TEMP TABLE vectors_needed AS SELECT DISTINCT * FROM ({needed})")
    lake.run(f"CREATE OR REPLACE TEMP TABLE {into}(shard INTEGER, content_hash VARCHAR, place BIGINT)")
    now, named = lake.snapshot_id(), "true"
    try:
        found = lake.table(
            f"""SELECT rowid AS place FROM {_inserted(tables, tables.embedding_table, old, now)}
                SEMI JOIN vectors_needed USING (shard, content_hash)"""
        )
        named = stretched(found["place"])
    except (NotFoundError, UnavailableError):
        pass
    for where in (named, "true"):
        shards = [
            row[0]
            for row in lake.rows(
                f"SELECT DISTINCT shard FROM vectors_needed ANTI JOIN {into} USING (shard, content_hash)"
            )
        ]
        if not shards:
            return
        lake.run(
            f"""INSERT INTO {into} SELECT shard, content_hash, place FROM (
                    SELECT shard, content_hash, rowid AS place FROM {tables.embeddings} WHERE {within(shards)} AND {where})
                SEMI JOIN (FROM vectors_needed ANTI JOIN {into} USING (shard, content_hash)) USING (shard, content_hash)"""
        )


def stream_placed(
    lake: Lake, tables: SpaceTables, snapshot: int, wanted: pa.Table, dimension: int, *, rows: int
) -> Iterator[pa.Table]:
    """Whole records of ``wanted`` [shard, record_id, id, added_in, removed_in, chunk_place, vector_place], as
    ``whole_records.stream_records`` gives them; only the stretches around their places are read.
    """
    wanted = wanted.sort_by([("shard", "ascending"), ("chunk_place", "ascending")])
    for begin in range(0, wanted.num_rows, _GROUP_ROWS):
        group = wanted.slice(begin, _GROUP_ROWS)
        shards = within(np.unique(group["shard"].to_numpy()).tolist())
        for batch in lake.stream(
            f"""SELECT w.id, w.added_in, w.removed_in, w.record_id, c.document_id, c.content_hash, c.metadata_hash, c.text,
                       c.metadata, e.vector::FLOAT[{int(dimension)}] AS vector
                FROM (SELECT rowid AS vector_place, shard, content_hash, vector FROM {tables.embeddings}
                      WHERE {shards} AND {stretched(group["vector_place"])}) e
                JOIN wanted_records w USING (shard, vector_place)
                JOIN (SELECT * FROM {chunks_at(tables, snapshot)}
                      WHERE {shards} AND {stretched(group["chunk_place"])}) c
                  ON c.record_id = w.record_id AND c.content_hash = e.content_hash""",
            rows=rows,
            given={"wanted_records": group},
        ):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def _inserted(tables: SpaceTables, table: str, old: int, new: int) -> str:
    if old >= new:
        # The feed takes no empty range.
        return f"(SELECT 0 AS snapshot_id, rowid, * FROM {tables.dataset.named(table)} WHERE false)"
    return f"(SELECT snapshot_id, rowid, * FROM ducklake_table_insertions({place_of(tables.dataset, table, old, new)}))"
