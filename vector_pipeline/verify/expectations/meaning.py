"""What an expectation means in SQL: counted in DuckDB as Great Expectations would count it with pandas.

Laws
----
1. A meaning is given only where it is plain. Everything else has none (None), and Great Expectations answers itself.
2. Nulls (and NaN) are skipped, as Great Expectations skips them; ``mostly`` is a share of the rest.
3. A value of metadata is JSON: a number is never a text. What pandas compares only with an error counts as unexpected.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vector_pipeline.verify.expectations.regex import as_re2
from vector_pipeline.verify.expectations.suite import Expectation
from vector_pipeline.verify.patterns import quoted

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_FLOATS = ("FLOAT", "DOUBLE")
_JSON_NUMBERS = "('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE')"
_JSON_TYPES = {
    # As isinstance has it, python's true is a whole number.
    "int": ("BIGINT", "UBIGINT", "HUGEINT", "BOOLEAN"), "float": ("DOUBLE",), "str": ("VARCHAR",), "bool": ("BOOLEAN",),
    "list": ("ARRAY",),
}  # fmt: skip


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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: bool | int | float) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else f"{value!r}{'::DOUBLE' if isinstance(value, float) else ''}"
    )


def meaning(one: Expectation, types: Mapping[str, str]) -> Meaning | None:
    """The plain meaning of an expectation over a table ``facts`` with columns of these DuckDB types; law 1."""
    make = _MEANINGS.get(one.type)
    known = set(one.kwargs) <= {*ARGUMENTS.get(one.type, ())}
    if make is None or not known or any(name not in types for name in one.columns):
        return None
    return make(one.kwargs, types)


def within(value: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a number keeps the bounds. None never does."""
    if value is None:
        return False
    if "value" in kwargs:
        return bool(value == kwargs["value"])
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    above = low is None or (value > low if kwargs.get("strict_min") else value >= low)
    return bool(above and (high is None or (value < high if kwargs.get("strict_max") else value <= high)))


def kind_of(duckdb_type: str) -> str:
    """``int``, ``float``, ``bool``, ``text``, ``json`` or ``other``."""
    if duckdb_type in _NUMBERS:
        return "int"
    return {"BOOLEAN": "bool", "VARCHAR": "text", "JSON": "json", **dict.fromkeys(_FLOATS, "float")}.get(
        duckdb_type, "other"
    )


def name(column: str) -> str:
    """A column as SQL writes it."""
    return '"' + column.replace('"', '""') + '"'


def value(column: str, types: Mapping[str, str]) -> str:
    """A column's value; null where pandas sees none."""
    plain = name(column)
    return f"(CASE WHEN isnan({plain}) THEN NULL ELSE {plain} END)" if types[column] in _FLOATS else plain


def _rows(column: str, types: Mapping[str, str], unexpected: str) -> Rows:
    considered = f"{value(column, types)} IS NOT NULL"
    # A condition that SQL cannot tell (null) has not been met.
    broken = f"({considered} AND NOT coalesce({unexpected}, false))"
    return Rows(considered, broken, f"count(*) FILTER ({broken})", (column,))


def _null(kwargs: Mapping[str, Any], types: Mapping[str, str], *, wanted: bool) -> Rows:
    column = kwargs["column"]
    broken = f"{value(column, types)} IS {'NOT ' if wanted else ''}NULL"
    return Rows("true", broken, f"count(*) FILTER ({broken})", (column,))


def _unique(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows:
    column = kwargs["column"]
    return _repeated((column,), f"{value(column, types)} IS NOT NULL", types)


def _compound(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    columns = tuple(kwargs["column_list"])
    if kwargs.get("ignore_row_if") not in (None, "all_values_are_missing"):
        return None
    return _repeated(columns, " OR ".join(f"{value(one, types)} IS NOT NULL" for one in columns), types)


def _repeated(columns: tuple[str, ...], considered: str, types: Mapping[str, str]) -> Rows:
    key = "(" + ", ".join(value(one, types) for one in columns) + ")"
    hashed = f"hash({', '.join(value(one, types) for one in columns)})"
    groups = f"FROM facts WHERE {considered} GROUP BY {key[1:-1]} HAVING count(*) > 1"
    count = f"(SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n {groups}))"
    # Rows are found by hash: comparing rows that hold nulls is null.
    broken = f"(({considered}) AND {hashed} IN (SELECT {hashed.replace('hash(', 'any_value(hash(', 1)}) {groups}))"
    return Rows(considered, broken, count, columns)


def _in_set(kwargs: Mapping[str, Any], types: Mapping[str, str], *, wanted: bool) -> Rows | None:
    column, wanted_values = kwargs["column"], kwargs.get("value_set")
    if not isinstance(wanted_values, list) or not wanted_values:
        return None
    found = _member(column, wanted_values, kind_of(types[column]))
    if found is None:
        return None
    return _rows(column, types, found if wanted else f"NOT coalesce({found}, false)")


def _member(column: str, values: list[Any], kind: str) -> str | None:
    plain = name(column)
    if kind == "bool" and all(isinstance(one, bool) for one in values):
        return f"{plain} IN ({', '.join(map(_number, values))})"
    if kind in ("int", "float") and all(map(_is_number, values)):
        return f"{plain} IN ({', '.join(map(_number, values))})"
    if kind == "text" and all(isinstance(one, str) for one in values):
        return f"{plain} IN ({', '.join(map(quoted, values))})"
    if kind != "json" or not all(isinstance(one, str) or _is_number(one) for one in values):
        return None
    texts = ", ".join(quoted(one) for one in values if isinstance(one, str))
    numbers = ", ".join(_number(one) for one in values if not isinstance(one, str))
    parts = []
    if texts:
        parts.append(f"(json_type({plain}) = 'VARCHAR' AND json_extract_string({plain}, '$') IN ({texts}))")
        # Great Expectations knows no lists here: one is in the set when all that it holds is.
        held = f"CASE WHEN json_type({plain}) = 'ARRAY' THEN json_transform({plain}, '[\"VARCHAR\"]')::VARCHAR[] END"
        parts.append(f"(json_type({plain}) = 'ARRAY' AND list_has_all([{texts}], {held}))")
    if numbers:
        parts.append(f"(json_type({plain}) IN {_JSON_NUMBERS} AND TRY_CAST({plain} AS DOUBLE) IN ({numbers}))")
    return "(" + " OR ".join(parts) + ")"


def _between(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    column, kind = kwargs["column"], kind_of(types[kwargs["column"]])
    bounds = [one for one in (kwargs.get("min_value"), kwargs.get("max_value")) if one is not None]
    if not bounds or not all(map(_is_number, bounds)):
        return None
    plain = name(column)
    if kind in ("int", "float"):
        return _rows(column, types, _bounded(value(column, types), kwargs))
    if kind == "json":
        is_number = f"json_type({plain}) IN {_JSON_NUMBERS}"
        return _rows(column, types, f"{is_number} AND {_bounded(f'TRY_CAST({plain} AS DOUBLE)', kwargs)}")
    return None


def _bounded(expression: str, kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    parts = [] if low is None else [f"{expression} {'>' if kwargs.get('strict_min') else '>='} {_number(low)}"]
    parts += [] if high is None else [f"{expression} {'<' if kwargs.get('strict_max') else '<='} {_number(high)}"]
    return " AND ".join(parts)


def _text(column: str, types: Mapping[str, str]) -> str | None:
    kind, plain = kind_of(types[column]), name(column)
    if kind == "json":
        return f"json_extract_string({plain}, '$')"
    return plain if kind == "text" else None


def _lengths(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    text, bounds = _text(kwargs["column"], types), kwargs
    if "value" in kwargs:
        bounds = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    given = [one for one in (bounds.get("min_value"), bounds.get("max_value")) if one is not None]
    if text is None or not given or not all(map(_is_number, given)):
        return None
    return _rows(kwargs["column"], types, _bounded(f"length({text})", bounds))


def _pattern(kwargs: Mapping[str, Any], types: Mapping[str, str], *, wanted: bool) -> Rows | None:
    text, regex = _text(kwargs["column"], types), kwargs.get("regex")
    shared = as_re2(regex) if isinstance(regex, str) else None
    if text is None or shared is None:
        return None
    found = f"regexp_matches({text}, {quoted(shared)})"
    return _rows(kwargs["column"], types, found if wanted else f"NOT {found}")


def _of_type(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    column, wanted = kwargs["column"], kwargs.get("type_list") or [kwargs.get("type_")]
    if kind_of(types[column]) != "json" or not all(one in _JSON_TYPES for one in wanted):
        return None
    allowed = ", ".join(quoted(kind) for one in wanted for kind in _JSON_TYPES[one])
    return _rows(column, types, f"json_type({name(column)}) IN ({allowed})")


def _aggregate(
    function: str, *, of_none: str = "NULL"
) -> Callable[[Mapping[str, Any], Mapping[str, str]], Number | None]:
    """``of_none``: what pandas makes of a column that holds nothing."""

    def make(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Number | None:
        column = kwargs["column"]
        if kind_of(types[column]) not in ("int", "float"):
            return None
        return Number(f"coalesce({function}({value(column, types)}), {of_none})", column)

    return make


def _distinct(kwargs: Mapping[str, Any], types: Mapping[str, str], *, share: bool) -> Number:
    held = value(kwargs["column"], types)
    found = f"count(DISTINCT {held})"
    return Number(f"coalesce({found} / nullif(count({held}), 0), 0)" if share else found, kwargs["column"], "false")


def _present(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Number:
    plain = value(kwargs["column"], types)
    return Number(f"count({plain}) / nullif(count(*), 0)", kwargs["column"], f"{plain} IS NULL")


def _row_count(_: Mapping[str, Any], __: Mapping[str, str]) -> Number:
    return Number("count(*)", None)


_MAP = ("column", "mostly")
_RANGE = ("min_value", "max_value", "strict_min", "strict_max")
_MEANINGS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str]], Meaning | None]] = {
    "expect_column_values_to_not_be_null": lambda kwargs, types: _null(kwargs, types, wanted=False),
    "expect_column_values_to_be_null": lambda kwargs, types: _null(kwargs, types, wanted=True),
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _compound,
    "expect_column_values_to_be_in_set": lambda kwargs, types: _in_set(kwargs, types, wanted=True),
    "expect_column_values_to_not_be_in_set": lambda kwargs, types: _in_set(kwargs, types, wanted=False),
    "expect_column_values_to_be_between": _between,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _lengths,
    "expect_column_values_to_match_regex": lambda kwargs, types: _pattern(kwargs, types, wanted=True),
    "expect_column_values_to_not_match_regex": lambda kwargs, types: _pattern(kwargs, types, wanted=False),
    "expect_column_values_to_be_of_type": _of_type,
    "expect_column_values_to_be_in_type_list": _of_type,
    "expect_column_mean_to_be_between": _aggregate("avg"),
    "expect_column_median_to_be_between": _aggregate("median"),
    "expect_column_min_to_be_between": _aggregate("min"),
    "expect_column_max_to_be_between": _aggregate("max"),
    "expect_column_sum_to_be_between": _aggregate("sum", of_none="0"),
    "expect_column_stdev_to_be_between": _aggregate("stddev_samp"),
    "expect_column_unique_value_count_to_be_between": lambda kwargs, types: _distinct(kwargs, types, share=False),
    "expect_column_proportion_of_unique_values_to_be_between": lambda kwargs, types: _distinct(
        kwargs, types, share=True
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": _present,
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count,
}
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    one: {
        "expect_column_values_to_be_in_set": (*_MAP, "value_set"),
        "expect_column_values_to_not_be_in_set": (*_MAP, "value_set"),
        "expect_compound_columns_to_be_unique": ("column_list", "mostly", "ignore_row_if"),
        "expect_column_values_to_be_between": (*_MAP, *_RANGE),
        "expect_column_value_lengths_to_be_between": (*_MAP, *_RANGE),
        "expect_column_value_lengths_to_equal": (*_MAP, "value"),
        "expect_column_values_to_match_regex": (*_MAP, "regex"),
        "expect_column_values_to_not_match_regex": (*_MAP, "regex"),
        "expect_column_values_to_be_of_type": (*_MAP, "type_"),
        "expect_column_values_to_be_in_type_list": (*_MAP, "type_list"),
        "expect_table_row_count_to_be_between": _RANGE,
        "expect_table_row_count_to_equal": ("value",),
    }.get(one, _MAP if one.startswith("expect_column_values_") else ("column", *_RANGE))
    for one in _MEANINGS
}
"""What each type that has a meaning takes."""
