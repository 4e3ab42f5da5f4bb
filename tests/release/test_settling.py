"""A push that did not end, on a target that shows late what was written: nothing of it is seen in the next version."""

import logging
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tests.release.conftest import MakeWorld
from tests.release.world import SPACE, World
from vector_pipeline.errors import RefusedError
from vector_pipeline.release import settling
from vector_pipeline.release.hands import explained, untouched
from vector_pipeline.release.registry import PushStatus
from vector_pipeline.release.settling import settle
from vector_pipeline.targets.base import LIVE, WriteReceipt, record_schema
from vector_pipeline.testing.memory_target import MemoryTarget

LAG = 300
"""Reads: more than are made before a push is planned."""
FIRST = dict.fromkeys(range(30), 0)
SECOND = {**dict.fromkeys(range(10, 30), 0), **dict.fromkeys(range(100, 130), 0)}
THIRD = {**dict.fromkeys(range(25), 0), **dict.fromkeys(range(110, 115), 0)}


class Died(BaseException):
    """What nobody catches."""


def refused() -> BaseException:
    return RefusedError("no more of that")


class Mortal(MemoryTarget):
    """A service without fences, whose reads see late; ``dies`` says when the work on it ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            "local",
            **{
                "max_batch_records": 10,
                "fencing": False,
                "derives": False,
                "updates_metadata": False,
                "lag": LAG,
                **options,
            },
        )
        self.left, self.end = -1, Died
        self.awaited: list[WriteReceipt] = []

    def dies(self, after: int, end: Callable[[], BaseException]) -> None:
        """Raise what ``end`` makes in place of the upsert that comes after so many."""
        self.left, self.end = after, end  # type: ignore[assignment]

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        self.left -= 1
        if self.left == -1:
            raise self.end()
        return super().upsert(namespace, records, fence=fence)

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        self.awaited.append(receipt)
        super().wait_until_fresh(namespace, receipt, timeout_s=timeout_s)


def target_of(world: World) -> Mortal:
    assert isinstance(world.target, Mortal)
    return world.target


def interrupted(world: World, end: Callable[[], BaseException], after: int = 2) -> str:
    """One whole version, and a second whose push came to ``end``; the line."""
    namespace = world.push(world.version(FIRST)).plan.namespace
    target_of(world).dies(after, end)
    with pytest.raises((Died, RefusedError)):
        world.push(world.version(SECOND), "versioned")
    target_of(world).awaited.clear()
    return namespace


@pytest.mark.parametrize(("end", "scans_marks"), [(Died, True), (refused, False)])
def test_the_next_version_shows_nothing_of_a_push_that_did_not_end(
    make_world: MakeWorld, end: Callable[[], BaseException], scans_marks: bool
) -> None:
    world = make_world(Mortal(scans_marks=scans_marks))
    namespace = interrupted(world, end)
    done = world.push(world.version(THIRD), "versioned")
    assert done.plan.namespace == namespace
    assert untouched(world.registry, "dev", "local", namespace, world.mark(namespace))
    # What readers will see: now, without a lag, and with marks.
    world.target = MemoryTarget("local", target_of(world).store)
    assert world.visible(done.deployment) == world.wanted(3)
    first = world.registry.find_deployment("dev", "local", namespace, 1)
    assert first is not None
    assert world.visible(first) == world.wanted(1)
    assert world.plan(world.registry.version(world.dataset, 3), "versioned").empty


def test_what_the_journal_knows_is_awaited_and_nothing_written(make_world: MakeWorld) -> None:
    world = make_world(Mortal())
    namespace = interrupted(world, refused)
    push = world.registry.newest_push("local", namespace)
    assert push is not None
    assert push.status is PushStatus.FAILED
    assert settle(world.registry, world.target, namespace)
    marks = [receipt.mark for receipt in target_of(world).awaited]
    assert len(marks) == 3  # The namespace's, and of two upserts.
    assert marks[0] == world.mark(namespace)
    assert explained(world.registry, "dev", "local", namespace, world.mark(namespace))


def test_after_a_push_that_ended_nothing_is_waited_for(make_world: MakeWorld) -> None:
    world = make_world(Mortal())
    namespace = interrupted(world, Died)
    assert settle(world.registry, world.target, namespace)
    assert [receipt.mark for receipt in target_of(world).awaited] == [None]
    world.push(world.version(THIRD), "versioned")
    assert not settle(world.registry, world.target, namespace)
    assert not settle(world.registry, world.target, "no such line")
    at_once = Mortal(lag=0)
    assert not settle(world.registry, at_once, namespace)


def test_a_saved_plan_holds_where_settling_alone_moved_the_mark(make_world: MakeWorld) -> None:
    class Numbered(Mortal):
        """What is written behind everything moves the mark, as a service's own bookkeeping does."""

        def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
            if receipt.mark is None:
                self.store.change(namespace, None, lambda state: ({**state.records}, 1))
            super().wait_until_fresh(namespace, receipt, timeout_s=timeout_s)

    world = make_world(Numbered())
    namespace = interrupted(world, Died)
    target_of(world).tick(LAG)
    third = world.version(THIRD)
    saved = world.plan(third, "versioned")
    before = world.mark(namespace)
    done = world.push(third, saved=saved)
    assert done.plan.preconditions.mark not in (None, before)
    target_of(world).tick(LAG)
    assert world.visible(done.deployment) == world.wanted(3)


def test_a_count_that_is_not_the_plans_is_not_called_ours(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(Mortal):
        """Somebody else writes behind our first upsert, and the service does not say the marks of writes."""

        def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
            receipt = super().upsert(namespace, records, fence=fence)
            if self.left == 0:
                MemoryTarget("other", self.store, fencing=False).upsert(namespace, foreign())
            return WriteReceipt(receipt.records, receipt.bytes)

    monkeypatch.setattr(settling, "COUNTING_S", 0.2)
    world = make_world(Busy(lag=3))
    target_of(world).dies(10, Died)
    namespace = world.push(world.version(FIRST)).plan.namespace
    mark = world.mark(namespace)
    assert untouched(world.registry, "dev", "local", namespace, mark)
    target_of(world).dies(1, Died)
    with caplog.at_level(logging.WARNING):
        world.push(world.version({**FIRST, 40: 0}), "versioned")
    assert "has 32 records after the push, not 31" in caplog.text
    known = world.registry.namespace_record("dev", "local", namespace)
    assert known is not None
    assert (known.mark, known.records) == (mark, 30)


def foreign() -> pa.Table:
    row = {
        "id": "foreign", "vector": [1.0, 0.0, 0.0, 0.0], "document_id": "d", "content_hash": "c", "metadata_hash": "m",
        "space": SPACE, "added_in": 1, "removed_in": LIVE, "text": "t", "metadata": "{}",
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=record_schema(4))
