"""Canaries beside production: exact test, and what the gate says of what fails newly."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.test_canaries import Index
from vector_pipeline.config import GateConfig
from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.canaries.change import Change, at_least, compared
from vector_pipeline.verify.canaries.gate import Canary, Production, Tolerance, run_canaries
from vector_pipeline.verify.outcome import CheckResult, Status

TOLERANCE = Tolerance.of(GateConfig())


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
    assert change.total == len(pairs)
    if change.worse(TOLERANCE):
        assert len(change.newly_failing) > len(change.newly_passing) + TOLERANCE.max_loss * len(pairs)


def judged(before: Sequence[bool], now: Sequence[bool], tolerance: Tolerance = TOLERANCE) -> CheckResult:
    """Canaries that pass as they are told to, on production and on the candidate."""
    canaries = [Canary(f"c{n}", f"q{n}", ("good",)) for n in range(len(now))]

    def index(passes: Sequence[bool]) -> Index:
        return Index({f"q{n}": ["good"] if one else ["bad"] for n, one in enumerate(passes)})

    return run_canaries(canaries, index(now), 0.5, version=5, production=Production(4, index(before), tolerance))


def test_newly_failing_ones_are_named_and_stop_when_they_are_surely_more() -> None:
    few = judged([True] * 40, [False] * 7 + [True] * 33)
    assert few.status is Status.PASSED
    assert "7 newly failing that version 4 in production passes: c0, c1, c2 and 4 more" in few.summary
    assert "chance" not in few.summary
    many = judged([True] * 40, [False] * 8 + [True] * 32)
    assert many.status is Status.FAILED, "the rate itself is high enough"
    assert "more than chance explains (p = 0.0039)" in many.summary
    assert (many.detail["newly_failing"], many.detail["newly_passing"]) == (8, 0)
    assert many.detail["production"]["examples"]["newly_failing"] == [f"c{n}" for n in range(8)]
    assert many.detail["canaries"][0]["before"] == "passed"


def test_what_is_tolerated_is_a_share_of_all_and_a_setting() -> None:
    def lost(count: int, of: int, tolerance: Tolerance = TOLERANCE) -> Status:
        return judged([True] * of, [False] * count + [True] * (of - count), tolerance).status

    assert lost(10, 500) is Status.PASSED, "sure, but 2% of all"
    assert lost(11, 500) is Status.FAILED
    assert lost(11, 500, Tolerance(0.005, 0.05)) is Status.PASSED
    assert lost(5, 40, Tolerance(0.05, 0.02)) is Status.FAILED


@pytest.mark.parametrize("total", [30, 100])
@pytest.mark.parametrize("moved", [0.05, 0.2])
def test_a_harmless_release_is_hardly_ever_stopped(total: int, moved: float) -> None:
    """Exact: the share of releases that are stopped by chance when canaries move with equal odds either way."""
    from scipy.stats import binom

    stopped = 0.0
    for count in range(1, total + 1):
        worse = [n for n in range(count + 1) if Change((0,) * n, (0,) * (count - n), total).worse(TOLERANCE)]
        stopped += binom.pmf(count, total, moved) * float(binom.pmf(worse, count, 0.5).sum())
    assert stopped < TOLERANCE.alpha


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

    result = run_canaries(
        [Canary("a", "q", ("d",))], Index({"q": ["d"]}), 1.0, production=Production(1, down, TOLERANCE)
    )
    assert result.status is Status.WARNED
    assert "not compared with version 1 in production: local does not answer" in result.summary
    assert result.detail["production"] == {"version": 1, "error": "local does not answer"}
