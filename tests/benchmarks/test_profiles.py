"""Sampled profiles: which samples count, whose they are, and which functions are shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import profiles
from benchmarks.measuring import FailedError, Side
from benchmarks.page import profiles as table
from benchmarks.profiles import HotPath, lines, profiled, shares

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


@pytest.mark.parametrize(("each", "runs"), [(60, 17), (40, 20), (1_000, 1)])
def test_a_path_runs_until_there_are_enough_samples(each: int, runs: int) -> None:
    rounds, asked = list[int](), list[int]()

    def sample(turn: int) -> Iterator[tuple[list[str], int]]:
        asked.append(turn)
        yield ["<module> (side.py)", _TOP], each
        yield ["<module> (side.py)", "_find_and_load (<frozen importlib._bootstrap>)"], 5_000

    found = profiled(HotPath(Side("x", "x"), ("Building.sync",), before_each=rounds.append), sample)
    assert (found["samples"], found["runs"]) == (each * runs, runs)
    assert rounds == asked == list(range(runs))


def test_every_path_is_whole_on_its_own(tmp_path: Path) -> None:
    """What a path needs is made by itself, whichever others are chosen."""
    for name, path in profiles.paths(tmp_path, quick=True).items():
        assert path.before, name


def test_the_page_says_how_many_samples_and_what_they_do_not_see() -> None:
    told = table({"diff": shares(_STACKS, ("Building.sync",))}).splitlines()
    assert told[2].startswith("| diff | 100 | DuckDB and DuckLake 60%, Python 25%, SQLAlchemy and SQLite 15% | ")
    assert told[-1] == "Samples are of Python's threads; DuckDB's own worker threads are not seen."
