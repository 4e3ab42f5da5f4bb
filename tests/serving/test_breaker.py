"""When a place does not answer: another version stands in, within bounds of time, and never a wrong one."""

import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.serving.conftest import edited, index_folder, namespace_of
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, open_index
from vector_pipeline.serving.breaker import Breaker


@pytest.fixture
def served(released: Project) -> Project:
    """Version 2 in production, version 1 before it, each in a namespace of its own."""
    released.promote("handbook", by="test")
    return released


@pytest.fixture
def index(served: Project) -> Iterator[Index]:
    with open_index("handbook", project=served.base, retries=0) as opened:
        yield opened


def lost(project: Project, version: int) -> None:
    """Somebody deletes a namespace behind our back."""
    project.target("handbook").drop_namespace(namespace_of(project, version), fence=1_000)


def test_the_version_before_stands_in_and_is_marked(served: Project, index: Index) -> None:
    assert index.search("about page 1").arm == "production"
    lost(served, 2)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            index.search("about page 1")
    # The third failure in a row opens it, and that query is answered already.
    answers = [index.search("about page 1", top_k=1) for _ in range(3)]
    assert {(one.arm, one.version) for one in answers} == {("previous", 1)}
    health = index.health()
    assert (health.ok, health.arm, health.version, health.breaker) == (True, "previous", 1, "open")
    assert not health.target.ok
    arms = index.metrics().arms
    assert (arms["production"].errors, arms["previous"].count, arms["previous"].errors) == (3, 3, 0)


def test_it_is_tried_again_and_production_comes_back(served: Project, index: Index) -> None:
    now = 0.0
    index._asker.arms._breakers[index._follower.current().served.deployment.id, False] = Breaker(clock=lambda: now)
    folder = index_folder(served) / namespace_of(served, 2)
    assert folder.is_dir()
    away = folder.with_name("away")
    shutil.move(folder, away)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            index.search("about page 1")
    assert index.search("about page 1").arm == "previous"
    now = 11.0
    assert index.health().breaker == "half-open"
    assert index.search("about page 1").arm == "previous"  # The trial failed.
    assert index.health().breaker == "open"
    shutil.move(away, folder)
    assert index.search("about page 1").arm == "previous"  # Not before the pause is over.
    now = 22.0
    assert index.search("about page 1").arm == "production"
    assert index.health().breaker == "closed"


def test_without_a_version_elsewhere_there_is_no_other_answer(released: Project) -> None:
    with open_index("handbook", project=released.base, retries=0) as index:
        lost(released, 1)
        for _ in range(5):
            with pytest.raises(NotFoundError):
                index.search("about page 1")
        assert not index.health().ok


def test_a_wrong_query_opens_nothing(index: Index) -> None:
    for _ in range(5):
        with pytest.raises(Exception, match="bad"):
            index.query("x", filter={"year": {"$bad": 1}})
    assert index.search("about page 1").arm == "production"
    assert index.health().breaker == "closed"


def test_a_route_never_costs_an_answer(released: Project) -> None:
    released.route("handbook", 2, 1.0, by="test", reason="try it")
    with open_index("handbook", project=released.base, retries=0) as index:
        assert index.search("about page 1").arm == "route"
        lost(released, 2)
        assert {index.search("about page 1").arm for _ in range(5)} == {"production"}
        arms = index.metrics().arms
        # After three the route is not asked for a while.
        assert (arms["route"].count, arms["route"].errors, arms["production"].errors) == (4, 3, 0)


def test_a_reader_without_fallback_says_what_is_wrong(served: Project) -> None:
    with open_index("handbook", project=served.base, retries=0, fallback=False) as index:
        index.query("about page 1")
        lost(served, 2)
        for _ in range(5):
            with pytest.raises(NotFoundError):
                index.query("about page 1")


def test_an_embedder_that_is_not_here_opens_nothing(served: Project) -> None:
    config = served.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace("model: seed", "model: swapped"), encoding="utf-8")
    with open_index("handbook", project=config) as index:
        for _ in range(5):
            with pytest.raises(RefusedError):
                index.query("about page 1")
        health = index.health()
        assert (health.ok, health.embedder.ok, health.target.ok, health.breaker) == (False, False, True, "closed")


@pytest.mark.slow
def test_versions_in_one_namespace_do_not_stand_in_for_each_other(released: Project) -> None:
    """What does not answer there does not answer there for another version."""
    released.promote("handbook", by="test")
    edited(released, 902, strategy="versioned")
    with open_index("handbook", project=released.base) as index:
        live = index._follower.current()
        assert (live.version.number, live.previous) == (3, None)


@settings(max_examples=60, stateful_step_count=30)
class BreakerModel(RuleBasedStateMachine):
    """The laws of the breaker against a plain count."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(3, 30.0, 10.0, clock=lambda: self.now)
        self.row: list[float] = []
        self.opened: float | None = None

    @rule(seconds=st.floats(0.1, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(answers=st.booleans())
    def call(self, answers: bool) -> None:
        allowed = self.breaker.allows()
        assert (allowed is not None) == (self.opened is None or self.now >= self.opened + 10.0)
        if allowed is None:
            return
        if answers:
            self.breaker.succeeded(allowed)
            self.row, self.opened = [], None
            return
        self.breaker.failed(allowed)
        self.row = [*self.row[-2:], self.now]
        if self.opened is not None or (len(self.row) == 3 and self.now - self.row[0] <= 30.0):
            self.opened = self.now

    @invariant()
    def says_so(self) -> None:
        wanted = "closed" if self.opened is None else "open" if self.now < self.opened + 10.0 else "half-open"
        assert self.breaker.state == wanted


TestBreaker = BreakerModel.TestCase


def opened() -> tuple[list[float], Breaker]:
    """A breaker that has just opened, at second 0."""
    now = [0.0]
    breaker = Breaker(1, 30.0, 10.0, clock=lambda: now[0])
    breaker.failed(breaker.begun())
    assert breaker.state == "open"
    return now, breaker


def test_one_call_at_a_time_tries_again() -> None:
    now, breaker = opened()
    now[0] = 10.0
    first = breaker.allows()
    assert first is not None
    assert [breaker.allows() for _ in range(2)] == [None, None]
    breaker.unsaid(first)
    assert breaker.allows() is not None
    assert breaker.allows() is None
    now[0] = 21.0  # It never ended.
    third = breaker.allows()
    assert third is not None
    breaker.succeeded(third)
    assert breaker.state == "closed"


def test_a_trial_is_ended_by_nobody_else() -> None:
    now, breaker = opened()
    other = breaker.begun()
    now[0] = 11.0
    trial = breaker.allows()
    assert trial is not None
    breaker.unsaid(other)  # Wrong in itself, or cancelled.
    breaker.timed_out(other, 0.1)
    breaker.failed(other)
    assert (breaker.allows(), breaker.state) == (None, "half-open")
    breaker.succeeded(trial)
    assert breaker.state == "closed"


def test_what_began_before_says_nothing_of_now() -> None:
    now = 0.0
    breaker = Breaker(1, 30.0, 10.0, clock=lambda: now)
    early, bad = breaker.allows(), breaker.allows()
    assert early is not None
    assert bad is not None
    breaker.failed(bad)
    breaker.succeeded(early)
    assert breaker.state == "open"
    now = 10.0  # Nor does it end somebody's trial.
    assert breaker.allows() is not None
    breaker.succeeded(early)
    assert (breaker.state, breaker.allows()) == ("half-open", None)


def test_any_answer_since_it_opened_closes_it(released: Project) -> None:
    with open_index("handbook", project=released.base, retries=0) as index:
        folder = index_folder(released) / namespace_of(released, 1)
        index.search("about page 1")
        away = shutil.move(folder, folder.with_name("away"))
        for _ in range(3):
            with pytest.raises(NotFoundError):
                index.search("about page 1")
        assert index.health().breaker == "open"
        shutil.move(away, folder)
        # Nothing stands in: it is asked all the same, and answers.
        assert index.search("about page 1").arm == "production"
        health = index.health()
        assert (health.ok, health.breaker) == (True, "closed")
