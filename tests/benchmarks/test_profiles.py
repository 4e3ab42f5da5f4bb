"""Sampled profiles: which samples count, whose they are, and which functions are shown."""

import pytest

from benchmarks.measuring import FailedError
from benchmarks.profiles import lines, shares

_RUN = "Lake.run (vector_pipeline/lake/connection.py)"
_TOP = "Building.sync (vector_pipeline/project/building.py)"
_STACKS = [
    (["<module> (side.py)", _TOP, "sync (vector_pipeline/build/documents.py)", _RUN], 60),
    (["<module> (side.py)", _TOP, "parse (vector_pipeline/corpus/parsing.py:12)"], 25),
    (
        [
            "<module> (side.py)",
            _TOP,
            "registry (vector_pipeline/release/registry/engine.py)",
            "execute (sqlalchemy/engine.py)",
        ],
        15,
    ),
    (["<module> (side.py)", "_find_and_load (<frozen importlib._bootstrap>)"], 900),
]


def test_only_samples_below_what_is_measured_count() -> None:
    found = shares(_STACKS, ("Building.sync",))
    assert found["samples"] == 100
    assert found["owners"] == {"DuckDB and DuckLake": 0.6, "Python": 0.25, "SQLAlchemy and SQLite": 0.15}


def test_a_function_that_only_passes_on_is_not_shown() -> None:
    functions = shares(_STACKS, ("Building.sync",))["functions"]
    assert functions["corpus/parsing.py: parse"] == 0.25
    assert functions["lake/connection.py: Lake.run"] == 0.6
    assert "build/documents.py: sync" not in functions


def test_people_read_owners_first() -> None:
    assert (
        lines(shares(_STACKS, ("Building.sync",)))[0]
        == "DuckDB and DuckLake 60%, Python 25%, SQLAlchemy and SQLite 15%"
    )


def test_no_sample_is_an_error() -> None:
    with pytest.raises(FailedError, match="no sample is below nothing"):
        shares(_STACKS, ("nothing",))
