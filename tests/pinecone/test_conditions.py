"""A filter in Pinecone's language selects what the reference meaning does: at the server, and at any service that differs from it
in what its documentation leaves open.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vector_pipeline.targets.filters import All, Any_, Node, Order, matches, parse_filter
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.conditions import translate
from vector_pipeline.targets.pinecone.encoding import metadata_of
from vector_pipeline.testing.strategies import PLAIN_TEXTS, filters, metadata
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors


def orders_a_list(node: Node, row: dict[str, Any]) -> bool:
    """What ``orders_lists=False`` leaves out."""
    match node:
        case All(parts) | Any_(parts):
            return any(orders_a_list(part, row) for part in parts)
        case Order(field, _, _):
            return isinstance(row.get(field), list)
        case _:
            return False


def passes(condition: dict[str, Any], record: dict[str, Any], open_question: bool) -> bool:
    """Pinecone's language as documented. ``open_question`` answers what is not: a negation of a field that is missing."""
    for field, test in condition.items():
        if field == "$and":
            good = all(passes(part, record, open_question) for part in test)
        elif field == "$or":
            good = any(passes(part, record, open_question) for part in test)
        else:
            good = all(_one(record.get(field), operator, operand, open_question) for operator, operand in test.items())
        if not good:
            return False
    return True


def _one(value: Any, operator: str, operand: Any, open_question: bool) -> bool:
    if operator == "$exists":
        return (value is not None) == operand
    if value is None:
        return open_question if operator in ("$ne", "$nin") else False
    wanted = operand if isinstance(operand, list) else [operand]
    assert wanted, "Pinecone refuses an empty list"
    assert len({isinstance(one, bool) or type(one) for one in wanted}) == 1, "one type at a time"
    if operator in ("$in", "$nin"):
        assert not isinstance(wanted[0], bool), "$in takes no booleans"
    held = value if isinstance(value, list) else [value]
    hit = any(_same(one, other) for one in held for other in wanted)
    match operator:
        case "$eq" | "$in":
            return hit
        case "$ne" | "$nin":
            return not hit
        case _:
            if isinstance(value, bool | str | list):
                return False
            compare = {"$gt": float.__gt__, "$gte": float.__ge__, "$lt": float.__lt__, "$lte": float.__le__}[operator]
            return bool(compare(float(value), float(operand)))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, bool | str) or isinstance(b, bool | str):
        return type(a) is type(b) and bool(a == b)
    return float(a) == float(b)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(row=metadata(), condition=filters(), open_question=st.booleans())
def test_whatever_a_service_makes_of_what_is_missing(
    row: dict[str, Any], condition: dict[str, Any], open_question: bool
) -> None:
    node = parse_filter(condition)
    if orders_a_list(node, row):
        return
    (record,) = metadata_of(make_records(["a"], metadata=[row]))
    translated = translate(node)
    found = translated if isinstance(translated, bool) else passes(translated, record, open_question)
    assert found == matches(node, row)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    rows=st.lists(metadata(PLAIN_TEXTS), min_size=20, max_size=20),
    conditions=st.lists(filters(PLAIN_TEXTS), min_size=8, max_size=8),
)
def test_the_server_selects_the_same(
    filtered: Namespace, rows: list[dict[str, Any]], conditions: list[dict[str, Any]]
) -> None:
    ids = [f"row#{index:02d}" for index in range(len(rows))]
    filtered.upsert(make_records(ids, metadata=rows))
    for condition in conditions:
        node = parse_filter(condition)
        sure = {name: row for name, row in zip(ids, rows, strict=True) if not orders_a_list(node, row)}
        found = set(filtered.hits(unit_vectors(1), top_k=100, filter=condition))
        assert found & sure.keys() == {name for name, row in sure.items() if matches(node, row)}, condition


@pytest.fixture
def filtered(open_target: Callable[..., PineconeTarget]) -> Namespace:
    space = Namespace(open_target())
    space.create()
    return space
