"""What an expectation means in SQL: counted in DuckDB as Great Expectations would count it with pandas.

Laws
----
1. A meaning is given only where it is plain. Everything else has none (None), and Great Expectations answers itself.
2. Nulls (and NaN) are skipped, as Great Expectations skips them; ``mostly`` is a share of the rest.
3. A value of metadata is JSON: a number is never a text. What pandas compares only with an error counts as unexpected.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vector_pipeline.verify.expectations import conditions
from vector_pipeline.verify.expectations.suite import Expectation
from vector_pipeline.verify.expectations.terms import Meaning, Number, kind_of, value


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
    "expect_column_values_to_not_be_null": lambda kwargs, types: conditions.null(kwargs, types, wanted=False),
    "expect_column_values_to_be_null": lambda kwargs, types: conditions.null(kwargs, types, wanted=True),
    "expect_column_values_to_be_unique": conditions.unique,
    "expect_compound_columns_to_be_unique": conditions.compound,
    "expect_column_values_to_be_in_set": lambda kwargs, types: conditions.in_set(kwargs, types, wanted=True),
    "expect_column_values_to_not_be_in_set": lambda kwargs, types: conditions.in_set(kwargs, types, wanted=False),
    "expect_column_values_to_be_between": conditions.between,
    "expect_column_value_lengths_to_be_between": conditions.lengths,
    "expect_column_value_lengths_to_equal": conditions.lengths,
    "expect_column_values_to_match_regex": lambda kwargs, types: conditions.pattern(kwargs, types, wanted=True),
    "expect_column_values_to_not_match_regex": lambda kwargs, types: conditions.pattern(kwargs, types, wanted=False),
    "expect_column_values_to_be_of_type": conditions.of_type,
    "expect_column_values_to_be_in_type_list": conditions.of_type,
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
