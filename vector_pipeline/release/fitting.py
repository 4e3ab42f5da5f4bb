"""Whether a target takes what would be written: ids, metadata and records by their bytes, vectors of zeros; and whether the lake
has every vector. Before anything is.

Laws
----
1. One query over all that would be written, whatever the target; a target's own limit is the only one.
2. The worst of each kind is named: its document, its size, the limit.
3. Vectors are looked at for targets alone that do not take every one: those that are written, not all there are.
4. Sizes are those of the record as JSON, with what every target adds to it at the least: an adapter may refuse a little less, never
   the other way round.
"""

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at, within
from vector_pipeline.lake.whole_records import stretches
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import Target

_AROUND = 150
"""Bytes of the names, numbers and signs around a record's parts, at the least."""
_RECORD = f"""CASE WHEN w.whole THEN strlen(to_json(c.text)::VARCHAR) ELSE 0 END + strlen(c.metadata)
    + strlen(c.document_id) + strlen(c.content_hash) + strlen(c.metadata_hash) + {_AROUND}"""


def refuse_unfit(lake: Lake, version: Version, target: Target, written: str, *, chunks: str = "") -> None:
    """``RefusedError`` for a record that the target would not take.

    ``written``: a query of (shard, record_id, id, whole): whether text and vector are sent. ``chunks``: a relation
    of those records; default: the version's.
    """
    chunks = chunks or at(tables_of(version).chunks, version.lake_snapshot)
    limits = target.capabilities
    sizes = {
        "an id": ("strlen(w.id)", limits.max_id_bytes, "Choose another target"),
        "metadata": ("strlen(c.metadata)", limits.max_metadata_bytes, "Keep less metadata"),
        "text, metadata and marks": (_RECORD, limits.max_record_bytes, "Make chunks smaller, or keep less metadata"),
    }
    asked = {what: one for what, one in sizes.items() if one[1] is not None}
    shards = [row[0] for row in lake.rows(f"SELECT DISTINCT shard FROM ({written})")]
    if not shards:
        return
    worst = ", ".join(
        f"max({size}), arg_max(c.document_id, {size}), arg_max(w.id, {size}), count(*) FILTER ({size} > {limit})"
        for size, limit, _ in asked.values()
    )
    row = lake.row(
        f"""SELECT {worst} FROM ({written}) w
            JOIN (SELECT * FROM {chunks} WHERE {within(shards)}) c USING (record_id)"""
    )
    for place, (what, (_, limit, fix)) in enumerate(asked.items()):
        size, document, name, count = row[4 * place : 4 * place + 4]
        if count:
            others = f" ({count - 1:,} more are too large)" if count > 1 else ""
            raise RefusedError(
                f"{document} has a record ({name}) of {size:,} bytes of {what}; target {target.name} takes {limit:,}{others}",
                fix=fix,
            )


def refuse_zeros(
    lake: Lake, version: Version, target: Target, written: str, *, chunks: str = "", vectors: str | None = None
) -> None:
    """``RefusedError`` for a vector of zeros that the target would not take. ``written``, ``chunks``: as above.

    ``vectors``: SQL condition on the row ids of vectors, where it is known in which stretches of the table they stand.
    """
    if target.capabilities.zero_vectors:
        return
    shards = [row[0] for row in lake.rows(f"SELECT DISTINCT shard FROM ({written}) WHERE whole")]
    if not shards:
        return
    tables = tables_of(version)
    chunks = chunks or at(tables.chunks, version.lake_snapshot)
    if vectors is None:
        wanted = lake.table(f"SELECT record_id FROM ({written}) WHERE whole")
        _, vectors = stretches(lake, tables, version.lake_snapshot, wanted, within(shards))
    count, document, name = lake.row(
        f"""SELECT count(*), min(c.document_id), arg_min(w.id, c.document_id) FROM (SELECT * FROM ({written}) WHERE whole) w
            JOIN (SELECT record_id, document_id, shard, content_hash FROM {chunks} WHERE {within(shards)}) c USING (record_id)
            JOIN (SELECT shard, content_hash FROM {tables.embeddings} WHERE {within(shards)} AND {vectors}
                  AND vector[1] = 0 AND list_min(vector) = 0 AND list_max(vector) = 0) z
              ON z.shard = c.shard AND z.content_hash = c.content_hash"""
    )
    if count:
        others = f" ({count - 1:,} more have)" if count > 1 else ""
        raise RefusedError(
            f"{document} has a record ({name}) whose vector is all zeros, which target {target.name} does not take{others}",
            fix="Look at its text and at the model: a vector of zeros is near nothing",
        )


def refuse_lacking(lake: Lake, version: Version, written: str, *, placed: str | None = None) -> None:
    """``RefusedError`` where a vector that would be written is not in the lake: it is in quarantine. ``written``: as above.

    ``placed``: a relation of the records (record_id) whose vectors were found there just now.
    """
    if placed is not None:
        lacking = f"SELECT record_id FROM ({written}) WHERE whole AND record_id NOT IN (SELECT record_id FROM {placed})"
        if not lake.row(f"SELECT count(*) FROM ({lacking})")[0]:
            return
    shards = [row[0] for row in lake.rows(f"SELECT DISTINCT shard FROM ({written}) WHERE whole")]
    if not shards:
        return
    tables = tables_of(version)
    count, document = lake.row(
        f"""SELECT count(*), min(c.document_id) FROM (SELECT record_id FROM ({written}) WHERE whole) w
            JOIN (SELECT record_id, document_id, shard, content_hash FROM {at(tables.chunks, version.lake_snapshot)}
                  WHERE {within(shards)}) c USING (record_id)
            ANTI JOIN (SELECT shard, content_hash FROM {tables.embeddings} WHERE {within(shards)}) e
              ON e.shard = c.shard AND e.content_hash = c.content_hash"""
    )
    if count:
        raise RefusedError(
            f"version {version.number} of {version.dataset} lacks {count:,} vectors in the lake, such as one of {document}: "
            "they are in quarantine, or were lost",
            fix=f"Make them anew: vector-pipeline build {version.dataset}; what is in no document any more cannot be",
        )
