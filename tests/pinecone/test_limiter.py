"""The limiter keeps under the limits in every second, and waits no longer than that takes."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pinecone.errors import exceptions as sdk

from tests.support.pinecone import pinecone_config
from vector_pipeline.config.targets import PineconeLimitsConfig
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.limiter import Bucket, Limiter
from vector_pipeline.targets.pinecone.service import Place, Service
from vector_pipeline.testing.target_records import Namespace


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def busiest(times: list[tuple[float, float]]) -> float:
    """The most that any window of a second saw."""
    return max(sum(amount for at, amount in times if begin <= at < begin + 1) for begin, _ in times)


@settings(max_examples=200, deadline=None)
@given(
    limit=st.sampled_from([5.0, 100.0, 5_000.0]),
    amounts=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=120),
    pauses=st.lists(st.floats(0, 0.4), min_size=1, max_size=120),
)
def test_no_second_sees_more_than_the_limit(limit: float, amounts: list[float], pauses: list[float]) -> None:
    clock = Clock()
    burst = limit / 5
    bucket = Bucket(limit, burst, clock)
    sent: list[tuple[float, float]] = []
    for share, pause in zip(amounts, pauses * len(amounts), strict=False):
        clock.now += pause
        clock.now += bucket.reserve(share * burst)
        sent.append((clock.now, share * burst))
    assert busiest(sent) <= limit * (1 + 1e-9)


def test_what_is_under_the_limit_never_waits() -> None:
    clock = Clock()
    limiter = Limiter(PineconeLimitsConfig(), clock=clock, sleep=clock.sleep)
    for _ in range(200):
        limiter.wait("a", "upsert", sent=400_000)
        clock.now += 0.012
    assert clock.slept == []


def test_the_whole_limit_is_used() -> None:
    clock = Clock()
    limiter = Limiter(PineconeLimitsConfig(), clock=clock, sleep=clock.sleep)
    began = clock.now
    for _ in range(1_000):
        limiter.wait("a", "update", updates=1)
    assert 9 <= clock.now - began <= 12


@pytest.mark.parametrize(
    ("cost", "count", "seconds"),
    [
        ({"sent": 2_000_000}, 250, 10.0),
        ({"deletes": 1_000}, 50, 10.0),
        ({"by_metadata": True}, 50, 10.0),
    ],
)
def test_each_limit_is_kept(cost: dict[str, int], count: int, seconds: float) -> None:
    clock = Clock()
    limiter = Limiter(PineconeLimitsConfig(), clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(count):
        limiter.wait("a", "write", **cost)  # type: ignore[arg-type]
        times.append((clock.now, 1.0))
    assert busiest(times) <= count / seconds
    assert clock.now - 100 <= seconds * 1.35


def test_what_is_sent_again_waits_again() -> None:
    """A second try is a second request to the service."""
    clock = Clock()
    service = Service("cloud", pinecone_config(limits={"updates": 10}), clock=clock, sleep=clock.sleep)
    service.client.data = lambda host: None  # type: ignore[assignment,return-value,method-assign]
    place = Place("line", "index", "host", 8, "cosine", "")
    sent: list[tuple[float, float]] = []

    def refused(index: object) -> int:
        sent.append((clock.now, 1.0))
        if len(sent) % 5:
            raise sdk.RateLimitError("later", 429, headers={"Retry-After": "0"})
        return len(sent)

    for _ in range(10):
        service.data(place, refused, "update", writes=True, verb="update", updates=1)
    assert len(sent) == 50
    assert busiest(sent) <= 10


def test_looking_for_a_namespace_keeps_its_buckets(open_target: Callable[..., PineconeTarget]) -> None:
    target = open_target()
    space = Namespace(target)
    space.create()
    before = dict(target.service.limiter._buckets)
    assert before
    target.indexes.look(space.name)
    target.indexes.look("no-such-namespace")
    assert target.service.limiter._buckets == before
    target.drop_namespace(space.name)
    assert target.service.limiter._buckets == {}


def test_namespaces_and_verbs_do_not_wait_for_each_other() -> None:
    clock = Clock()
    limiter = Limiter(PineconeLimitsConfig(requests=10), clock=clock, sleep=clock.sleep)
    for name in ("a", "b"):
        for verb in ("query", "fetch"):
            limiter.wait(name, verb)
    assert clock.slept == []
    limiter.wait("a", "query")
    assert len(clock.slept) == 1
    limiter.forget("a")
    limiter.wait("a", "query")
    assert len(clock.slept) == 1
