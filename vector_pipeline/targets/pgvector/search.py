"""Nearest records. Exact search is an expression that no index can answer; HNSW answers only where it is asked for.

Laws
----
1. Exact: version and filter are conditions of the same statement that orders; ties end by id.
2. HNSW goes on until enough records pass the conditions (``hnsw.iterative_scan``); where it comes back short, the query is
   answered exactly.
3. A distance that float32 cannot hold, as pgvector computes it, is computed in 64 bits: NaN and infinities never order records.
   A zero vector has cosine 0 to everything.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.targets.filters import Node
from vector_pipeline.targets.filters_postgres import to_postgres
from vector_pipeline.targets.pgvector.engine import Session
from vector_pipeline.targets.pgvector.values import original

OPERATORS = {"cosine": "<=>", "dotproduct": "<#>", "euclidean": "<->"}
METADATA = (
    "CASE WHEN exact IS NULL THEN metadata::text"
    " WHEN exact_of = sha256(convert_to(metadata::text, 'UTF8')) THEN exact ELSE metadata::text END"
)
"""Metadata as it was written. ``exact`` speaks of ``metadata`` only as long as nobody has changed that alone."""

# Over x and y, the components in 64 bits: the distance that the operator means.
_EXACTLY = {
    "cosine": "coalesce(1 - sum(x * y) / nullif(sqrt(sum(x * x)) * sqrt(sum(y * y)), 0), 1)",
    "dotproduct": "-sum(x * y)",
    "euclidean": "sqrt(sum((x - y) * (x - y)))",
}
_MOST_CANDIDATES = 1_000
"""Of ``hnsw.ef_search``."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of every query vector."""

    table: sql.Identifier
    metric: str
    top_k: int
    version: int | None = None
    filter: Node | None = None
    include_text: bool = True


def exactly(session: Session, search: Search, queries: Vector) -> list[list[Match]]:
    """Best records of each of float32[n, dim] ``queries``."""
    statement, parameters = _exact_statement(search)
    return [_matches(session, statement, parameters, query, search) for query in queries]


def approximately(session: Session, search: Search, queries: Vector, candidates: int) -> list[list[Match]]:
    """As ``exactly``, by the HNSW index where the planner of PostgreSQL finds that quicker."""
    looked_at = min(_MOST_CANDIDATES, max(candidates, search.top_k))
    session.run(sql.SQL(f"SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = {int(looked_at)}"))
    statement, parameters = _index_statement(search)
    found = []
    for number, query in enumerate(queries):
        hits = _matches(session, statement, parameters, query, search)
        if len(hits) < search.top_k:
            hits = exactly(session, search, queries[number : number + 1])[0]
        found.append(hits)
    return found


def _matches(
    session: Session, statement: sql.Composed, parameters: dict[str, Any], query: Vector, search: Search
) -> list[Match]:
    text = json.dumps(query.tolist())
    rows = session.rows(statement, {**parameters, "query": text})
    return [_match(row, search.metric) for row in rows]


def _match(row: Sequence[Any], metric: str) -> Match:
    identifier, distance, document_id, content_hash, added_in, removed_in, metadata, *text = row
    return Match(
        id=identifier,
        score=1 - distance if metric == "cosine" else -distance,
        document_id=str(original(document_id)),
        content_hash=str(original(content_hash)),
        added_in=added_in,
        removed_in=removed_in,
        text=original(text[0]) if text else None,
        metadata=json.loads(metadata),
    )


def _told(search: Search, nearest: str) -> sql.Composed:
    """What ``nearest`` (id, distance) found, whole: carrying more than that through the sort takes twice the time."""
    text = ", text" if search.include_text else ""
    columns = f"id, distance, document_id, content_hash, added_in, removed_in, {METADATA}{text}"
    found = f"({nearest}) AS nearest JOIN {{table}} USING (id)"
    # Built from this module's own constants; values, keys of filters among them, are bound.
    return sql.SQL(f"SELECT {columns} FROM {found} ORDER BY distance, id").format(table=search.table)


def _distance(metric: str) -> str:
    """A distance that is always a number; the operator is evaluated once."""
    known = f"vector {OPERATORS[metric]} %(query)s::vector"
    for unknown in ("NaN", "Infinity", "-Infinity"):
        known = f"nullif({known}, '{unknown}')"
    components = "unnest(vector::real[]::float8[], %(query)s::vector::real[]::float8[])"
    return f"coalesce({known}, (SELECT {_EXACTLY[metric]} FROM {components} AS both_of (x, y)))"


def _condition(search: Search) -> tuple[str, dict[str, Any]]:
    tests = ["true"]
    parameters: dict[str, Any] = {}
    if search.filter is not None:
        test, parameters = to_postgres(search.filter)
        tests.append(test)
    if search.version is not None:
        tests.insert(0, "added_in <= %(version)s AND removed_in > %(version)s")
        parameters["version"] = search.version
    return " AND ".join(tests), parameters


def _exact_statement(search: Search) -> tuple[sql.Composed, dict[str, Any]]:
    condition, parameters = _condition(search)
    measured = f"SELECT id, {_distance(search.metric)} AS distance FROM {{table}} WHERE {condition}"
    return _told(search, f"{measured} ORDER BY distance, id LIMIT {int(search.top_k)}"), parameters


def _index_statement(search: Search) -> tuple[sql.Composed, dict[str, Any]]:
    condition, parameters = _condition(search)
    # The index answers this very expression, and no other.
    order = f"vector {OPERATORS[search.metric]} %(query)s::vector"
    found = f"SELECT id, vector FROM {{table}} WHERE {condition} ORDER BY {order} LIMIT {int(search.top_k)}"
    return _told(search, f"SELECT id, {_distance(search.metric)} AS distance FROM ({found}) AS found"), parameters
