"""Pinecone's metadata filter language: one parser, one reference meaning, translations to DuckDB and PostgreSQL.

Laws
----
1. ``matches`` is the meaning. ``to_duckdb`` and ``to_postgres`` select the same records (property tests hold them to that).
2. Operators: ``$eq $ne $gt $gte $lt $lte $in $nin $exists $and $or``; a bare value is ``$eq``; several keys, and
   several operators on one key, are ``$and``.
3. Values are strings, finite numbers and booleans. Numbers compare as 64-bit floats, as Pinecone stores them; a boolean
   equals no number; ``$gt`` and its kin order numbers only.
4. A list in the metadata matches ``$eq``, ``$in`` and the orderings when any element does. ``$ne`` and ``$nin`` are
   their exact opposites: no element matches, or the field is missing. A JSON null is a missing field. An empty ``$in``
   matches nothing.
5. A field is a top-level key, whole: ``a.b`` is the key ``a.b``. No value and no key ever becomes SQL text.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import RESERVED_PREFIX

Scalar = str | int | float | bool
Ordering = Literal["gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """``$in`` and ``$eq``; negated, ``$nin`` and ``$ne``."""

    field: str
    values: tuple[Scalar, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """``$gt``, ``$gte``, ``$lt``, ``$lte``."""

    field: str
    operator: Ordering
    bound: float


@dataclass(frozen=True, slots=True)
class Exists:
    field: str
    present: bool


@dataclass(frozen=True, slots=True)
class All:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Any_:
    parts: "tuple[Node, ...]"


Node = AnyOf | Order | Exists | All | Any_

_COMPARE: dict[Ordering, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
_SYMBOL: dict[Ordering, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_OPERATORS = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists"


def parse_filter(mapping: Mapping[str, Any]) -> Node:
    """The filter as a frozen tree. ``InputError`` gives the path of the mistake."""
    return _parse_object(mapping, "filter")


def _parse_object(value: Any, path: str) -> Node:
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{path} must be an object with at least one key, not {_shown(value)}")
    parts: list[Node] = []
    for key, inner in value.items():
        if key in ("$and", "$or"):
            parts.append(_parse_junction(key, inner, f"{path}.{key}"))
        elif not isinstance(key, str) or not key or key.startswith("$"):
            raise InputError(f"{path}: {key!r} is neither a field nor $and or $or")
        elif key.startswith(RESERVED_PREFIX):
            raise InputError(f"{path}: {key} belongs to the pipeline", fix="Filter by version with `version`")
        else:
            parts.extend(_parse_field(key, inner, f"{path}.{key}"))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _parse_junction(key: str, value: Any, path: str) -> Node:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{path} must be a list of at least one filter, not {_shown(value)}")
    parts = tuple(_parse_object(part, f"{path}[{index}]") for index, part in enumerate(value))
    return All(parts) if key == "$and" else Any_(parts)


def _parse_field(field: str, value: Any, path: str) -> Iterable[Node]:
    if not isinstance(value, Mapping):
        return [AnyOf(field, (_scalar(value, path),))]
    if not value:
        raise InputError(f"{path} has no operator", fix=f"Known: {_OPERATORS}")
    return [_parse_operator(field, operator, operand, f"{path}.{operator}") for operator, operand in value.items()]


def _parse_operator(field: str, operator: Any, operand: Any, path: str) -> Node:
    match operator:
        case "$eq" | "$ne":
            return AnyOf(field, (_scalar(operand, path),), negated=operator == "$ne")
        case "$in" | "$nin":
            if not isinstance(operand, list | tuple | set | frozenset):
                raise InputError(f"{path} must be a list, not {_shown(operand)}")
            values = tuple(_scalar(item, f"{path}[{index}]") for index, item in enumerate(operand))
            return AnyOf(field, values, negated=operator == "$nin")
        case "$gt" | "$gte" | "$lt" | "$lte":
            bound = _scalar(operand, path)
            if isinstance(bound, str | bool):
                raise InputError(f"{path} orders numbers only, not {_shown(operand)}")
            return Order(field, operator[1:], float(bound))
        case "$exists":
            if not isinstance(operand, bool):
                raise InputError(f"{path} must be true or false, not {_shown(operand)}")
            return Exists(field, operand)
        case _:
            raise InputError(f"{path}: unknown operator", fix=f"Known: {_OPERATORS}")


def _scalar(value: Any, path: str) -> Scalar:
    if isinstance(value, str | bool):
        return value
    number = _number(value)
    if number is None or not math.isfinite(number):
        raise InputError(f"{path} must be a string, a finite number or a boolean, not {_shown(value)}")
    return number


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _number(value: Any) -> float | None:
    """A number as a 64-bit float; None for what is no number, a boolean among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def matches(node: Node, metadata: Mapping[str, Any]) -> bool:
    """Whether a record with that metadata passes: the meaning of the language."""
    match node:
        case All(parts):
            return all(matches(part, metadata) for part in parts)
        case Any_(parts):
            return any(matches(part, metadata) for part in parts)
        case Exists(field, present):
            return (metadata.get(field) is not None) == present
        case AnyOf(field, values, negated):
            hit = any(_equal(element, value) for element in _elements(metadata.get(field)) for value in values)
            return hit != negated
        case Order(field, operator, bound):
            numbers = (_number(element) for element in _elements(metadata.get(field)))
            return any(number is not None and _COMPARE[operator](number, bound) for number in numbers)


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _equal(element: Any, value: Scalar) -> bool:
    if isinstance(value, str | bool):
        return type(element) is type(value) and element == value
    return _number(element) == value


def to_duckdb(node: Node, column: str = "metadata") -> tuple[str, dict[str, Any]]:
    """A never-null boolean expression over a JSON ``column``, and its named parameters (``$f0``, ``$f1``, …)."""
    parameters: dict[str, Any] = {}

    def bind(value: Any) -> str:
        name = f"f{len(parameters)}"
        parameters[name] = value
        return f"${name}"

    return _sql(node, column, bind), parameters


def _sql(node: Node, column: str, bind: Callable[[Any], str]) -> str:
    match node:
        case All(parts):
            return "(" + " AND ".join(_sql(part, column, bind) for part in parts) + ")"
        case Any_(parts):
            return "(" + " OR ".join(_sql(part, column, bind) for part in parts) + ")"
        case Exists(field, present):
            there = f"coalesce(json_type({column}, {bind(_pointer(field))}) <> 'NULL', false)"
            return there if present else f"(NOT {there})"
        case AnyOf(field, values, negated):
            hit = _any_element(column, bind(_pointer(field)), _equality(values, bind))
            return f"(NOT {hit})" if negated else hit
        case Order(field, operator, bound):
            test = f"({_IS_NUMBER} AND {_AS_NUMBER} {_SYMBOL[operator]} {bind(bound)})"
            return _any_element(column, bind(_pointer(field)), test)


_IS_NUMBER = "json_type({e}) IN ('BIGINT', 'UBIGINT', 'DOUBLE')"
_AS_NUMBER = "TRY_CAST({e} AS DOUBLE)"


def _equality(values: tuple[Scalar, ...], bind: Callable[[Any], str]) -> str:
    """Test of one JSON value ``{e}`` against values of mixed types."""
    strings = [value for value in values if isinstance(value, str)]
    booleans = ["true" if value else "false" for value in values if isinstance(value, bool)]
    numbers = [float(value) for value in values if not isinstance(value, str | bool)]
    tests = []
    if strings:
        tests.append(f"(json_type({{e}}) = 'VARCHAR' AND list_contains({bind(strings)}::VARCHAR[], {{e}} ->> '$'))")
    if booleans:
        tests.append(f"(json_type({{e}}) = 'BOOLEAN' AND list_contains({bind(booleans)}::VARCHAR[], {{e}} ->> '$'))")
    if numbers:
        tests.append(f"({_IS_NUMBER} AND list_contains({bind(numbers)}::DOUBLE[], {_AS_NUMBER}))")
    return "(" + " OR ".join(tests) + ")" if tests else "false"


def _any_element(column: str, pointer: str, test: str) -> str:
    """Whether the value at ``pointer``, or any element of it where it is a list, passes ``test``."""
    value = f"json_extract({column}, {pointer})"
    in_list = f"list_bool_or(list_transform({value}::JSON[], lambda e: {test.replace('{e}', 'e')}))"
    scalar = test.replace("{e}", value)
    return f"coalesce(CASE WHEN json_type({column}, {pointer}) = 'ARRAY' THEN {in_list} ELSE {scalar} END, false)"


def _pointer(field: str) -> str:
    """JSON pointer (RFC 6901) of a top-level key: unlike a JSON path, it needs no quoting and has no wildcard."""
    return "/" + field.replace("~", "~0").replace("/", "~1")
