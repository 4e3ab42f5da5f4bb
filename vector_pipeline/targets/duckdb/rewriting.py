"""Records made of records that are there: joined inside the engine, so that no vector leaves it.

Laws
----
1. A source is the record as the view has it, with its newest ``removed_in``: what the same write replaces is not seen.
2. New metadata keeps everything else, marks among it; a record whose metadata is already so is not written again.
3. Vectors are read where sources are, and nowhere else.
"""

import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.errors import RefusedError
from vector_pipeline.targets.duckdb.engine import Engine, View
from vector_pipeline.targets.duckdb.files import COLUMNS, Source
from vector_pipeline.targets.duckdb.relations import live, located

_GIVEN = ("id", "metadata_hash", "metadata", "added_in", "removed_in")


def derived(engine: Engine, view: View, given: pa.Table) -> Source:
    """Rows of a new segment: ``given`` (``DERIVE_SCHEMA``), the rest from live sources. ``RefusedError`` without a source."""
    sources = given.column("source_id")
    with engine.cursor() as cursor:
        found, only = located(pa.table({"id": sources}), view, cursor)
    unknown = pc.unique(sources.filter(pc.invert(pc.is_in(sources, value_set=found.column("id"))))).sort()
    if len(unknown):
        raise RefusedError(
            f"{len(unknown)} sources are not in {view.folder.path}, such as {unknown[0]}: nothing was written",
            fix="Upsert these records whole",
        )
    columns = [f"g.{name}" if name in _GIVEN else f"r.{name}" for name in COLUMNS]
    taken = ["id", *(name for name in COLUMNS if name not in _GIVEN)]
    sql = f"SELECT {', '.join(columns)} FROM given g JOIN ({live(view, taken, only)}) r ON r.id = g.source_id"
    return Source(sql, given.num_rows, {"given": given, "located": found})


def with_new_metadata(engine: Engine, view: View, given: pa.Table) -> pa.Table:
    """``given`` (``METADATA_SCHEMA``) as records that derive from themselves; those left out that are so already."""
    columns = ["id", "metadata_hash", "metadata", "added_in", "removed_in"]
    with engine.cursor() as cursor:
        found, only = located(given.select(["id"]), view, cursor)
        cursor.register("located", found)
        cursor.register("given", given)
        return cursor.execute(
            "SELECT g.id, g.id AS source_id, g.metadata_hash, g.metadata, r.added_in, r.removed_in"
            f" FROM given g JOIN ({live(view, columns, only)}) r ON r.id = g.id"
            " WHERE r.metadata_hash <> g.metadata_hash OR r.metadata <> g.metadata"
        ).to_arrow_table()
