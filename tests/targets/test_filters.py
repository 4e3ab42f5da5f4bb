"""The filter language: its meaning, its mistakes, and that DuckDB selects the same records."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.errors import InputError
from vector_pipeline.targets.filters import matches, parse_filter, to_duckdb
from vector_pipeline.testing.strategies import filters, metadata


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(rows=st.lists(metadata(), min_size=1, max_size=6), condition=filters())
def test_duckdb_selects_what_the_reference_does(
    con: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]], condition: dict[str, Any]
) -> None:
    node = parse_filter(condition)
    sql, parameters = to_duckdb(node)
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    found = con.execute(
        f"SELECT {sql} FROM (SELECT unnest($rows::VARCHAR[]) AS metadata)", {"rows": texts, **parameters}
    ).fetchall()
    assert [row[0] for row in found] == [matches(node, row) for row in rows]


@pytest.mark.parametrize(
    ("condition", "metadata", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": {"$ne": 1}}, {}, True),
        ({"a": {"$ne": 1}}, {"a": [2, 1]}, False),
        ({"a": {"$nin": [1, 2]}}, {"a": [3]}, True),
        ({"a": {"$in": []}}, {"a": 1}, False),
        ({"a": {"$nin": []}}, {}, True),
        ({"a": {"$gt": 1, "$lt": 3}}, {"a": 2}, True),
        ({"a": {"$gt": 1}}, {"a": "2"}, False),
        ({"a": {"$gt": 1}}, {"a": ["x", 2]}, True),
        ({"a": {"$exists": False}}, {"a": None}, True),
        ({"a": {"$exists": True}}, {"a": []}, True),
        ({"a.b": 1}, {"a": {"b": 1}}, False),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
        ({"$or": [{"a": 1}, {"b": 2}]}, {"b": 2}, True),
        ({"$and": [{"a": 1}, {"b": 2}]}, {"b": 2}, False),
    ],
)
def test_meaning(condition: dict[str, Any], metadata: dict[str, Any], expected: bool) -> None:
    assert matches(parse_filter(condition), metadata) is expected


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ({}, "filter must be an object"),
        ([], "filter must be an object"),
        ({"a": {}}, "filter.a has no operator"),
        ({"a": {"$regex": "x"}}, "filter.a.$regex: unknown operator"),
        ({"$not": {"a": 1}}, "filter: '$not'"),
        ({"": 1}, "filter: ''"),
        ({3: 1}, "filter: 3"),
        ({"a": None}, "filter.a must be a string"),
        ({"a": [1]}, "filter.a must be a string"),
        ({"a": float("nan")}, "filter.a must be a string, a finite"),
        ({"a": 10**400}, "filter.a must be a string, a finite"),
        ({"a": {"$in": "xy"}}, "filter.a.$in must be a list"),
        ({"a": {"$in": [1, None]}}, "filter.a.$in[1]"),
        ({"a": {"$gt": "x"}}, "filter.a.$gt orders numbers"),
        ({"a": {"$lte": True}}, "filter.a.$lte orders numbers"),
        ({"a": {"$exists": 1}}, "filter.a.$exists must be true or false"),
        ({"$and": []}, "filter.$and must be a list"),
        ({"$or": [{"a": 1}, {"$or": [{"b": {"$x": 1}}]}]}, "filter.$or[1].$or[0].b.$x"),
        ({"vp_added_in": 3}, "filter: vp_added_in belongs"),
    ],
)
def test_a_mistake_is_named_with_its_path(condition: Any, path: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_filter(condition)
    assert str(caught.value).startswith(path)
