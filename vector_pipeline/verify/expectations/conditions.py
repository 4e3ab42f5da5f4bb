"""Expectations on rows, as conditions in SQL. None: there is no plain one."""

from collections.abc import Mapping
from typing import Any

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.verify.expectations.regex import as_re2
from vector_pipeline.verify.expectations.terms import Rows, is_number, kind_of, name, number, value

_JSON_NUMBERS = "('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE')"
_JSON_TYPES = {
    # As isinstance has it, python's true is a whole number.
    "int": ("BIGINT", "UBIGINT", "HUGEINT", "BOOLEAN"), "float": ("DOUBLE",), "str": ("VARCHAR",), "bool": ("BOOLEAN",),
    "list": ("ARRAY",),
}  # fmt: skip


def _rows(column: str, types: Mapping[str, str], unexpected: str) -> Rows:
    considered = f"{value(column, types)} IS NOT NULL"
    # A condition that SQL cannot tell (null) has not been met.
    broken = f"({considered} AND NOT coalesce({unexpected}, false))"
    return Rows(considered, broken, f"count(*) FILTER ({broken})", (column,))


def null(kwargs: Mapping[str, Any], types: Mapping[str, str], *, wanted: bool) -> Rows:
    column = kwargs["column"]
    broken = f"{value(column, types)} IS {'NOT ' if wanted else ''}NULL"
    return Rows("true", broken, f"count(*) FILTER ({broken})", (column,))


def unique(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows:
    column = kwargs["column"]
    return _repeated((column,), f"{value(column, types)} IS NOT NULL", types)


def compound(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
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


def in_set(kwargs: Mapping[str, Any], types: Mapping[str, str], *, wanted: bool) -> Rows | None:
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
        return f"{plain} IN ({', '.join(map(number, values))})"
    if kind in ("int", "float") and all(map(is_number, values)):
        return f"{plain} IN ({', '.join(map(number, values))})"
    if kind == "text" and all(isinstance(one, str) for one in values):
        return f"{plain} IN ({', '.join(map(quoted, values))})"
    if kind != "json" or not all(isinstance(one, str) or is_number(one) for one in values):
        return None
    texts = ", ".join(quoted(one) for one in values if isinstance(one, str))
    numbers = ", ".join(number(one) for one in values if not isinstance(one, str))
    parts = []
    if texts:
        parts.append(f"(json_type({plain}) = 'VARCHAR' AND json_extract_string({plain}, '$') IN ({texts}))")
        # Great Expectations knows no lists here: one is in the set when all that it holds is.
        held = f"CASE WHEN json_type({plain}) = 'ARRAY' THEN json_transform({plain}, '[\"VARCHAR\"]')::VARCHAR[] END"
        parts.append(f"(json_type({plain}) = 'ARRAY' AND list_has_all([{texts}], {held}))")
    if numbers:
        parts.append(f"(json_type({plain}) IN {_JSON_NUMBERS} AND TRY_CAST({plain} AS DOUBLE) IN ({numbers}))")
    return "(" + " OR ".join(parts) + ")"


def between(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    column, kind = kwargs["column"], kind_of(types[kwargs["column"]])
    bounds = [one for one in (kwargs.get("min_value"), kwargs.get("max_value")) if one is not None]
    if not bounds or not all(map(is_number, bounds)):
        return None
    plain = name(column)
    if kind in ("int", "float"):
        return _rows(column, types, _bounded(value(column, types), kwargs))
    if kind == "json":
        numeric = f"json_type({plain}) IN {_JSON_NUMBERS}"
        return _rows(column, types, f"{numeric} AND {_bounded(f'TRY_CAST({plain} AS DOUBLE)', kwargs)}")
    return None


def _bounded(expression: str, kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    parts = [] if low is None else [f"{expression} {'>' if kwargs.get('strict_min') else '>='} {number(low)}"]
    parts += [] if high is None else [f"{expression} {'<' if kwargs.get('strict_max') else '<='} {number(high)}"]
    return " AND ".join(parts)


def _text(column: str, types: Mapping[str, str]) -> str | None:
    kind, plain = kind_of(types[column]), name(column)
    if kind == "json":
        return f"json_extract_string({plain}, '$')"
    return plain if kind == "text" else None


def lengths(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    text, bounds = _text(kwargs["column"], types), kwargs
    if "value" in kwargs:
        bounds = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    given = [one for one in (bounds.get("min_value"), bounds.get("max_value")) if one is not None]
    if text is None or not given or not all(map(is_number, given)):
        return None
    return _rows(kwargs["column"], types, _bounded(f"length({text})", bounds))


def pattern(kwargs: Mapping[str, Any], types: Mapping[str, str], *, wanted: bool) -> Rows | None:
    text, regex = _text(kwargs["column"], types), kwargs.get("regex")
    shared = as_re2(regex) if isinstance(regex, str) else None
    if text is None or shared is None:
        return None
    found = f"regexp_matches({text}, {quoted(shared)})"
    return _rows(kwargs["column"], types, found if wanted else f"NOT {found}")


def of_type(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> Rows | None:
    column, wanted = kwargs["column"], kwargs.get("type_list") or [kwargs.get("type_")]
    if kind_of(types[column]) != "json" or not all(one in _JSON_TYPES for one in wanted):
        return None
    allowed = ", ".join(quoted(kind) for one in wanted for kind in _JSON_TYPES[one])
    return _rows(column, types, f"json_type({name(column)}) IN ({allowed})")
