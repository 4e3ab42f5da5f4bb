"""A value that is said as SQL comes back as itself."""

from datetime import datetime

import duckdb
import numpy as np
import pytest

from vector_pipeline.lake.literals import Value, literal


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -(2**63), 2**127 - 1, 1.5, -0.0, 1e-320, float("inf"), np.float64(0.25), "", "it's ''", "\\'",
        "?", "$1; --", "é😀\u2028", "a\0b", "\0'", datetime(2026, 1, 2, 3, 4, 5, 6), ["a", "b'", None], [1, 2],
    ],
    ids=repr,
)  # fmt: skip
def test_it_comes_back(value: Value | list[Value]) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {literal(value)}").fetchone() == (value,)
