"""Every operator against every kind of value: what a careless translation gets wrong, by name and not by luck."""

from collections.abc import Iterator
from typing import Any

SCALARS: list[Any] = [
    "", "1", "true", "x", "X", "🙂", True, False, 0, 1, -1, 1.0, 0.5, -0.0, 2**53, 2**63, 1e300, 0.1 + 0.2, 0.3, 16777217,
    16777216, 8.67682783220776e229, 5e-324,
]  # fmt: skip
"""Near each other where it matters: case, text and number, boolean and number, 32-bit floats, the last digit."""
ROWS: list[dict[str, Any]] = [
    {},
    *({"a": value, "ü/~": 7} for value in SCALARS),
    *({"a": [value]} for value in SCALARS),
    *({"a": [value, "y", None, 3, True, [1], {"deep": 1}], "$": value} for value in SCALARS[:12]),
    {"a": None}, {"a": []}, {"a": [None]}, {"a": {"deep": [1]}}, {"a": [1, 2.5]}, {"a": ["x", "y"], "b": 1}, {"b": "x"},
    {"$": "x", "a.b": "x", "0": 0},
]  # fmt: skip
"""Metadata of the records that the filters below select from."""


def conditions(*, orders_lists: bool) -> Iterator[dict[str, Any]]:
    """Filters over ``ROWS``; orderings only where no list stands, for targets that do not order lists."""
    for value in SCALARS:
        for operator in ("$eq", "$ne"):
            yield {"a": {operator: value}}
        if not isinstance(value, str | bool):
            for operator in ("$gt", "$gte", "$lt", "$lte"):
                yield {"a" if orders_lists else "ü/~": {operator: value}}
    some = ["x", 1, 0.3, True]
    for operator in ("$in", "$nin"):
        for values in (SCALARS, some, some[::-1], [], ["nowhere", *some]):
            yield {"a": {operator: values}}
    for field in ("a", "b", "a.b", "0", "ü/~", "nowhere"):
        for test in ({"$exists": True}, {"$exists": False}, "x", {"$ne": "x"}):
            yield {field: test}
    for bound in (6, 7, 8):
        for operator in ("$gt", "$gte", "$lt", "$lte"):
            yield {"ü/~": {operator: bound}}
    yield {"$or": [{"a": "x"}, {"b": {"$exists": True}}, {"$and": [{"ü/~": 7}, {"a": {"$in": [1, 0.5]}}]}]}
    yield {"a": {"$ne": "x"}, "ü/~": 7}
