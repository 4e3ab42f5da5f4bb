"""Wrong questions are the caller's: told at once, as ``InputError``, and no reason to think a place away."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vector_pipeline.errors import InputError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, breaker, open_index
from vector_pipeline.serving.breaker import Breaker
from vector_pipeline.serving.questions import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, filter_of
from vector_pipeline.targets.duckdb.target import DuckDBTarget

HALF = "\ud800"


@pytest.fixture(scope="module")
def shared(template: Any) -> Iterator[Index]:
    """Only asked what it refuses, and what it answers."""
    with open_index("handbook", project=template) as opened:
        yield opened


def deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"a": {"$in": [1]}}
    for _ in range(levels):
        found = {"$and": [found]}
    return found


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (HALF, {}),
        (f"about {HALF}", {}),
        (["about page 1", f"x{HALF}"], {}),
        ("x", {"filter": {"title": HALF}}),
        ("x", {"filter": {HALF: 1}}),
        ("x", {"filter": {"title": {"$in": ["a", HALF]}}}),
        ("x", {"filter": {"$or": [{"title": HALF}]}}),
        ("x", {"filter": {"$and": [{"title": {"$ne": HALF}}]}}),
        ("x", {"filter": [1]}),
        ("x", {"filter": "title"}),
        ("x", {"filter": {1: 2}}),
        ("x", {"filter": {"a": object()}}),
        ("x", {"filter": {"a": {"$gt": float("nan")}}}),
        ("x", {"filter": deep(5_000)}),
        ("x", {"filter": {"$or": [{"a": n} for n in range(20_000)]}}),
        ("x", {"filter": {f"f{n}": n for n in range(MAX_CONDITIONS + 1)}}),
        ("x", {"filter": {"a": {"$in": list(range(MAX_VALUES + 1))}}}),
        ("x", {"top_k": "5"}),
        ("x", {"top_k": 5.0}),
        ("x", {"top_k": True}),
        ("x", {"top_k": None}),
        ("x", {"top_k": -1}),
        ("x", {"top_k": 10**30}),
        ("x", {"key": 5}),
        (None, {}),
        (5, {}),
        (b"x", {}),
        ({"x": 1}, {}),
        (["x", None], {}),
    ],
)
def test_whatever_is_wrong_is_told_so(shared: Index, text: Any, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        shared.query(text, **asked)
    str(raised.value).encode()
    assert shared.metrics().to_json().get("production", {}).get("errors", 0) == 0


def test_what_is_within_bounds_is_asked(shared: Index) -> None:
    import numpy as np

    wide = {"$or": [{"title": f"Page {n}"} for n in range(MAX_CONDITIONS)]}
    assert shared.query("about page 1", top_k=np.int64(1), filter=wide)[0].document == "page1.md"  # type: ignore[arg-type]
    values = {"title": {"$in": [f"Page {n}" for n in range(MAX_VALUES)]}}
    assert shared.query("about page 1", top_k=1, filter=values)[0].document == "page1.md"
    assert shared.query("x", top_k=1, filter=deep(MAX_DEPTH - 1)) == []
    assert shared.query("about 🙂", top_k=1, key=HALF)
    assert filter_of(None) is None


def test_what_nobody_waits_for_is_stopped(released: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB itself: the statement would go on for minutes."""
    began, ended = threading.Event(), threading.Event()
    said: list[BaseException] = []

    def endless(self: DuckDBTarget, *_: Any, **__: Any) -> Any:
        try:
            with self._engine.cursor() as cursor:
                began.set()
                cursor.execute(
                    "SELECT count(*) FROM range(4_000_000) a, range(4_000_000) b WHERE (a.range * b.range) % 7 = 8"
                )
        except UnavailableError as error:
            said.append(error)
            raise
        finally:
            ended.set()

    monkeypatch.setattr(DuckDBTarget, "query", endless)
    with open_index("handbook", project=released.base, timeout_s=1.0, retries=2) as index:
        with pytest.raises(UnavailableError, match="not answered within 1 s"):
            index.query("about page 1")
        assert began.is_set()
        assert ended.wait(30)
        assert [str(one).partition(": ")[2] for one in said] == [
            "the question was stopped: nobody waits for it any more"
        ]


def test_small_limits_and_large_questions_open_nothing() -> None:
    now = 100.0
    one = Breaker(1, 30.0, 10.0, clock=lambda: now)
    turn = one.begun()
    one.timed_out(turn, breaker.FLOOR_S / 2)
    assert one.state == "closed"
    one.succeeded(one.begun())  # Somebody else's, while that question was under way.
    now = 104.0
    one.timed_out(turn, 5.0)
    assert one.state == "closed"
    one.timed_out(turn, 3.0)
    assert one.state == "open"


def test_a_small_limit_of_a_caller_opens_nothing(released: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index("handbook", project=released.base, timeout_s=0.001) as index:
        for _ in range(5):
            with pytest.raises(UnavailableError):
                index.query("about page 1")
        assert index.health().breaker == "closed"


@pytest.mark.parametrize("around", [lambda one: {"a": one, "b": one}, lambda one: {"$and": [one, one]}])
def test_a_filter_that_holds_one_object_often_is_as_large_as_it_reads(around: Callable[[object], object]) -> None:
    seen = 0

    class Counted(dict[str, object]):
        def items(self) -> Any:
            nonlocal seen
            seen += 1
            return super().items()

    asked: object = {"$eq": 1}
    for _ in range(30):  # 2 ** 30 objects, were they looked at.
        asked = around(Counted(a=asked))
    with pytest.raises(InputError, match="filter has more than"):
        filter_of(asked)
    assert seen < 2 * MAX_VALUES


def test_a_key_that_is_no_text_is_the_parsers() -> None:
    assert filter_of({10**5_000: 1}) is not None
