"""Nearest records. Exact search is an expression that no index can answer; HNSW answers only where it is asked for.

Laws
----
1. Exact: version and filter are conditions of the same statement that orders; ties end by id.
2. HNSW goes on until enough records pass the conditions (``hnsw.iterative_scan``); where it comes back short, the query is
   answered exactly.
3. A distance that float32 cannot hold, as pgvector computes it, is computed in 64 bits: NaN, infinities and what is left of
   numbers too small never order records. A zero vector has cosine 0 to everything.
4. Cosine does not tell when squares became too small: no vector shorter than ``SHORTEST`` is written, and such a query is
   lengthened. Looking at the length of every record would take a third longer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from psycopg import sql

from vector_pipeline.arrow import as_one
from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Match, NamespaceSpec, Vector
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

SHORTEST = 1e-17
"""Least length of a vector, but zero, whose square float32 holds to the last bits: 16,000 squares may each lose 1e-45."""

# Whether what the operator has ``found`` is good. ``length``: the query's. NaN is larger than every number.
_SOUND = {
    "cosine": "found <= 2",
    "dotproduct": (
        "abs(found) BETWEEN 1e-30 AND 3.5e38"
        " OR abs(found) < 1e-30 AND vector_norm(vector) * %(length)s NOT BETWEEN 1e-100 AND 1e-25"
    ),
    "euclidean": f"found BETWEEN {SHORTEST} AND 3.5e38",
}
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


def check_lengths(records: pa.Table, spec: NamespaceSpec) -> None:
    """``InputError`` where pgvector's cosine would be noise: see law 4."""
    vectors = as_one(records.column("vector")).flatten().to_numpy().reshape(-1, spec.dimension)
    short = np.flatnonzero(np.einsum("ij,ij->i", vectors, vectors) < 2 * SHORTEST**2)
    lengths = np.linalg.norm(vectors[short].astype(np.float64), axis=1)
    bad = np.flatnonzero((lengths > 0) & (lengths < SHORTEST))
    if spec.metric == "cosine" and bad.size:
        name = records.column("id")[int(short[bad[0]])]
        raise InputError(
            f"the vector of {name} has length {lengths[bad[0]]:.1e}: pgvector has no cosine below {SHORTEST:g}",
            fix="Scale the vectors, or use another metric",
        )


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
    asked = query.astype(np.float64)
    length = float(np.linalg.norm(asked))
    if search.metric == "cosine" and 0 < length < SHORTEST:
        asked /= length
    rows = session.rows(statement, {**parameters, "query": json.dumps(asked.tolist()), "length": length})
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


def _measured(metric: str, source: str) -> str:
    """Ids and distances of ``source`` (id, vector, found: by the operator, evaluated once): always numbers."""
    components = "unnest(vector::real[]::float8[], %(query)s::vector::real[]::float8[])"
    exactly = f"(SELECT {_EXACTLY[metric]} FROM {components} AS both_of (x, y))"
    return (
        f"SELECT id, CASE WHEN {_SOUND[metric]} THEN found ELSE {exactly} END AS distance FROM ({source}) AS measured"
    )


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
    # OFFSET keeps PostgreSQL from writing the operator out wherever ``found`` is named.
    source = f"SELECT id, vector, {_found(search.metric)} AS found FROM {{table}} WHERE {condition} OFFSET 0"
    nearest = f"{_measured(search.metric, source)} ORDER BY distance, id LIMIT {int(search.top_k)}"
    return _told(search, nearest), parameters


def _index_statement(search: Search) -> tuple[sql.Composed, dict[str, Any]]:
    condition, parameters = _condition(search)
    # The index answers this very expression, and no other.
    found = _found(search.metric)
    source = f"SELECT id, vector, {found} AS found FROM {{table}} WHERE {condition} ORDER BY {found} LIMIT {int(search.top_k)}"
    return _told(search, _measured(search.metric, source)), parameters


def _found(metric: str) -> str:
    return f"vector {OPERATORS[metric]} %(query)s::vector"
