"""Canaries beside production: exact test, and what the gate says of what fails newly."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.test_canaries import Index
from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.canaries.change import LEAST, at_least, compared
from vector_pipeline.verify.canaries.gate import Canary, Production, run_canaries
from vector_pipeline.verify.outcome import CheckResult, Status


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)  # scipy is imported at the first
def test_the_test_is_the_binomial_one(heads: int, tails: int) -> None:
    from scipy.stats import binomtest

    tosses = heads + tails
    expected = binomtest(heads, tosses, 0.5, alternative="greater").pvalue if tosses else 1.0
    assert at_least(heads, tosses) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_what_differs_is_counted_once(pairs: list[tuple[bool, bool]]) -> None:
    change = compared([before for before, _ in pairs], [now for _, now in pairs])
    assert {*change.newly_failing, *change.newly_passing} == {
        n for n, (before, now) in enumerate(pairs) if before != now
    }
    assert all(pairs[number] == (True, False) for number in change.newly_failing)
    if change.worse:
        assert len(change.newly_failing) >= len(change.newly_passing) + LEAST


def judged(before: Sequence[bool], now: Sequence[bool], pass_rate: float = 0.5) -> CheckResult:
    """Canaries that pass as they are told to, on production and on the candidate."""
    canaries = [Canary(f"c{n}", f"q{n}", ("good",)) for n in range(len(now))]

    def index(passes: Sequence[bool]) -> Index:
        return Index({f"q{n}": ["good"] if one else ["bad"] for n, one in enumerate(passes)})

    return run_canaries(canaries, index(now), pass_rate, version=5, production=Production(4, index(before)))


def test_newly_failing_ones_are_named_and_stop_when_they_are_surely_more() -> None:
    few = judged([True] * 40, [False] * 4 + [True] * 36)
    assert few.status is Status.PASSED
    assert "4 newly failing that version 4 in production passes: c0, c1, c2 and 1 more" in few.summary
    assert "chance" not in few.summary
    many = judged([True] * 40, [False] * 5 + [True] * 35)
    assert many.status is Status.FAILED, "the rate itself is high enough"
    assert "more than chance explains (p = 0.031)" in many.summary
    assert (many.detail["newly_failing"], many.detail["newly_passing"]) == (5, 0)
    assert many.detail["production"]["examples"]["newly_failing"] == ["c0", "c1", "c2", "c3", "c4"]
    assert many.detail["canaries"][0]["before"] == "passed"


def test_as_many_that_pass_newly_outweigh_them() -> None:
    both = judged([True] * 6 + [False] * 6 + [True] * 30, [False] * 6 + [True] * 6 + [True] * 30)
    assert both.status is Status.PASSED
    assert "6 newly failing" in both.summary
    assert "6 newly passing" in both.summary


def test_nothing_is_said_where_nothing_differs() -> None:
    same = judged([True, False], [True, False])
    assert "newly" not in same.summary
    assert same.detail["p_value"] == 1.0


def test_answers_stand_side_by_side_those_that_fail_newly_first() -> None:
    result = judged([False, True], [False, False])
    assert [one["query"] for one in result.detail["answers"]] == ["q1", "q0"]
    first = result.detail["answers"][0]
    assert first["production"][0][0] == "good"
    assert first["candidate"][0][0] == "bad"
    assert first["overlap"] == 0
    assert first["why"] == "newly failing: must find good; found bad"


def test_trouble_of_production_is_told_and_stops_nothing() -> None:
    def down(queries: Sequence[str], k: int, filter: Filter | None, /) -> list[list[Match]]:
        raise UnavailableError("local does not answer")

    result = run_canaries([Canary("a", "q", ("d",))], Index({"q": ["d"]}), 1.0, production=Production(1, down))
    assert result.status is Status.WARNED
    assert "not compared with version 1 in production: local does not answer" in result.summary
    assert result.detail["production"] == {"version": 1, "error": "local does not answer"}
