"""SQL of a view's live records: segments, less what died, with the newest ``removed_in``. No value is part of the text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.duckdb.engine import FOUND, View
from vector_pipeline.targets.duckdb.manifest import Changes, Segment

DEAD = -1
"""``removed_in`` of a change that says "this record is gone"."""

_TYPES = {
    "segment": "INTEGER",
    "position": "BIGINT",
    "added_in": "BIGINT",
    "removed_in": "BIGINT",
    "norm": "FLOAT",
}

SCORES = {
    # DuckDB's cosine of a zero vector is -1: here it is 0, near nothing and far from nothing.
    "cosine": "CASE WHEN r.norm = 0 OR q.norm = 0 THEN 0::FLOAT ELSE array_cosine_similarity(r.vector, q.vector) END",
    "dotproduct": "array_inner_product(r.vector, q.vector)",
    "euclidean": "-array_distance(r.vector, q.vector)",
}
"""Higher is better: the cosine, the inner product, the negative distance. ``r`` is a record, ``q`` a query."""


APART = 100
"""Records to one that is wanted, from which finding it by its place is less work than reading them all."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Positions of a segment."""

    sql: str
    """A query of them."""
    count: int


def vector_type(spec: NamespaceSpec) -> str:
    """SQL type of a vector."""
    return f"FLOAT[{int(spec.dimension)}]"


def live(view: View, columns: Sequence[str], only: Mapping[int, Chosen] | None = None) -> str:
    """A query of ``segment``, ``position`` and ``columns`` of live records.

    ``only`` limits it to positions of some segments, by number. Vectors are then read there alone; a join by id would read
    every vector that there is.
    """
    parts = [
        _segment(view, segment, columns, None if only is None else only[segment.number])
        for segment in view.manifest.segments
        if only is None or segment.number in only
    ]
    return " UNION ALL ".join(parts) if parts else _nothing(view.manifest.spec, columns)


def located(ids: pa.Table, view: View, cursor: duckdb.DuckDBPyConnection) -> tuple[pa.Table, dict[int, Chosen]]:
    """``id``, ``segment``, ``position`` of the live records of ``ids``, and ``only`` of a query that has it as ``located``."""
    cursor.register("wanted", ids)
    table = cursor.execute(
        f"SELECT id, segment, position FROM ({live(view, ['id'])}) WHERE id IN (SELECT id FROM wanted)"
    ).to_arrow_table()
    counts = pc.value_counts(table.column("segment")).to_pylist()
    numbers = {int(one["values"]): int(one["counts"]) for one in counts}
    return table, {
        number: Chosen(f"SELECT position FROM located WHERE segment = {number}", count)
        for number, count in numbers.items()
    }


def _nothing(spec: NamespaceSpec, columns: Sequence[str]) -> str:
    types = {**_TYPES, "vector": vector_type(spec)}
    named = (f"NULL::{types.get(column, 'VARCHAR')} AS {column}" for column in ("segment", "position", *columns))
    return f"SELECT {', '.join(named)} WHERE false"


def _segment(view: View, segment: Segment, columns: Sequence[str], only: Chosen | None) -> str:
    changes = [part for part in view.manifest.changes if segment.number in part.segments]
    chosen = [
        "coalesce(c.removed_in, r.removed_in) AS removed_in" if changes and column == "removed_in" else f"r.{column}"
        for column in columns
    ]
    head = ", ".join([f"{segment.number}::INTEGER AS segment", "r.rowid AS position", *chosen])
    source = f"{view.table(segment.file, 'records')} r"
    tests = []
    if changes:
        source += f" LEFT JOIN ({_newest(view, segment, changes)}) c ON c.position = r.rowid"
        tests.append(f"c.removed_in IS DISTINCT FROM {DEAD}")
    if only is not None:
        # `rowid` is no column of an index; of many positions it says better which part of the file they lie in.
        found = segment.findable and only.count <= min(FOUND, segment.records // APART)
        tests.append(f"r.{'place' if found else 'rowid'} IN ({only.sql})")
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    return f"SELECT {head} FROM {source}{where}"


def _newest(view: View, segment: Segment, changes: Sequence[Changes]) -> str:
    parts = [
        f"SELECT position, removed_in, {age} AS age FROM {view.table(part.file, 'changes')}"
        f" WHERE segment = {segment.number}"
        for age, part in enumerate(changes)
    ]
    if len(parts) == 1:
        return parts[0]
    return (
        f"SELECT position, arg_max(removed_in, age) AS removed_in FROM ({' UNION ALL '.join(parts)}) GROUP BY position"
    )
