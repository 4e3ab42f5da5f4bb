"""Nearest records: the scores of all live records that pass the filters, in one statement for all queries.

Two steps: positions and scores first, reading vectors and marks only; then text and metadata of the hits alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.targets.duckdb.engine import View
from vector_pipeline.targets.duckdb.relations import SCORES, Chosen, live, vector_type
from vector_pipeline.targets.filters import Node, to_duckdb

Hit = tuple[float, str, int, int]
"""Negative score, id, segment, position: ascending order is best first, ties by id."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of every query vector."""

    top_k: int
    version: int | None = None
    filter: Node | None = None
    include_text: bool = True


@dataclass(frozen=True, slots=True)
class _Condition:
    sql: str = "true"
    columns: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


def condition(search: Search) -> _Condition:
    """Of a version and a filter, on records ``r``."""
    tests, columns, parameters = [], [], {}
    if search.version is not None:
        tests.append("r.added_in <= $version AND r.removed_in > $version")
        columns += ["added_in", "removed_in"]
        parameters["version"] = search.version
    if search.filter is not None:
        sql, bound = to_duckdb(search.filter, "r.metadata")
        tests.append(sql)
        columns.append("metadata")
        parameters.update(bound)
    return _Condition(" AND ".join(tests) or "true", tuple(columns), parameters)


def set_queries(cursor: duckdb.DuckDBPyConnection, view: View, queries: Vector) -> None:
    """Make float32[n, dim] ``queries`` the table ``queries`` of this cursor."""
    spec = view.manifest.spec
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(queries.reshape(-1)), spec.dimension)
    cursor.register("given", pa.table({"number": pa.array(np.arange(len(queries), dtype=np.int32)), "vector": vectors}))
    # A table, not the Arrow data itself: the optimizer must know that this is the small side of the product.
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE queries AS SELECT number, vector::{vector_type(spec)} AS vector,"
        " sqrt(array_inner_product(vector, vector))::FLOAT AS norm FROM given"
    )


def nearest(
    cursor: duckdb.DuckDBPyConnection,
    view: View,
    search: Search,
    only: Mapping[int, list[int]] | None = None,
    numbers: Sequence[int] | None = None,
    pairs: pa.Table | None = None,
) -> dict[int, list[Hit]]:
    """Best hits of each query by its number. ``only`` limits the search to positions of some segments, ``numbers`` to some queries,
    and ``pairs`` [number, segment, position] each query to positions of its own, which ``only`` has all of."""
    asked = condition(search)
    names, positions = _positions(only)
    records = live(view, ("id", "vector", "norm", *asked.columns), names)
    which = "" if numbers is None else f" WHERE number IN ({', '.join(str(int(number)) for number in numbers)})"
    own = ""
    if pairs is not None:
        cursor.register("pairs", pairs)
        own = ", pairs p WHERE p.number = q.number AND p.segment = r.segment AND p.position = r.position"
    score = SCORES[view.manifest.spec.metric]
    rows = cursor.execute(
        f"SELECT q.number, min(row(-({score}), r.id, r.segment, r.position), {int(search.top_k)})"
        f" FROM (SELECT * FROM ({records}) r WHERE {asked.sql}) r, (SELECT * FROM queries{which}) q{own} GROUP BY q.number",
        {**asked.parameters, **positions},
    ).fetchall()
    return dict(rows)


def scored(
    cursor: duckdb.DuckDBPyConnection, view: View, query: Vector, search: Search, only: Mapping[int, list[int]]
) -> list[Match]:
    """The best of a few positions for float32[dim] ``query``, with what is to be shown of them, in one statement: ``nearest`` and
    ``matches_of`` take three, and a table."""
    spec = view.manifest.spec
    names, positions = _positions(only)
    columns = ("id", *_shown(search.include_text))
    records = live(view, (*columns, "vector", "norm"), names)
    rows = cursor.execute(
        f"WITH q AS (SELECT vector, sqrt(array_inner_product(vector, vector))::FLOAT AS norm"
        f" FROM (SELECT $query::{vector_type(spec)} AS vector))"
        f" SELECT -({SCORES[spec.metric]}), r.segment, r.position, {', '.join(f'r.{name}' for name in columns)}"
        f" FROM ({records}) r, q",
        # As text: of a list DuckDB makes a value of each number.
        {"query": str(query.tolist()), **positions},
    ).fetchall()
    best = sorted(((score, name, segment, position), shown) for score, segment, position, name, *shown in rows)
    return [_match(hit, tuple(shown)) for hit, shown in best[: search.top_k]]


def _shown(include_text: bool) -> tuple[str, ...]:
    return ("document_id", "content_hash", "added_in", "removed_in", "metadata", *(("text",) * include_text))


def _positions(only: Mapping[int, list[int]] | None) -> tuple[dict[int, Chosen] | None, dict[str, list[int]]]:
    if only is None:
        return None, {}
    queries = {
        segment: Chosen(f"SELECT unnest($p{segment}::BIGINT[])", len(positions)) for segment, positions in only.items()
    }
    return queries, {f"p{segment}": found for segment, found in only.items()}


def matches_of(
    cursor: duckdb.DuckDBPyConnection, view: View, hits: list[list[Hit]], *, include_text: bool
) -> list[list[Match]]:
    """The hits with what is to be shown of them."""
    wanted: dict[int, list[int]] = {}
    for segment, position in {(hit[2], hit[3]) for found in hits for hit in found}:
        wanted.setdefault(segment, []).append(position)
    names, positions = _positions(wanted)
    rows = cursor.execute(live(view, _shown(include_text), names), positions).fetchall() if wanted else []
    shown = {(row[0], row[1]): row[2:] for row in rows}
    return [[_match(hit, shown[hit[2], hit[3]]) for hit in found] for found in hits]


def _match(hit: Hit, row: tuple[Any, ...]) -> Match:
    document_id, content_hash, added_in, removed_in, metadata, *text = row
    return Match(
        id=hit[1],
        score=-hit[0],
        document_id=document_id,
        content_hash=content_hash,
        added_in=added_in,
        removed_in=removed_in,
        text=text[0] if text else None,
        metadata=json.loads(metadata),
    )
