"""Approximate search: HNSW indexes propose, exact scoring decides.

vss applies a WHERE clause after its search, so a filtered query could come back short. Here an index only proposes
positions, several times ``top_k`` of them; version, filter, deaths and score are applied to the proposals as in exact
search. Where fewer than ``top_k`` are left, the query is answered exactly: approximate search never returns too few.
"""

import duckdb

from vector_pipeline.targets.base import Vector
from vector_pipeline.targets.duckdb.engine import View
from vector_pipeline.targets.duckdb.relations import vector_type
from vector_pipeline.targets.duckdb.search import Hit, Search, nearest

_OVERFETCH = 4
_LEAST = 100
_DISTANCES = {
    "cosine": "array_cosine_distance",
    "dotproduct": "array_negative_inner_product",
    "euclidean": "array_distance",
}


def approximately_nearest(
    cursor: duckdb.DuckDBPyConnection, view: View, search: Search, queries: Vector
) -> dict[int, list[Hit]]:
    """As ``nearest``; segments without an index are searched exactly."""
    if not any(segment.indexed for segment in view.manifest.segments):
        return nearest(cursor, view, search)
    found = {}
    for number, query in enumerate(queries):
        proposed = _propose(cursor, view, query.tolist(), max(_LEAST, _OVERFETCH * search.top_k))
        hits = nearest(cursor, view, search, proposed, [number]).get(number, [])
        if len(hits) < search.top_k:
            hits = nearest(cursor, view, search, None, [number]).get(number, [])
        found[number] = hits
    return found


def _propose(cursor: duckdb.DuckDBPyConnection, view: View, query: list[float], count: int) -> dict[int, list[int]]:
    spec = view.manifest.spec
    cursor.execute(f"SET hnsw_ef_search = {int(count)}")
    proposed: dict[int, list[int]] = {}
    for segment in view.manifest.segments:
        # Plain text of this shape, or the optimizer does not use the index.
        order = f"ORDER BY {_DISTANCES[spec.metric]}(vector, $query::{vector_type(spec)}) LIMIT {int(count)}"
        every = f"SELECT rowid FROM {view.table(segment.file, 'records')}"
        rows = (
            cursor.execute(f"{every} {order}", {"query": query}).fetchall()
            if segment.indexed
            else cursor.execute(every).fetchall()
        )
        proposed[segment.number] = [row[0] for row in rows]
    return proposed
