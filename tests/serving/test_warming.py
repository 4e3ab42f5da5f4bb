"""A move into another space: nobody waits for the new model's weights, and nobody goes on with the old one for ever."""

import threading
import time
from collections.abc import Callable, Sequence

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
        self.warming = Warming(self.embedder, answers)

    def embedder(self, version: Version) -> Embedder:
        return self.slow if version.number == 2 else self.quick

    def until_served(self, version: int) -> Live:
        deadline = time.monotonic() + 60
        while (found := self.warming.served(self.after)).version.number != version:
            assert time.monotonic() < deadline
        return found


def test_what_is_known_is_served_until_the_model_answered(released: Project) -> None:
    case = Case(released)
    assert case.warming.served(case.before) is case.before
    assert case.warming.served(case.after) is case.before
    assert case.slow.asked.acquire(timeout=60)
    assert case.warming.served(case.after) is case.before
    case.slow.let.set()
    assert case.until_served(2) is case.after
    # It was asked once, and going back waits for nothing.
    assert not case.slow.asked.acquire(blocking=False)
    assert case.warming.served(case.before) is case.before
    assert case.warming.served(case.after) is case.after
    case.warming.close(60)


def test_the_first_query_loads(released: Project) -> None:
    case = Case(released)
    assert case.warming.served(case.after) is case.after
    assert not case.slow.asked.acquire(blocking=False)


def test_a_place_that_does_not_answer_is_waited_for_no_more(released: Project) -> None:
    away: list[Live] = []
    case = Case(released, answers=lambda live: live not in away)
    case.warming.served(case.before)
    assert case.warming.served(case.after) is case.before
    away.append(case.before)
    assert case.warming.served(case.after) is case.after
    case.slow.let.set()
    case.warming.close(60)


def test_a_model_that_cannot_be_loaded_is_told_by_the_query(released: Project) -> None:
    case = Case(released)
    case.warming.served(case.before)
    case.slow._fails = True
    case.slow.let.set()
    assert case.until_served(2) is case.after
    case.warming.close(60)

    def missing(version: Version) -> Embedder:
        if version.number == 2:
            raise RefusedError("it is another model here")
        return case.quick

    refusing = Warming(missing, lambda _: True)
    refusing.served(case.before)
    assert refusing.served(case.after) is case.after


def test_nobody_waits_longer_than_a_version_is_kept(released: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(released)
    case.warming.served(case.before)
    assert case.warming.served(case.after) is case.before
    monkeypatch.setattr(warming, "WARM_S", 0.0)
    assert case.warming.served(case.after) is case.after
    case.slow.let.set()
    case.warming.close(60)


def test_a_route_takes_nobody_before_its_model_is_there(released: Project) -> None:
    case = Case(released, share=0.5)
    assert case.after.routed is not None
    case.warming.served(case.before)
    first = case.warming.served(case.after)
    assert (first.served, first.routed) == (case.after.served, None)
    case.slow.let.set()
    deadline = time.monotonic() + 60
    while case.warming.served(case.after).routed is None:
        assert time.monotonic() < deadline
    assert case.warming.served(case.after) is case.after
    case.warming.close(60)
