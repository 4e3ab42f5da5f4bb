"""A metadata filter as a condition of a query of the lake: the same records as on every target."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vector_pipeline.targets.base import Filter
from vector_pipeline.targets.filters import parse_filter, to_duckdb


@dataclass(frozen=True, slots=True)
class Condition:
    """A never-null boolean expression over ``c.metadata``, and its named parameters."""

    sql: str
    parameters: Mapping[str, Any]


def condition(filter: Filter | None, prefix: str) -> Condition:
    """``prefix`` keeps the parameters of several filters in one statement apart. ``InputError`` for what is no filter."""
    if not filter:
        return Condition("true", {})
    sql, parameters = to_duckdb(parse_filter(filter), "c.metadata")
    # Neither a key nor a value is ever part of the text: what looks like a parameter is one.
    return Condition(
        re.sub(r"\$f(\d+)\b", rf"${prefix}_\1", sql), {f"{prefix}_{name[1:]}": one for name, one in parameters.items()}
    )
