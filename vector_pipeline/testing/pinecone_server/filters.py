"""Pinecone's metadata filters, evaluated over columns.

A bare value is ``$eq``; several keys, and several operators on one, are ``$and``. Numbers compare as 64-bit floats; a boolean
equals no number; ``$gt`` and its kin order numbers only. A list of strings matches ``$eq`` and ``$in`` when any element does.
``$in`` and ``$nin`` take strings and numbers, one at least: no booleans.
``$ne`` and ``$nin`` are their opposites, so they match records without the field too. Anything else is refused with 400.
Source: https://docs.pinecone.io/guides/search/filter-by-metadata (November 2026).
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson

from vector_pipeline.testing.pinecone_server.columns import Mask, Scalar
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.search import Block

MAX_VALUES = 10_000
"""Most values of ``$in`` and ``$nin``."""

_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_KNOWN = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists"


class Condition(Protocol):
    """A filter: which live records pass."""

    def mask(self, block: Block) -> Mask: ...


@dataclass(frozen=True, slots=True)
class _Everything:
    def mask(self, block: Block) -> Mask:
        return block.live()


@dataclass(frozen=True, slots=True)
class _AnyOf:
    field: str
    values: tuple[Scalar, ...]
    negated: bool

    def mask(self, block: Block) -> Mask:
        found = block.column(self.field).any_of(self.values, block.used)
        return np.asarray(block.live() & (~found if self.negated else found))


@dataclass(frozen=True, slots=True)
class _Order:
    field: str
    test: str
    bound: float

    def mask(self, block: Block) -> Mask:
        found = _ORDER[self.test](block.column(self.field).numbers(block.used), self.bound)
        return np.asarray(np.logical_and(block.live(), found))


@dataclass(frozen=True, slots=True)
class _Exists:
    field: str
    present: bool

    def mask(self, block: Block) -> Mask:
        return np.asarray(block.live() & (block.column(self.field).there(block.used) == self.present))


@dataclass(frozen=True, slots=True)
class _Junction:
    parts: tuple[Condition, ...]
    every: bool

    def mask(self, block: Block) -> Mask:
        join = np.logical_and if self.every else np.logical_or
        return np.asarray(join.reduce([part.mask(block) for part in self.parts]))


def read_filter(value: Any) -> Condition:
    """A filter of a request, ready to be evaluated; ``{}`` is every record. Malformed: ``ApiError`` 400."""
    return _Everything() if value == {} else _object(value)


def _object(value: Any) -> Condition:
    if not isinstance(value, dict) or not value:
        raise _bad(f"expected an object with at least one key, got {_shown(value)}")
    parts: list[Condition] = []
    for key, inner in value.items():
        if key in ("$and", "$or"):
            if not isinstance(inner, list) or not inner:
                raise _bad(f"the {key} operator must be followed by a non-empty list of filters, got {_shown(inner)}")
            parts.append(_Junction(tuple(_object(part) for part in inner), key == "$and"))
        elif not key or key.startswith("$"):
            raise _bad(f"{key!r} is neither a field nor $and or $or")
        elif isinstance(inner, dict):
            if not inner:
                raise _bad(f"field {key} has no operator; there are {_KNOWN}")
            parts.extend(_operator(key, name, operand) for name, operand in inner.items())
        else:
            parts.append(_AnyOf(key, (_scalar("$eq", inner),), False))
    return parts[0] if len(parts) == 1 else _Junction(tuple(parts), True)


def _operator(field: str, name: str, operand: Any) -> Condition:
    if name in ("$eq", "$ne"):
        return _AnyOf(field, (_scalar(name, operand),), name == "$ne")
    if name in ("$in", "$nin"):
        if not isinstance(operand, list) or not operand or any(isinstance(entry, bool) for entry in operand):
            raise _bad(
                f"the {name} operator must be followed by a non-empty list of strings or numbers, got {_shown(operand)}"
                " instead"
            )
        if len(operand) > MAX_VALUES:
            raise _bad(f"the {name} operator takes at most {MAX_VALUES} values, got {len(operand)}")
        return _AnyOf(field, tuple(_scalar(name, entry) for entry in operand), name == "$nin")
    if name in _ORDER:
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise _bad(f"the {name} operator must be followed by a number, got {_shown(operand)} instead")
        return _Order(field, name, float(operand))
    if name == "$exists":
        if not isinstance(operand, bool):
            raise _bad(f"the $exists operator must be followed by a boolean, got {_shown(operand)} instead")
        return _Exists(field, operand)
    raise _bad(f"{name} is not a valid operator; there are {_KNOWN}")


def _scalar(name: str, value: Any) -> Scalar:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    raise _bad(f"the {name} operator must be followed by a string, boolean or number, got {_shown(value)} instead")


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _bad(text: str) -> ApiError:
    return ApiError("INVALID_ARGUMENT", f"Invalid filter: {text}")
