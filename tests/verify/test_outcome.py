import json
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from vector_pipeline.errors import InputError, UnavailableError
from vector_pipeline.verify.intervals import wilson
from vector_pipeline.verify.outcome import CheckResult, Status, guarded, json_safe, overall


def test_the_zero_value_is_unknown_and_blocks() -> None:
    assert next(iter(Status)) is Status.UNKNOWN
    result = CheckResult("gate")
    assert (result.status, result.blocks) == (Status.UNKNOWN, True)
    assert [status for status in Status if CheckResult("gate", status).blocks] == [Status.UNKNOWN, Status.FAILED]


def test_overall_is_the_worst_and_nothing_is_unknown() -> None:
    def of(*statuses: Status) -> Status:
        return overall(CheckResult("gate", status) for status in statuses)

    assert of() is Status.UNKNOWN
    assert of(Status.PASSED, Status.WARNED) is Status.WARNED
    assert of(Status.PASSED, Status.UNKNOWN, Status.WARNED) is Status.UNKNOWN
    assert of(Status.UNKNOWN, Status.FAILED) is Status.FAILED


def test_json_round_trip_with_numpy_nan_and_line_breaks() -> None:
    detail = {"n": np.int64(3), "x": np.float32(0.5), "nan": float("nan"), "t": (1, 2), "s": Status.PASSED}
    result = CheckResult("gate", Status.FAILED, "two\n  lines", detail, ({"id": "a", "inf": np.inf},))
    text = json.dumps(result.to_json(), allow_nan=False)
    assert result.summary == "two lines"
    assert json.loads(text)["detail"] == {"n": 3, "x": 0.5, "nan": None, "t": [1, 2], "s": "passed"}
    assert CheckResult.from_json(json.loads(text)) == result
    assert CheckResult.from_json({**result.to_json(), "status": "of-the-future"}).status is Status.UNKNOWN


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.dates() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
@settings(deadline=None)
def test_json_safe_is_safe_and_idempotent(value: object) -> None:
    safe = json_safe(value)
    json.dumps(safe, allow_nan=False)
    assert json_safe(safe) == safe


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (UnavailableError("the target is gone", fix="Start it"), "g could not run: the target is gone. Start it"),
        (sqlite3.OperationalError("no\nsuch table"), "g could not run: OperationalError: no such table"),
        (KeyError(), "g could not run: KeyError"),
        (
            ValueError("postgresql://me:hunter2@host/db is down"),
            "g could not run: ValueError: postgresql://me:***@host/db is down",
        ),
        (
            UnavailableError("GET https://hunter2@host/?api_key=hunter2\nAuthorization: Bearer hunter2"),
            "g could not run: GET https://***@host/?api_key=*** Authorization: ***",
        ),
    ],
)
def test_a_broken_gate_is_unknown_in_one_line_without_secrets(error: Exception, summary: str) -> None:
    def gate() -> CheckResult:
        raise error

    result = guarded("g", gate)
    assert (result.status, result.summary) == (Status.UNKNOWN, summary)
    assert "hunter2" not in json.dumps(result.to_json())


def test_an_interrupt_is_not_swallowed() -> None:
    def gate() -> CheckResult:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded("g", gate)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_wilson_holds_the_share_and_agrees_with_scipy(a: int, b: int) -> None:
    passed, total = min(a, b), max(a, b)
    rate = wilson(passed, total)
    assert 0 <= rate.low <= rate.share <= rate.high <= 1
    mirrored = wilson(total - passed, total)
    assert (mirrored.low, mirrored.high) == (pytest.approx(1 - rate.high), pytest.approx(1 - rate.low))
    if total:
        expected = binomtest(passed, total).proportion_ci(0.95, method="wilson")
        assert (rate.low, rate.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high))
        assert (wilson(passed * 4, total * 4).high - wilson(passed * 4, total * 4).low) < rate.high - rate.low


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high, wilson(0, 0).share) == (0.0, 1.0, 0.0)
    with pytest.raises(InputError):
        wilson(2, 1)
