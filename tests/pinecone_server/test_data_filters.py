"""Filters mean what Pinecone says: against a reference of a few lines, and over HTTP."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pinecone_server.data_world import Plane, data_plane
from vector_pipeline.testing.pinecone_server.filters import read_filter
from vector_pipeline.testing.pinecone_server.search import Block

FIELDS = st.sampled_from(["a", "b", "a.b"])
WORDS = st.sampled_from(["x", "y", "", "true", "1"])
NUMBERS = st.sampled_from([0, 1, -1, 2.5, 2**53 - 1])
SCALARS = WORDS | NUMBERS | st.booleans()
METADATA = st.none() | st.dictionaries(FIELDS, SCALARS | st.lists(WORDS, max_size=3))
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), SCALARS),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(WORDS | NUMBERS, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), NUMBERS),
    st.tuples(st.just("$exists"), st.booleans()),
)
CLAUSES = st.dictionaries(
    FIELDS, SCALARS | st.lists(OPERATIONS, min_size=1, max_size=3).map(dict), min_size=1, max_size=2
)
FILTERS = st.recursive(
    CLAUSES,
    lambda inner: st.dictionaries(
        st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3), min_size=1
    ),
)


def passes(condition: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """The reference."""
    return all(_clause(key, value, metadata) for key, value in condition.items())


def _clause(key: str, value: Any, metadata: dict[str, Any]) -> bool:
    if key == "$and":
        return all(passes(part, metadata) for part in value)
    if key == "$or":
        return any(passes(part, metadata) for part in value)
    operations = value if isinstance(value, dict) else {"$eq": value}
    return all(_holds(name, operand, metadata.get(key)) for name, operand in operations.items())


def _holds(name: str, operand: Any, value: Any) -> bool:
    elements = value if isinstance(value, list) else [value]
    match name:
        case "$eq":
            return any(_equal(each, operand) for each in elements)
        case "$in":
            return any(_equal(each, one) for each in elements for one in operand)
        case "$ne":
            return not _holds("$eq", operand, value)
        case "$nin":
            return not _holds("$in", operand, value)
        case "$exists":
            return (value is not None) == operand
    numbers = [each for each in elements if isinstance(each, int | float) and not isinstance(each, bool)]
    compare = {"$gt": float.__gt__, "$gte": float.__ge__, "$lt": float.__lt__, "$lte": float.__le__}[name]
    return any(compare(float(each), float(operand)) for each in numbers)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        return type(left) is type(right) and bool(left == right)
    return left is not None and float(left) == float(right)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=8), FILTERS, st.lists(METADATA, max_size=8), st.sets(st.integers(0, 7)))
def test_a_filter_passes_what_the_reference_passes(
    first: list[Any], condition: dict[str, Any], second: list[Any], gone: set[int]
) -> None:
    """Before and after records are written over and deleted, so that columns are kept up to date and not only built."""
    block, kept = Block(2), {}

    def put(values: list[Any]) -> None:
        ids = [str(number) for number in range(len(values))]
        floats = [value and {key: _as_kept(each) for key, each in value.items()} for value in values]
        block.put(ids, np.ones((len(ids), 2), np.float32), floats, [0] * len(ids))
        kept.update(zip(ids, values, strict=True))

    def found() -> set[str | None]:
        return {block.ids[slot] for slot in np.flatnonzero(read_filter(condition).mask(block))}

    put(first)
    assert found() == {name for name, metadata in kept.items() if passes(condition, metadata or {})}
    put(second)
    block.remove([str(number) for number in gone])
    kept = {name: metadata for name, metadata in kept.items() if int(name) not in gone}
    assert found() == {name for name, metadata in kept.items() if passes(condition, metadata or {})}


def _as_kept(value: Any) -> Any:
    return value if isinstance(value, str | bool | list) else float(value)


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with data_plane() as found:
        found.put(
            "n",
            ["comedy", "drama", "none", "old"],
            [
                {"genre": ["comedy", "documentary"], "year": 2020},
                {"genre": "drama", "year": 2019.5, "seen": True},
                {},
                {"year": 1950},
            ],
        )
        yield found


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"genre": "comedy"}, ["comedy"]),
        ({"genre": {"$in": ["documentary", "action"]}}, ["comedy"]),
        ({"$and": [{"genre": "comedy"}, {"genre": "documentary"}]}, ["comedy"]),
        ({"genre": {"$ne": "comedy"}}, ["drama", "none", "old"]),
        ({"genre": {"$nin": ["comedy", "drama"]}}, ["none", "old"]),
        ({"year": {"$gt": 2019, "$lt": 2020}}, ["drama"]),
        ({"seen": True}, ["drama"]),
        ({"seen": 1}, []),
        ({"genre": {"$exists": False}}, ["none", "old"]),
        ({"$or": [{"year": {"$lte": 1950}}, {"seen": {"$eq": True}}]}, ["drama", "old"]),
        ({"year": {"$in": [*range(9_999), 2020]}}, ["comedy", "old"]),
        ({}, ["comedy", "drama", "none", "old"]),
    ],
)
def test_over_http(plane: Plane, condition: dict[str, Any], ids: list[str]) -> None:
    assert plane.matching("n", condition) == ids
    found = plane.call("/vectors/fetch_by_metadata", {"namespace": "n", "filter": condition})
    assert list(found.json()["vectors"]) == ids


@pytest.mark.parametrize(
    "condition",
    [
        7,
        [],
        "a",
        {"a": {}},
        {"a": None},
        {"a": ["x"]},
        {"a": {"$eq": None}},
        {"a": {"$eq": ["x"]}},
        {"a": {"$eq": {"b": 1}}},
        {"a": {"b": 1}},
        {"a": {"$regex": "x"}},
        {"a": {"$in": "x"}},
        {"a": {"$in": []}},
        {"a": {"$nin": []}},
        {"a": {"$in": [True]}},
        {"a": {"$nin": ["x", False]}},
        {"a": {"$in": [None]}},
        {"a": {"$in": [["x"]]}},
        {"a": {"$in": list(range(10_001))}},
        {"a": {"$nin": {}}},
        {"a": {"$gt": "x"}},
        {"a": {"$gt": True}},
        {"a": {"$lte": [1]}},
        {"a": {"$exists": 1}},
        {"$and": []},
        {"$or": {"a": 1}},
        {"$and": [7]},
        {"$and": [{}]},
        {"$not": {"a": 1}},
        {"$gt": 3},
        {"": 3},
    ],
)
def test_what_is_no_filter_is_refused(plane: Plane, condition: Any) -> None:
    query = {"namespace": "n", "vector": [1, 1, 1, 1], "topK": 1}
    for path, body in (
        ("/query", query),
        ("/vectors/fetch_by_metadata", {"namespace": "n"}),
        ("/vectors/delete", {"namespace": "n"}),
        ("/vectors/update", {"namespace": "n", "setMetadata": {"x": 1}}),
    ):
        assert plane.refused(path, {**body, "filter": condition})
    assert plane.matching("n", {"x": {"$exists": True}}) == []
    assert len(plane.ids("n")) == 4
