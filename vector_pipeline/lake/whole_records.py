"""Whole records, with text and vector: those that are wanted, at the cost of those.

Laws
----
1. Few of many: which rows hold their vectors is looked up by key first, and only the stretches of the table around these are read.
   The newest rows stand together, so a version with 1% changed reads about 1%.
2. Most of many: shards are read one after the other, each once, in a stream. Memory holds the texts of a shard and one batch.
3. Rows come in no order within a group of shards. What is not there does not come: whoever wants all counts.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import ROW_GROUP, SpaceTables, within

_GROUP_ROWS = 50_000
"""Wanted records that are read together: so many at least, or a whole shard."""
_MOST_STRETCHES = 64
_SPARSE = 4
"""Below one in so many of a shard's vectors, places are looked up first."""


def stream_records(
    lake: Lake, tables: SpaceTables, snapshot: int | None, wanted: pa.Table, dimension: int, *, rows: int = 16_384
) -> Iterator[pa.Table]:
    """Whole records of ``wanted`` [shard, record_id, id, added_in, removed_in]: what it says, with text, metadata and vector
    (``float32[dimension]``).

    ``wanted`` must be ordered by shard. Tables of at most ``rows`` records.
    """
    for group in _groups(wanted):
        shards = within(np.unique(group["shard"].to_numpy()).tolist())
        chunks, vectors = stretches(lake, tables, snapshot, group, shards)
        for batch in lake.stream(
            # What is wanted meets its chunks first: the vectors go through one join, and are the side that streams.
            f"""WITH described AS MATERIALIZED (
                    SELECT w.id, w.added_in, w.removed_in, c.*
                    FROM (SELECT * FROM {chunks_at(tables, snapshot)} WHERE {shards} AND {chunks}) c
                    JOIN wanted_records w USING (record_id))
                SELECT d.id, d.added_in, d.removed_in, d.record_id, d.document_id, d.content_hash, d.metadata_hash, d.text,
                       d.metadata, e.vector::FLOAT[{int(dimension)}] AS vector
                FROM (SELECT shard, content_hash, vector FROM {tables.embeddings} WHERE {shards} AND {vectors}) e
                JOIN described d USING (shard, content_hash)""",
            rows=rows,
            given={"wanted_records": group},
        ):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def read_records(
    lake: Lake, tables: SpaceTables, snapshot: int | None, wanted: pa.Table, dimension: int
) -> pa.Table | None:
    """The same as one table; None where nothing of it is there."""
    found = list(stream_records(lake, tables, snapshot, wanted.sort_by("shard"), dimension))
    return pa.concat_tables(found) if found else None


def _groups(wanted: pa.Table) -> Iterator[pa.Table]:
    """Slices that end with a shard."""
    shards: npt.NDArray[np.int32] = wanted["shard"].to_numpy()
    ends = [*(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]
    begin = 0
    for end in ends:
        if end - begin >= _GROUP_ROWS or end == len(shards):
            if end > begin:
                yield wanted.slice(begin, end - begin)
            begin = end


def stretches(lake: Lake, tables: SpaceTables, snapshot: int | None, group: pa.Table, shards: str) -> tuple[str, str]:
    """SQL conditions on the row ids of chunks (``chunks_at``) and of vectors: where those of ``group`` [record_id, …] stand
    (law 1); ``true`` where it is most of them. ``shards``: condition that keeps the group's shards.
    """
    (held,) = lake.row(f"SELECT count(*) FROM {tables.embeddings} WHERE {shards}")
    if group.num_rows * _SPARSE > held:
        return "true", "true"
    with lake.registered("wanted_records", group.select(["record_id"])):
        found = lake.table(
            f"""SELECT c.place AS chunk, e.place AS vector
                FROM (SELECT rowid AS place, shard, content_hash FROM {chunks_at(tables, snapshot)}
                      SEMI JOIN wanted_records USING (record_id) WHERE {shards}) c
                JOIN (SELECT rowid AS place, shard, content_hash FROM {tables.embeddings} WHERE {shards}) e
                USING (shard, content_hash)"""
        )
    return stretched(found["chunk"]), stretched(found["vector"])


def chunks_at(tables: SpaceTables, snapshot: int | None) -> str:
    """The chunks of a state for FROM, with row ids: a subquery (``tables.at``) has none. Takes no alias."""
    return tables.chunks if snapshot is None else f"{tables.chunks} AT (VERSION => {int(snapshot)})"


def stretched(places: pa.ChunkedArray) -> str:
    """SQL condition on row ids: the stretches around these places. Null is no place; of none nothing is let through."""
    runs = _runs(np.sort(places.drop_null().to_numpy()))
    return f"({' OR '.join(f'rowid BETWEEN {first} AND {last}' for first, last in runs)})"


def _runs(places: npt.NDArray[np.int64]) -> Sequence[tuple[int, int]]:
    """Ordered places as the fewest stretches without a hole of a row group, and not more than ``_MOST_STRETCHES``."""
    if not len(places):
        return [(-1, -1)]
    holes = np.diff(places)
    wide = np.flatnonzero(holes > ROW_GROUP)
    if len(wide) >= _MOST_STRETCHES:
        wide = np.sort(np.argsort(holes)[-(_MOST_STRETCHES - 1) :])
    firsts = [0, *(wide + 1).tolist()]
    lasts = [*wide.tolist(), len(places) - 1]
    return [(int(places[first]), int(places[last])) for first, last in zip(firsts, lasts, strict=True)]
