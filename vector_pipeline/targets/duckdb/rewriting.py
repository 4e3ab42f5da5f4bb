"""Records made of records that are there: joined inside the engine, so that no vector leaves it.

Laws
----
1. A source is the record as the view has it, with its newest ``removed_in``: what the same write replaces is not seen.
2. New metadata keeps everything else, marks among it; a record whose metadata is already so is not written again.
"""

import pyarrow as pa

from vector_pipeline.targets.duckdb.engine import Engine, View
from vector_pipeline.targets.duckdb.files import COLUMNS, Source
from vector_pipeline.targets.duckdb.relations import live

_GIVEN = ("id", "metadata_hash", "metadata", "added_in", "removed_in")


def derived(view: View, given: pa.Table) -> Source:
    """Rows of a new segment: ``given`` (``DERIVE_SCHEMA``, all sources live), the rest from the sources."""
    columns = [f"g.{name}" if name in _GIVEN else f"r.{name}" for name in COLUMNS]
    taken = ["id", *(name for name in COLUMNS if name not in _GIVEN)]
    sql = f"SELECT {', '.join(columns)} FROM given g JOIN ({live(view, taken)}) r ON r.id = g.source_id"
    return Source(sql, given.num_rows, {"given": given})


def missing_ids(engine: Engine, view: View, ids: pa.Table) -> list[str]:
    """Those of the column ``id`` that no live record has, ascending."""
    with engine.cursor() as cursor:
        cursor.register("wanted", ids)
        # Found first: a semi-join keeps the few wanted ids in memory, an anti-join over the namespace all of its own.
        found = f"SELECT id FROM ({live(view, ['id'])}) WHERE id IN (SELECT id FROM wanted)"
        rows = cursor.execute(f"SELECT id FROM wanted EXCEPT SELECT id FROM ({found}) ORDER BY id").fetchall()
        return [row[0] for row in rows]


def with_new_metadata(engine: Engine, view: View, given: pa.Table) -> pa.Table:
    """``given`` (``METADATA_SCHEMA``) as records that derive from themselves; those left out that are so already."""
    columns = ["id", "metadata_hash", "metadata", "added_in", "removed_in"]
    with engine.cursor() as cursor:
        cursor.register("given", given)
        return cursor.execute(
            "SELECT g.id, g.id AS source_id, g.metadata_hash, g.metadata, r.added_in, r.removed_in"
            f" FROM given g JOIN ({live(view, columns)}) r ON r.id = g.id"
            " WHERE r.metadata_hash <> g.metadata_hash OR r.metadata <> g.metadata"
        ).to_arrow_table()
