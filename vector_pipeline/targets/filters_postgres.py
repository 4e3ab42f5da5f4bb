"""The filter language in PostgreSQL, over jsonb.

Laws
----
1. ``to_postgres`` selects what ``matches`` does (a property test holds it to that), over metadata whose strings ``stored_text``
   made and whose numbers are decimals of 64-bit floats: jsonb holds no NUL, and compares decimals.
2. Keys and values are bound, never SQL text.
3. Equality with a few values is containment (``@>``): a GIN index, where somebody makes one, is used. With more it is ``= ANY``,
   which PostgreSQL hashes: time grows with rows or values, not with their product.
"""

import json
import re
from typing import Any

from vector_pipeline.targets.filters import All, Any_, AnyOf, Exists, Node, Order, Scalar

STAND_IN = "\ue000"
"""Begins what stands for a character that PostgreSQL cannot hold. A private character: followed by 1, it is itself."""

_HASHED_FROM = 9
"""Values from which PostgreSQL hashes ``= ANY``."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_SYMBOL = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def stored_text(text: str) -> str:
    """A string as PostgreSQL holds it: no two become one, and one without NUL and U+E000 stays as it is."""
    text = text.replace(STAND_IN, STAND_IN + "1").replace("\x00", STAND_IN + "0")
    # Half a pair is in no metadata; in a filter it must equal nothing.
    return _SURROGATE.sub(lambda match: f"{STAND_IN}2{ord(match[0]):x}", text)


def beyond_double(number: float) -> int:
    """What stands for infinity, as JSON numbers can become: larger than every double, and equal to none."""
    return 10**309 if number > 0 else -(10**309)


def to_postgres(node: Node, column: str = "metadata") -> tuple[str, dict[str, Any]]:
    """A never-null boolean expression over a jsonb ``column`` that is not null, and its parameters (``%(f0)s``, …)."""
    parameters: dict[str, Any] = {}

    def bind(value: Any) -> str:
        name = f"f{len(parameters)}"
        parameters[name] = value
        return f"%({name})s"

    def any_of(field: str, values: list[Scalar]) -> str:
        if len(values) < _HASHED_FROM:
            forms = [_json({field: form}) for value in values for form in (value, [value])]
            return f"({column} @> ANY({bind(forms)}::text[]::jsonb[]))"
        value = f"{column} -> {bind(field)}::text"
        hashed = f"ANY({bind(list(map(_json, values)))}::text[]::jsonb[])"
        elements = f"jsonb_array_elements({value}) AS element (value)"
        in_list = f"CASE jsonb_typeof({value}) WHEN 'array' THEN EXISTS (SELECT FROM {elements} WHERE element.value = {hashed}) END"
        return f"coalesce(({value}) = {hashed} OR {in_list}, false)"

    def expression(node: Node) -> str:
        match node:
            case All(parts):
                return "(" + " AND ".join(map(expression, parts)) + ")"
            case Any_(parts):
                return "(" + " OR ".join(map(expression, parts)) + ")"
            case Exists(field, present):
                there = f"coalesce(jsonb_typeof({column} -> {bind(stored_text(field))}::text) <> 'null', false)"
                return there if present else f"(NOT {there})"
            case AnyOf(field, values, negated):
                hit = any_of(stored_text(field), [_bare(value) for value in values])
                return f"(NOT {hit})" if negated else hit
            case Order(field, operator, bound):
                value = f"{column} -> {bind(stored_text(field))}::text"
                test = (
                    f"'strict $%s ? (@ {_SYMBOL[operator]} $b)', {bind(json.dumps({'b': float(bound)}))}::jsonb, true)"
                )
                # Strict: only a list is taken apart, and once. On anything else the first is null.
                in_list, scalar = (
                    f"jsonb_path_exists({value}, {test.replace('%s', where, 1)}" for where in ("[*]", "")
                )
                return f"coalesce({in_list}, {scalar}, false)"

    return expression(node), parameters


def _bare(value: Scalar) -> Scalar:
    """The value as metadata holds it."""
    return stored_text(value) if isinstance(value, str) else value if isinstance(value, bool) else float(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
