"""A move into another space: nobody waits for the new model's weights, and nobody goes on with the old one for ever."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.embedding.deterministic import DeterministicEmbedder
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Version
from vector_pipeline.serving import warming
from vector_pipeline.serving.resolving import Followed, Live
from vector_pipeline.serving.warming import Warming


class Slow(DeterministicEmbedder):
    """Answers when it is let."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(EmbedderConfig(kind="deterministic", model="slow"))
        self.let, self.asked, self._fails = threading.Event(), threading.Semaphore(0), fails

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.asked.release()
        assert self.let.wait(60)
        if self._fails:
            raise UnavailableError("there are no weights")
        return super().embed_queries(texts)


class Case:
    """Version 1 is known to a reader; version 2, of another model, was promoted, or has a share of the readers."""

    def __init__(
        self, released: Project, *, answers: Callable[[Live], bool] = lambda _: True, share: float | None = None
    ) -> None:
        follows = Followed(released, "handbook", "production", route=True)
        self.before = follows.ask(None)
        if share is None:
            released.promote("handbook", by="test")
        else:
            released.route("handbook", 2, share, by="test", reason="to try it")
        self.after = follows.ask(self.before)
        self.slow = Slow()
        self.quick = DeterministicEmbedder(EmbedderConfig(kind="deterministic", model="quick"))
        self.warming = Warming(lambda version: version.number, self.embedder, answers)

    def served(self, live: Live) -> Live:
        """What a query gets after the registry said this."""
        self.warming.heard(live)
        return self.warming.taken(live)

    def embedder(self, version: Version) -> Embedder:
        return self.slow if version.number == 2 else self.quick

    def until_served(self, version: int) -> Live:
        deadline = time.monotonic() + 60
        while (found := self.warming.served(self.after)).version.number != version:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return found


def test_what_is_known_is_served_until_the_model_answered(released: Project) -> None:
    case = Case(released)
    assert case.served(case.before) is case.before
    assert case.served(case.after).served is case.before.served
    assert case.slow.asked.acquire(timeout=60)
    assert case.served(case.after).served is case.before.served
    case.slow.let.set()
    assert case.until_served(2) is case.after
    # It was asked once, and going back waits for nothing.
    assert not case.slow.asked.acquire(blocking=False)
    assert case.served(case.before) is case.before
    assert case.served(case.after) is case.after
    case.warming.close(60)


def test_loading_begins_when_the_move_is_heard_of_and_asking_changes_nothing(released: Project) -> None:
    case = Case(released)
    case.served(case.before)
    assert case.warming.served(case.after).served is case.before.served
    assert not case.slow.asked.acquire(timeout=0.1)
    case.warming.heard(case.after)
    assert case.slow.asked.acquire(timeout=60)
    case.slow.let.set()
    case.warming.close(60)


def test_a_reader_that_was_not_asked_loads_nothing(released: Project) -> None:
    case = Case(released)
    case.warming.heard(case.before)
    case.warming.heard(case.after)
    assert case.warming.taken(case.after) is case.after
    assert not case.slow.asked.acquire(timeout=0.1)
    # The version before was never loaded: going back to it is a move, too.
    assert case.served(case.before).served is case.after.served
    case.slow.let.set()
    case.warming.close(60)


def test_a_place_that_does_not_answer_is_waited_for_no_more(released: Project) -> None:
    away: list[Live] = []
    case = Case(released, answers=lambda live: live not in away)
    case.served(case.before)
    assert case.served(case.after).served is case.before.served
    away.append(case.before)
    assert case.served(case.after) is case.after
    case.slow.let.set()
    case.warming.close(60)


def test_a_model_that_cannot_be_loaded_is_told_by_the_query(released: Project) -> None:
    case = Case(released)
    case.served(case.before)
    case.slow._fails = True
    case.slow.let.set()
    case.warming.heard(case.after)
    assert case.until_served(2) is case.after
    case.warming.close(60)

    def missing(version: Version) -> Embedder:
        raise RefusedError("it is another model here")

    case.warming = Warming(lambda version: version.number, missing, lambda _: True)
    case.served(case.before)
    case.warming.heard(case.after)
    assert case.until_served(2) is case.after
    case.warming.close(60)


def test_the_version_before_is_served_for_so_long_since_the_registry_named_it(
    released: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(released)
    case.slow.let.set()
    # It was asked last an hour ago: what it said then holds nobody back now.
    case.served(replace(case.before, asked=case.before.asked - 3600))
    assert case.served(case.after) is case.after
    case.warming.close(60)

    case.slow = Slow()
    case.warming = Warming(lambda version: version.number, case.embedder, lambda _: True)
    case.served(case.before)
    assert case.served(case.after).served is case.before.served
    monkeypatch.setattr(warming, "WARM_S", 0.0)
    assert case.served(case.after) is case.after
    case.slow.let.set()
    case.warming.close(60)


def test_a_route_takes_nobody_before_its_model_is_there(released: Project) -> None:
    case = Case(released, share=0.5)
    assert case.after.routed is not None
    case.served(case.before)
    first = case.served(case.after)
    assert (first.served, first.routed) == (case.after.served, None)
    case.slow.let.set()
    deadline = time.monotonic() + 60
    while case.warming.served(case.after).routed is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert case.warming.served(case.after) is case.after
    case.warming.close(60)
