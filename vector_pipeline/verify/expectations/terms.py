"""What a meaning in SQL is made of: conditions on rows, numbers over all rows, columns and literals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class Rows:
    """Something that is true or false of a row. Expressions over the table of facts."""

    considered: str
    """Rows that it is asked of."""
    unexpected: str
    """Condition: those of them that break it."""
    count: str
    """Aggregate or scalar: how many."""
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """One number over all rows, and the bounds that it must keep."""

    value: str
    column: str | None
    offenders: str | None = None
    """Rows to show, as a condition; None: those with the largest or the smallest values."""


Meaning = Rows | Number


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: bool | int | float) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else f"{value!r}{'::DOUBLE' if isinstance(value, float) else ''}"
    )


def kind_of(duckdb_type: str) -> str:
    """``int``, ``float``, ``bool``, ``text``, ``json`` or ``other``."""
    if duckdb_type in _NUMBERS:
        return "int"
    return {"BOOLEAN": "bool", "VARCHAR": "text", "JSON": "json", **dict.fromkeys(FLOATS, "float")}.get(
        duckdb_type, "other"
    )


def name(column: str) -> str:
    """A column as SQL writes it."""
    return '"' + column.replace('"', '""') + '"'


def value(column: str, types: Mapping[str, str]) -> str:
    """A column's value; null where pandas sees none."""
    plain = name(column)
    return f"(CASE WHEN isnan({plain}) THEN NULL ELSE {plain} END)" if types[column] in FLOATS else plain
