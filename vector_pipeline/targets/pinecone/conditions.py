"""Filters in Pinecone's language, so that the meaning of ``targets.filters`` holds over what a record can hold (``values``).

Laws
----
1. A translation selects what ``filters.matches`` does, whatever Pinecone itself makes of a field that is missing: a negation says
   beside it that the field may be missing. Values of several types are asked for one type at a time; ``$in`` takes no booleans.
2. A field is native in some records and tokens in others: every test asks both.
3. What is always or never true is folded: Pinecone refuses an empty ``$in``.
4. Lists that are not all strings are never ordered (``Capabilities.orders_lists``).
"""

from collections.abc import Iterable
from typing import Any

from vector_pipeline.targets.filters import All, Any_, AnyOf, Exists, Node, Order, Scalar
from vector_pipeline.targets.pinecone.values import TOKENS, token

MOST_VALUES = 10_000
"""Of one ``$in``: https://docs.pinecone.io/reference/api/database-limits (November 2026)."""

Condition = dict[str, Any] | bool
"""A filter of Pinecone's, or what is always so."""


def translate(node: Node) -> Condition:
    """A parsed filter in Pinecone's language."""
    match node:
        case All(parts):
            return both(translate(part) for part in parts)
        case Any_(parts):
            return either(translate(part) for part in parts)
        case Exists(field, True):
            return either([{field: {"$exists": True}}, *_among(TOKENS, [token(field)])])
        case Exists(field, _):
            return both([{field: {"$exists": False}}, *_not_among(TOKENS, [token(field)])])
        case AnyOf(field, values, False):
            return either([*_hits(field, values), *_among(TOKENS, _tokens(field, values))])
        case AnyOf(field, values, _):
            return both([*_misses(field, values), *_not_among(TOKENS, _tokens(field, values))])
        case Order(field, operator, bound):
            return {field: {f"${operator}": bound}}


def both(parts: Iterable[Condition]) -> Condition:
    """All of them."""
    found = [part for part in parts if part is not True]
    if any(part is False for part in found):
        return False
    if len(found) < 2:
        return found[0] if found else True
    return {"$and": found}


def either(parts: Iterable[Condition]) -> Condition:
    """Any of them."""
    found = [part for part in parts if part is not False]
    if any(part is True for part in found):
        return True
    if len(found) < 2:
        return found[0] if found else False
    return {"$or": found}


def among(field: str, values: list[str]) -> Condition:
    """A field holds one of these strings."""
    return either(_among(field, values))


def _tokens(field: str, values: tuple[Scalar, ...]) -> list[str]:
    return sorted({token(field, value) for value in values})


def _strings(values: tuple[Scalar, ...]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _numbers(values: tuple[Scalar, ...]) -> list[float]:
    return list(dict.fromkeys(float(value) for value in values if not isinstance(value, str | bool)))


def _booleans(values: tuple[Scalar, ...]) -> list[bool]:
    return list(dict.fromkeys(value for value in values if isinstance(value, bool)))


def _hits(field: str, values: tuple[Scalar, ...]) -> list[Condition]:
    """Tests of a native field, one type at a time. ``$in`` takes no booleans."""
    flags: list[Condition] = [{field: {"$eq": value}} for value in _booleans(values)]
    return [*_among(field, _strings(values)), *_among(field, _numbers(values)), *flags]


def _misses(field: str, values: tuple[Scalar, ...]) -> list[Condition]:
    flags = [_or_missing(field, {"$ne": value}) for value in _booleans(values)]
    return [*_not_among(field, _strings(values)), *_not_among(field, _numbers(values)), *flags]


def _among(field: str, values: list[str] | list[float]) -> list[Condition]:
    return [{field: {"$in": some}} for some in _cut(values)]


def _not_among(field: str, values: list[str] | list[float]) -> list[Condition]:
    return [_or_missing(field, {"$nin": some}) for some in _cut(values)]


def _or_missing(field: str, test: dict[str, Any]) -> Condition:
    """Law 1."""
    return {"$or": [{field: {"$exists": False}}, {field: test}]}


def _cut(values: list[str] | list[float]) -> list[list[Any]]:
    return [values[start : start + MOST_VALUES] for start in range(0, len(values), MOST_VALUES)]
