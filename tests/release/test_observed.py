"""Marks of a target whose listing has none: fetched once, remembered by the target's mark, and never believed beyond it."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.release.conftest import MakeWorld
from tests.release.world import World
from vector_pipeline.release.observed import FOLDER, forget, marks_of, proved, remember, remembered
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA
from vector_pipeline.testing.memory_target import MemoryTarget

FIRST = dict.fromkeys(range(12), 0)
SECOND = {**dict.fromkeys(range(3, 6), 0), **dict.fromkeys(range(6, 15), 1)}


class Counting(MemoryTarget):
    """Counts what is fetched without vectors: only marks are."""

    def __init__(self, **options: Any) -> None:
        super().__init__("local", **{"scans_marks": False, "max_batch_records": 5, **options})
        self.fetched = 0

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        found = super().fetch(namespace, ids, vectors=vectors)
        self.fetched += 0 if vectors else found.num_rows
        return found


@pytest.fixture
def blind(make_world: MakeWorld) -> Iterator[World]:
    world = make_world(Counting(parallel_writes=3))
    yield world
    shutil.rmtree(Path(world.lake.data) / FOLDER, ignore_errors=True)


def files(world: World) -> list[Path]:
    return sorted((Path(world.lake.data) / FOLDER).rglob("*.marks"))


def same(world: World, namespace: str) -> bool:
    """Whether what is remembered is what the target holds."""
    state = world.target.describe(namespace)
    assert state is not None
    file = remembered(world.lake, world.target, namespace, state)
    if file is None:
        return False
    told = pa.Table.from_batches(marks_of(world.lake, world.target, namespace, state), MARK_SCHEMA).to_pylist()
    real = MemoryTarget("local", world.target.store)  # type: ignore[attr-defined]
    return sorted(told, key=str) == sorted((row for one in real.scan(namespace) for row in one.to_pylist()), key=str)


@pytest.mark.parametrize("strategy", ["versioned", "in-place"])
def test_after_a_push_nothing_is_fetched_to_plan_the_next(blind: World, strategy: str) -> None:
    target = blind.target
    assert isinstance(target, Counting)
    for content in (FIRST, SECOND, {**SECOND, 3: 2, 20: 1}):
        done = blind.push(blind.version(content), strategy)
        assert same(blind, done.plan.namespace)
        assert target.fetched == 0
        assert blind.plan(blind.registry.version(blind.dataset, done.plan.version), strategy).empty
    assert len(files(blind)) == 2, "the newest, and the one before"


@pytest.mark.parametrize("derives", [True, False])
def test_what_is_remembered_is_what_a_target_with_marks_tells(make_world: MakeWorld, derives: bool) -> None:
    world = make_world(Counting(derives=derives))
    for content in (FIRST, SECOND, FIRST, {1: 5}, SECOND):
        assert same(world, world.push(world.version(content), "versioned").plan.namespace)


def test_another_hand_is_looked_at_record_by_record(blind: World) -> None:
    target = blind.target
    assert isinstance(target, Counting)
    namespace = blind.push(blind.version(FIRST)).plan.namespace
    with blind.fence(namespace) as fence:
        MemoryTarget("local", target.store).set_removed(
            namespace, pa.array([sorted(ids(blind, namespace))[0]]), 1, fence=fence
        )
    second = blind.version(SECOND)
    plan = blind.plan(second, "versioned")
    assert target.fetched == len(FIRST)
    assert any("12 records were fetched" in note for note in plan.notes)
    # Looked at before the lease, and not again under it: it was remembered.
    target.fetched = 0
    done = blind.push(second, "versioned")
    assert target.fetched == len(FIRST)
    blind.target = MemoryTarget("local", target.store)
    assert blind.visible(done.deployment) == blind.wanted(2)


def ids(world: World, namespace: str) -> list[str]:
    return [row["id"] for row in world.rows(namespace)]


def test_a_lost_file_costs_one_look(blind: World) -> None:
    target = blind.target
    assert isinstance(target, Counting)
    version = blind.version(FIRST)
    blind.push(version)
    for file in files(blind):
        file.unlink()
    assert blind.push(version).applied.records == 0
    assert target.fetched == len(FIRST)
    assert blind.push(version).applied.records == 0
    assert target.fetched == len(FIRST), "what was fetched is remembered"


def test_what_the_target_does_not_count_is_not_remembered(blind: World, caplog: pytest.LogCaptureFixture) -> None:
    namespace = blind.push(blind.version(FIRST)).plan.namespace
    state = blind.target.describe(namespace)
    assert state is not None
    forget(blind.lake, blind.target, namespace)
    assert not files(blind)
    empty = "SELECT NULL AS id, NULL AS document_id, NULL AS content_hash, NULL AS metadata_hash, NULL AS space, 1 AS added_in"
    remember(blind.lake, blind.target, namespace, state, f"{empty}, {LIVE} AS removed_in")
    assert not files(blind)
    assert "1 records, the target says 12" in caplog.text


def test_proof_asks_the_target_for_every_id(blind: World) -> None:
    """A record that vanished without a new mark, as no target of ours lets it, is not proved by what is remembered."""
    target = blind.target
    assert isinstance(target, Counting)
    namespace = blind.push(blind.version(FIRST)).plan.namespace
    state = target.describe(namespace)
    assert state is not None
    held = target.store.get(namespace)
    assert held is not None
    gone, *others = sorted(held.records)
    hidden = held.records.pop(gone)  # type: ignore[attr-defined]
    held.__dict__.pop("ordered", None)
    try:
        found = pa.Table.from_batches(proved(blind.lake, target, state), MARK_SCHEMA)
    finally:
        held.records[gone] = hidden  # type: ignore[index]
        held.__dict__.pop("ordered", None)
    assert sorted(found["id"].to_pylist()) == others
    assert found["added_in"].null_count == 0
    assert target.fetched == 0


def test_a_mark_that_misses_other_hands_is_not_believed(make_world: MakeWorld) -> None:
    """Where equal marks prove nothing, a push looks at the records again, under its lease too."""
    world = make_world(MemoryTarget("local", sees_foreign_writes=False))
    first = world.push(world.version(FIRST))
    namespace = first.plan.namespace
    mark = world.mark(namespace)
    gone = ids(world, namespace)[:2]
    with world.fence(namespace) as fence:
        MemoryTarget("local", world.target.store).delete(namespace, pa.array(gone), fence=fence)  # type: ignore[attr-defined]
    assert world.mark(namespace) == mark
    plan = world.plan(world.registry.version(world.dataset, 1))
    assert plan.writes == len(gone)
    assert world.push(world.registry.version(world.dataset, 1)).applied.upserted == len(gone)
    assert world.visible(first.deployment) == world.wanted(1)
