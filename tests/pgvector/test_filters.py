"""PostgreSQL selects the same records as the filter language's reference meaning, over metadata as it is stored there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vector_pipeline.targets.filters import matches, parse_filter
from vector_pipeline.targets.filters_postgres import STAND_IN, stored_text, to_postgres
from vector_pipeline.targets.pgvector.values import filterable
from vector_pipeline.testing.strategies import filters, metadata

AWKWARD = st.sampled_from(
    [
        10**400,
        -(10**400),
        2**70,
        0.30000000000000004,
        12345678901234567,
        [[1]],
        [5, ["x"]],
        "\ue000",
        "\ue0000",
        "\ue0001",
        "\x00",
        [],
    ]
)


MANY = st.builds(
    lambda operator, values, more: {"a": {operator: values + more}},
    st.sampled_from(["$in", "$nin"]),
    st.lists(
        st.sampled_from(["x", "\ue000", "\x00", "\ud800", 0, -0.0, 5, 2**70, 0.30000000000000004, True, False]),
        min_size=1,
    ),
    st.just([f"v{number}" for number in range(9)]),
)
"""So many values that they are looked up by another expression."""


@pytest.fixture(scope="module")
def connection(postgres_folder: Path) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(f"postgresql://postgres:@/postgres?host={postgres_folder}", autocommit=True) as opened:
        yield opened


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(metadata() | st.dictionaries(st.sampled_from(["a", "a\x00", "\ue000"]), AWKWARD), min_size=1, max_size=6),
    condition=filters() | MANY | st.builds(lambda key, value: {key: value}, st.sampled_from(["a", "a\x00", "\ue000"]),
                                  st.sampled_from(["\ue000", "\ue0000", "\x00", 0.30000000000000004, 2**70, {"$gt": 1e308}])),
)  # fmt: skip
@example(rows=[{"a": 10**400}, {"a": 1e308}], condition={"a": {"$gt": 1.7976931348623157e308}})
@example(rows=[{"a": "x"}], condition={"a": {"$ne": "\ud800"}})
@example(rows=[{"a": value} for value in (5, [5], [[5]], {"5": 5}, "5", [None, 5.0], [True], None)] + [{}],
         condition={"a": {"$nin": [5, *"abcdefghi"]}})  # fmt: skip
@example(rows=[{"a": 1.7976931348623157e308}], condition={"a": 1.7976931348623157e308})
@example(rows=[{"a": 5e-324}, {"a": 0}], condition={"a": {"$gt": 0}})
def test_postgres_selects_what_the_reference_does(
    connection: "psycopg.Connection[Any]", rows: list[dict[str, Any]], condition: dict[str, Any]
) -> None:
    node = parse_filter(condition)
    expression, parameters = to_postgres(node)
    texts = [filterable(json.dumps(row, ensure_ascii=False)) for row in rows]
    found = connection.execute(
        f"SELECT {expression} FROM unnest(%(rows)s::text[]::jsonb[]) WITH ORDINALITY AS t (metadata, n) ORDER BY n",  # type: ignore[arg-type]
        {"rows": texts, **parameters},
    ).fetchall()
    assert [row[0] for row in found] == [matches(node, row) for row in rows]


def test_many_values_are_not_compared_with_every_row(connection: "psycopg.Connection[Any]") -> None:
    """Compared one by one these take half a minute: the server would end the statement."""
    for operator, expected in (("$in", 3_000), ("$nin", 17_000)):
        values = [f"document-{number}" for number in range(3_000)]
        expression, parameters = to_postgres(parse_filter({"doc": {operator: values}}))
        rows = "SELECT jsonb_build_object('doc', 'document-' || n) AS metadata FROM generate_series(0, 19999) AS n"
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = '8s'")
            found = connection.execute(f"SELECT count(*) FROM ({rows}) AS rows WHERE {expression}", parameters)  # type: ignore[arg-type]
            assert found.fetchone() == (expected,)


@given(st.lists(st.text(st.sampled_from(f"a01\x00{STAND_IN}"), max_size=5), min_size=2, max_size=2, unique=True))
def test_no_two_strings_are_stored_as_one(pair: list[str]) -> None:
    first, second = map(stored_text, pair)
    assert first != second
    assert "\x00" not in first + second
