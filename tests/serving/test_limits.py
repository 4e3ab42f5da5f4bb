"""Time limits, retries, counts and health."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tests.serving.conftest import namespace_of
from vector_pipeline.errors import InputError, RefusedError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, breaker, open_index, reader
from vector_pipeline.serving.metering import BUCKETS_S, Meter
from vector_pipeline.targets.duckdb.target import DuckDBTarget


@pytest.fixture
def index(released: Project) -> Iterator[Index]:
    with open_index("handbook", project=released.base) as opened:
        yield opened


class Flaky:
    """A target's ``query`` that fails as often as it is told, or holds on until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = 0
        self.asked = 0
        self.held: threading.Event | None = None
        self.hangs: str | None = None
        """The namespace that does; None: each."""
        query = DuckDBTarget.query
        flaky = self

        def asked(self: DuckDBTarget, *args: Any, **keywords: Any) -> Any:
            flaky.asked += 1
            if flaky.held is not None and flaky.hangs in (None, args[0]):
                flaky.held.wait(30)
            if flaky.fails > 0:
                flaky.fails -= 1
                raise UnavailableError("it does not answer for the moment")
            return query(self, *args, **keywords)

        monkeypatch.setattr(DuckDBTarget, "query", asked)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    made = Flaky(monkeypatch)
    yield made
    if made.held is not None:
        made.held.set()


def test_what_does_not_answer_is_asked_again_so_often(released: Project, flaky: Flaky) -> None:
    with open_index("handbook", project=released.base, retries=2) as index:
        flaky.fails = 2
        assert index.query("about page 1")
        assert flaky.asked == 3
        flaky.fails = 3
        with pytest.raises(UnavailableError):
            index.query("about page 1")
        assert flaky.asked == 6
    arm = index.metrics().arms["production"]
    assert (arm.count, arm.errors) == (2, 1)


def test_a_query_ends_in_its_time_and_counts_against_the_place(
    released: Project, flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FLOOR_S", 0.05)
    flaky.held = threading.Event()
    with open_index("handbook", project=released.base, timeout_s=0.2) as index:
        for _ in range(3):
            with pytest.raises(UnavailableError, match=r"within 0.2 s: it is where local is asked") as raised:
                index.query("about page 1")
            assert raised.value.code == "timeout"
        assert index.health().breaker == "open"
        arm = index.metrics().arms["production"]
        assert (arm.count, arm.errors) == (3, 3)
        flaky.held.set()


def test_nothing_is_tried_again_when_time_is_over(released: Project, flaky: Flaky) -> None:
    flaky.fails = 10_000
    with open_index("handbook", project=released.base, timeout_s=0.5, retries=1_000) as index:
        with pytest.raises(UnavailableError):
            index.query("about page 1")
        index.close()  # Waits for what has begun.
        asked = flaky.asked
    assert flaky.asked == asked < 1_000


def test_threads_share_an_index(index: Index) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: index.search(f"about page {number % 4}", top_k=1), range(64)))
    assert [one.hits[0].document for one in found] == [f"page{number % 4}.md" for number in range(64)]
    arm = index.metrics().arms["production"]
    assert (arm.count, arm.errors, arm.buckets[-1]) == (64, 0, (float("inf"), 64))
    assert arm.seconds > arm.embed_s + arm.search_s > 0


def test_an_answer_says_where_it_comes_from(index: Index) -> None:
    answer = index.search("about page 1", top_k=2)
    assert (answer.version, answer.space, answer.arm, answer.bridged) == (1, "tiny", "production", False)
    assert answer.took_s > 0
    assert answer.hits == index.query("about page 1", top_k=2)


def test_health_names_what_is_wrong(released: Project) -> None:
    with open_index("handbook", project=released.base) as index:
        health = index.health()
        assert (health.ok, health.version, health.space, health.arm, health.pushed) == (
            True,
            1,
            "tiny",
            "production",
            False,
        )
        assert health.to_json()["registry"] == {"ok": True, "said": ""}
        released.target("handbook").drop_namespace(
            released.registry().alias("handbook", "dev", "production").deployment.namespace,  # type: ignore[union-attr]
            fence=1_000,
        )
        health = index.health()
        assert (health.ok, health.target.ok, health.registry.ok) == (False, False, True)
        assert "has no handbook--tiny" in health.target.said


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0}, {"timeout_s": -1.0}, {"timeout_s": float("inf")}, {"timeout_s": float("nan")}, {"timeout_s": 1e10},
        {"max_staleness_s": float("nan")}, {"max_staleness_s": float("inf")}, {"max_staleness_s": -0.5}, {"retries": -1},
    ],
)  # fmt: skip
def test_bad_limits_are_refused(template: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        open_index("handbook", project=template, **wrong)


@pytest.mark.slow
def test_calls_that_hang_take_no_threads_from_others(
    released: Project, flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Production hangs and cannot be stopped: the version before answers, however many wait for production still."""
    monkeypatch.setattr(reader, "THREADS", 8)
    released.promote("handbook", by="test")
    with (
        open_index("handbook", project=released.base, timeout_s=2.0, retries=0) as index,
        ThreadPoolExecutor(16) as many,
    ):
        assert index.search("about page 1").version == 2
        place = breaker.Breaker(pause_s=1e6)  # Nobody tries production again here.
        index._asker.arms._breakers[index._follower.current().served.deployment.id, False] = place
        flaky.held, flaky.hangs = threading.Event(), namespace_of(released, 2)
        asked = [many.submit(index.search, "about page 1") for _ in range(16)]
        errors = [str(one.exception(60)) for one in asked]
        assert any("no thread was free" in one or "where local is asked" in one for one in errors)
        assert not index._threads._queue
        while place.state == "closed":  # On a slow machine some were out of time before they asked it.
            with suppress(UnavailableError):
                index.search("about page 1")
        index._timeout = 60.0
        assert index.search("about page 1").arm == "previous"
        flaky.held.set()


def test_an_embedder_gone_wrong_is_told_apart(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    from vector_pipeline.embedding.deterministic import DeterministicEmbedder

    def refuse(*_: object) -> np.ndarray[Any, Any]:
        raise RefusedError("no such model")

    monkeypatch.setattr(DeterministicEmbedder, "embed_queries", refuse)
    with pytest.raises(RefusedError):
        index.query("about page 1")
    arm = index.metrics().arms["production"]
    assert (arm.errors, arm.search_s) == (1, 0.0)


def test_buckets_are_cumulative_and_lose_nothing() -> None:
    meter = Meter()

    def add(seconds: float) -> Callable[[], None]:
        return lambda: meter.add("production", seconds)

    with ThreadPoolExecutor(8) as threads:
        for bound in (*BUCKETS_S, 99.0):
            for _ in range(100):
                threads.submit(add(bound))
    arm = meter.read().arms["production"]
    assert [calls for _, calls in arm.buckets] == [100 * (n + 1) for n in range(len(BUCKETS_S) + 1)]
    assert arm.count == arm.buckets[-1][1]
