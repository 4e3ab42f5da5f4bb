"""Filters select on a real Chroma what the reference meaning selects, and values come back as they were."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.targets.chroma.conditions import MOST_TESTS, MOST_VALUES, condition
from vector_pipeline.targets.chroma.decoding import metadata_of
from vector_pipeline.targets.chroma.values import (
    encode_metadata,
    native_key,
    replacing,
    replacing_users,
    whole,
)
from vector_pipeline.targets.filters import matches, parse_filter
from vector_pipeline.testing.strategies import FIELDS, NUMBERS, TEXTS, filters, metadata
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

SCALARS: list[Any] = [
    "", "1", "true", "x", "a\x00b", "🙂", True, False, 0, 1, -1, 1.0, 0.5, -0.0, 2**53, 2**53 + 1, 2**63, 10**400, 1e300,
    0.1 + 0.2, 0.3, 8.67682783220776e229, 5e-324,
]  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {},
    *({"a": value, "ü/~": 7} for value in SCALARS),
    *({"a": [value]} for value in SCALARS),
    *({"a": [value, "x", None, 3, True, [1], {"deep": 1}], "$": value} for value in SCALARS),
    {"a": None}, {"a": []}, {"a": [None]}, {"a": {"deep": [1]}}, {"a": [1, 2.5]}, {"a": ["x", "y"], "b": 1},
    {"#document": "x", "chroma:document": "x", "": 1, "$": "x", "a.b": "x", "0": 0},
]  # fmt: skip
IDS = [f"r#{number:03d}" for number in range(len(ROWS))]
ONCE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture
def rows(target: ChromaTarget) -> Namespace:
    space = Namespace(target)
    space.create()
    space.upsert(make_records(IDS, np.repeat(unit_vectors(1), len(IDS), axis=0), metadata=ROWS))
    return space


def selected(space: Namespace, given: dict[str, Any], *, exact: bool) -> list[str]:
    return sorted(space.hits(unit_vectors(1), top_k=len(IDS), filter=given, exact=exact))


def meant(given: dict[str, Any]) -> list[str]:
    node = parse_filter(given)
    return [name for name, row in zip(IDS, ROWS, strict=True) if matches(node, json.loads(json.dumps(row)))]


@pytest.mark.slow
def test_every_operator_with_every_value(rows: Namespace) -> None:
    values = [value for value in SCALARS if value != 10**400]
    for value in values:
        for operator in ("$eq", "$ne"):
            assert selected(rows, {"a": {operator: value}}, exact=True) == meant({"a": {operator: value}}), value
        if not isinstance(value, str | bool):
            for operator in ("$gt", "$gte", "$lt", "$lte"):
                given = {"a": {operator: value}}
                assert selected(rows, given, exact=True) == meant(given), given
    for given in ({"a": {"$in": values}}, {"a": {"$nin": values}}, {"a": {"$in": []}}, {"a": {"$nin": []}}):
        for exact in (True, False):
            assert selected(rows, given, exact=exact) == meant(given), given
    for field in ("a", "b", "#document", "chroma:document", "a.b", "0", "nowhere"):
        for given in ({field: {"$exists": True}}, {field: {"$exists": False}}, {field: "x"}, {field: {"$ne": "x"}}):
            assert selected(rows, given, exact=True) == meant(given), given


def test_what_nobody_touched_agrees_with_itself(rows: Namespace) -> None:
    assert [row["metadata_hash"] for row in rows.marks()] == [f"m-{name}" for name in IDS]
    found = rows.fetched(IDS)
    for name, row in zip(IDS, ROWS, strict=True):
        assert canonical_json(found[name]["metadata"]) == canonical_json(json.loads(json.dumps(row)))


@settings(max_examples=60, deadline=None, suppress_health_check=ONCE)
@given(given=filters(TEXTS))
def test_filters_mean_what_they_say(rows: Namespace, given: dict[str, Any]) -> None:
    assert selected(rows, given, exact=True) == meant(given)


@pytest.mark.slow
def test_a_great_many_values(rows: Namespace) -> None:
    for count in (MOST_TESTS + 1, MOST_VALUES + 1):
        many = ["x", 0.5, 1, *(f"value {number}" for number in range(count))]
        for operator in ("$in", "$nin"):
            given = {"a": {operator: many}}
            assert selected(rows, given, exact=True) == meant(given), (operator, count)
    for parts in (60, 400):
        either = {"$or": [{"a": {"$in": [f"{part}-{n}" for n in range(20)]}} for part in range(parts)] + [{"a": "x"}]}
        assert selected(rows, either, exact=True) == meant(either)


@settings(max_examples=300, deadline=None)
@given(row=metadata(TEXTS))
def test_metadata_comes_back(row: dict[str, Any]) -> None:
    native = encode_metadata(json.dumps(row))
    read = metadata_of(native)
    assert read.sound
    assert canonical_json(json.loads(read.text)) == canonical_json(read.value) == canonical_json(row)


def test_what_a_chroma_client_sees() -> None:
    row = {"title": "A page", "year": 2026, "share": 0.5, "draft": False, "tags": ["x", "y"], "pages": [1, 2]}
    native = encode_metadata(json.dumps(row))
    assert {key: native[key] for key in row} == row
    assert "vp_metadata" not in native
    assert all(native_key(key) == key for key in FIELDS if key)


def test_keys_that_go_are_set_to_none() -> None:
    old = {"gone": 1, "kept": 2, "vp_number:gone": 1, "vp_added_in": 3, "vp_metadata_hash": "m", "vp_metadata": "{}"}
    assert replacing({"kept": 5}, old) == {**dict.fromkeys(old), "kept": 5}
    assert replacing({"kept": 5}, None) == {"kept": 5}
    gone = dict.fromkeys(["gone", "vp_number:gone", "vp_metadata"])
    assert replacing_users({"kept": 5}, old) == {**gone, "kept": 5}


@given(a=NUMBERS, b=NUMBERS)
def test_whole_numbers_keep_the_order(a: float, b: float) -> None:
    assume(all(math.isfinite(float(number)) for number in (a, b)))
    one, other = float(a), float(b)
    assert (whole(one) < whole(other)) == (one < other)
    assert (whole(one) == whole(other)) == (one == other)
    assert -(2**63) <= whole(-math.inf) < whole(one) < whole(math.inf) < 2**63


@given(given=filters(TEXTS), version=st.none() | st.integers(0, 9))
def test_conditions_are_what_chroma_takes(given: dict[str, Any], version: int | None) -> None:
    from chromadb.api.types import validate_where

    where = condition(parse_filter(given), version).where
    if isinstance(where, dict):
        validate_where(where)
