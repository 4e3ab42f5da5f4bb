"""Filters in Chroma's language (``where``), over records as ``values`` holds them.

Laws
----
1. A translation selects what ``filters.matches`` does, or more where ``Condition.exact`` is False: then whoever asks applies
   ``matches`` to what comes back.
2. Strings and booleans are asked for natively, numbers as whole numbers, lists and existence by tokens (``values``).
3. Chroma has no "not", and ``$ne``, ``$nin`` and ``$not_contains`` hold for a field that is missing: as they must.
4. What is always or never true is folded: Chroma refuses an empty ``$in`` and an ``$and`` of one.
5. Chroma makes one SQL expression of a condition: SQLite allows it a depth of 1,000 and 32,766 values, so junctions are balanced
   trees, and of very many values only scalars are asked for, and lists whatever they hold: the rest is left to law 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vector_pipeline.targets.chroma.decoding import ADDED, REMOVED
from vector_pipeline.targets.chroma.values import (
    TOKENS,
    largest_key,
    list_token,
    native_key,
    number_key,
    smallest_key,
    token,
    whole,
)
from vector_pipeline.targets.filters import All, Any_, AnyOf, Exists, Node, Order, Scalar

MOST_TESTS = 300
"""Of one condition: each is a subquery of its own, and the time of many grows with their square."""
MOST_VALUES = 10_000
"""Of one condition."""

Where = dict[str, Any] | bool
"""A condition of Chroma's, or what is always so."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What Chroma is asked, and whether that is all there is to ask."""

    where: Where = True
    exact: bool = True


def condition(node: Node | None, version: int | None) -> Condition:
    """A parsed filter, and the interval that a version sees, as one condition."""
    interval: list[Where] = [] if version is None else [{ADDED: {"$lte": version}}, {REMOVED: {"$gt": version}}]
    if node is None:
        return Condition(_all(interval))
    by_token = _tests(node, by_token=True) <= MOST_TESTS
    if not by_token and (_tests(node, by_token=False) > MOST_TESTS or _values(node) > MOST_VALUES):
        return Condition(_all(interval), exact=False)
    return Condition(_all([*interval, _where(node, by_token=by_token)]), exact=by_token)


def _tests(node: Node, *, by_token: bool) -> int:
    match node:
        case All(parts) | Any_(parts):
            return sum(_tests(part, by_token=by_token) for part in parts)
        case AnyOf(_, values) if by_token:
            return 1 + len(values)
        case _:
            return 2


def _values(node: Node) -> int:
    match node:
        case All(parts) | Any_(parts):
            return sum(_values(part) for part in parts)
        case AnyOf(_, values):
            return len(values)
        case _:
            return 1


def _where(node: Node, *, by_token: bool) -> Where:
    """``by_token``: values are looked for in lists, one by one; else every list may hold them."""
    match node:
        case All(parts):
            return _all([_where(part, by_token=by_token) for part in parts])
        case Any_(parts):
            return _any([_where(part, by_token=by_token) for part in parts])
        case Exists(field, present):
            return {TOKENS: {"$contains" if present else "$not_contains": token(field)}}
        case AnyOf(field, values, True):
            tokens = _tokens(field, values) if by_token else []
            return _all([*_scalars(field, values, "$nin"), *({TOKENS: {"$not_contains": one}} for one in tokens)])
        case AnyOf(field, values, _):
            tokens = _tokens(field, values) if by_token or not values else [list_token(field)]
            return _any([*_scalars(field, values, "$in"), *({TOKENS: {"$contains": one}} for one in tokens)])
        case Order(field, operator, bound):
            outermost = largest_key(field) if operator in ("gt", "gte") else smallest_key(field)
            return _any([{name: {f"${operator}": whole(bound)}} for name in (number_key(field), outermost)])


def _scalars(field: str, values: Sequence[Scalar], operator: str) -> list[Where]:
    return [{name: {operator: group}} for name, group in _by_type(field, values)]


def _by_type(field: str, values: Sequence[Scalar]) -> list[tuple[str, list[Scalar]]]:
    """Keys and what they are compared with: Chroma wants one type in a list, and a boolean is an integer to Python."""
    strings: list[Scalar] = [value for value in values if isinstance(value, str)]
    flags: list[Scalar] = [value for value in values if isinstance(value, bool)]
    numbers: list[Scalar] = [whole(float(value)) for value in values if not isinstance(value, str | bool)]
    name = native_key(field)
    asked = ((name, strings), (name, flags), (number_key(field), numbers))
    return [(key, list(dict.fromkeys(group))) for key, group in asked if group]


def _tokens(field: str, values: Sequence[Scalar]) -> list[str]:
    return list(dict.fromkeys(token(field, value) for value in values))


def _all(parts: list[Where]) -> Where:
    if any(part is False for part in parts):
        return False
    return _joined("$and", [part for part in parts if isinstance(part, dict)], otherwise=True)


def _any(parts: list[Where]) -> Where:
    if any(part is True for part in parts):
        return True
    return _joined("$or", [part for part in parts if isinstance(part, dict)], otherwise=False)


def _joined(operator: str, parts: list[dict[str, Any]], *, otherwise: bool) -> Where:
    """A balanced tree of junctions (law 5)."""
    if not parts:
        return otherwise
    while len(parts) > 1:
        pairs = [parts[start : start + 8] for start in range(0, len(parts), 8)]
        parts = [pair[0] if len(pair) == 1 else {operator: pair} for pair in pairs]
    return parts[0]
