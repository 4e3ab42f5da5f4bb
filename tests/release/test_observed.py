"""Marks of a target whose listing has none: fetched once, remembered by the target's mark, and never believed beyond it."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.release.conftest import MakeWorld
from tests.release.world import World
from vector_pipeline.drift import audit
from vector_pipeline.drift.repair import repair_line
from vector_pipeline.drift.repair_plan import RepairLine
from vector_pipeline.lake.snapshots import read_identities
from vector_pipeline.release.observed import marks_of, proved
from vector_pipeline.release.registry import Deployment
from vector_pipeline.release.remembering import FOLDER, forget, remember, remembered
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA, WriteReceipt
from vector_pipeline.testing.memory_store import MemoryStore
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.verify.coverage import coverage
from vector_pipeline.verify.outcome import Status

FIRST = dict.fromkeys(range(12), 0)
NAMES = ", ".join(MARK_SCHEMA.names)
SECOND = {**dict.fromkeys(range(3, 6), 0), **dict.fromkeys(range(6, 15), 1)}


class Counting(MemoryTarget):
    """Counts what is fetched without vectors: only marks are."""

    def __init__(self, name: str = "local", store: MemoryStore | None = None, **options: Any) -> None:
        super().__init__(name, store, **{"scans_marks": False, "max_batch_records": 5, **options})
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
    return sorted((Path(world.lake.data) / FOLDER).glob(f"*/{world.dataset}--*/[01].marks"))


def ledgers(world: World) -> list[Path]:
    return sorted((Path(world.lake.data) / FOLDER).glob(f"*/{world.dataset}--*/*.since"))


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
    assert len(files(blind)) == (2 if strategy == "in-place" else 1), (
        "the newest, and the one before; or one that ledgers add to"
    )


@pytest.mark.slow
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
    # What the plan has fetched is not fetched again: it was remembered.
    target.fetched = 0
    done = blind.push(second, "versioned")
    assert target.fetched == 0
    blind.target = MemoryTarget("local", target.store)
    assert blind.visible(done.deployment) == blind.wanted(2)


def ids(world: World, namespace: str) -> list[str]:
    return [row["id"] for row in world.rows(namespace)]


def test_a_lost_file_costs_one_look(blind: World) -> None:
    target = blind.target
    assert isinstance(target, Counting)
    version = blind.version(FIRST)
    blind.push(version)
    for file in (*files(blind), *ledgers(blind)):
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
    assert list(proved(blind.lake, target, state))
    assert target.fetched == len(FIRST), "what a push computed proves nothing"
    target.fetched = 0
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


class Overtaken(Counting):
    """What ``late`` does happens once, before the next upsert: as if it had been on its way for long."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"fencing": False, "derives": False, **options})
        self.late: Callable[[], object] | None = None

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        late, self.late = self.late, None
        if late is not None:
            late()
        return super().upsert(namespace, records, fence=fence)


@pytest.mark.slow
def test_what_lands_in_the_midst_of_a_push_is_seen_by_gates_and_audits(make_world: MakeWorld) -> None:
    """A late close of a push that was given up, without fences: the mark afterwards is our own, and what was computed is wrong."""
    target = Overtaken()
    world = make_world(target)
    namespace = world.push(world.version(FIRST)).plan.namespace
    hand = MemoryTarget("local", target.store, fencing=False)
    hidden = pa.array(ids(world, namespace)[:2])
    target.late = lambda: hand.set_removed(namespace, hidden, 2)
    third = world.version({**FIRST, 20: 0})
    done = world.push(third, "versioned")
    state = target.describe(namespace)
    assert state is not None
    assert world.plan(third).empty, "a plan may be made from what was computed"
    desired = read_identities(world.lake, tables_of(third), third.lake_snapshot)
    covered = coverage(desired, proved(world.lake, target, state), third.number, third.fingerprint)
    assert covered.status is Status.FAILED
    assert same(world, namespace), "what was fetched is remembered"
    target.fetched = 0
    assert audit(world.lake, world.registry, target, done.deployment, third, level="ids").stale_marks == 2
    assert target.fetched == 0
    assert world.push(third).applied.upserted == 2


@pytest.mark.slow
def test_an_audit_and_a_repair_do_not_believe_what_was_computed(make_world: MakeWorld) -> None:
    target = Overtaken()
    world = make_world(target)
    namespace = world.push(world.version(FIRST)).plan.namespace
    hand = MemoryTarget("local", target.store, fencing=False)
    hidden = pa.array(ids(world, namespace)[:2])
    for lost in (audit, repair_line):
        target.late = lambda: hand.set_removed(namespace, hidden, 2)
        version = world.version({**FIRST, 20: len(world.contents)})
        done = world.push(version, "versioned")
        if lost is audit:
            assert audit(world.lake, world.registry, target, done.deployment, version, level="ids").drifted
        line = RepairLine((done.deployment,), (version,), done.deployment)
        assert repair_line(world.lake, world.registry, target, line)[1].records
        world.target = MemoryTarget("local", target.store)
        assert world.visible(done.deployment) == world.wanted(version.number)
        world.target = target


def test_a_file_that_cannot_be_read_is_not_remembered(blind: World) -> None:
    target = blind.target
    assert isinstance(target, Counting)
    blind.push(blind.version(FIRST))
    (file,) = files(blind)
    whole = file.read_bytes()
    # As a killed writer of an earlier release left them, and one of this release.
    torn = [file.with_name("tmp_0.marks"), file.with_name("tmp_abc_1.marks")]
    for one in torn:
        one.write_bytes(whole[:100])
    version = blind.registry.version(blind.dataset, 1)
    assert blind.plan(version).empty
    assert target.fetched == 0
    file.write_bytes(whole[:4] + bytes(200) + whole[204:])
    for one in ledgers(blind):
        one.unlink()
    assert blind.plan(version).empty, "labelled, and torn"
    assert target.fetched == len(FIRST)
    for one in files(blind):
        one.write_bytes(whole[:100])
    assert audit(blind.lake, blind.registry, target, deployed(blind), version).not_judged
    assert all(one.exists() for one in torn), "somebody may be writing them"
    for one in torn:
        os.utime(one, (0, 0))
    second = blind.push(blind.version(SECOND), "versioned")
    assert not any(one.exists() for one in torn)
    assert same(blind, second.plan.namespace)
    blind.target = MemoryTarget("local", target.store)
    assert blind.visible(second.deployment) == blind.wanted(2)


def deployed(world: World) -> Deployment:
    return world.registry.deployments(world.dataset)[-1]


def test_writers_at_once_do_not_spoil_a_file(blind: World) -> None:
    state = blind.target.describe(blind.push(blind.version(FIRST)).plan.namespace)
    assert state is not None
    row = "SELECT i::VARCHAR AS id, 'd', 'c', 'm', 's', 1, 2 FROM range(20000) t(i)"
    other = replace(state, records=20_000)

    def write(_: int) -> None:
        remember(blind.lake, blind.target, state.spec.name, other, f"SELECT * FROM ({row}) AS r({NAMES})")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    found = marks_of(blind.lake, blind.target, state.spec.name, other)
    assert sum(batch.num_rows for batch in found) == 20_000
    folder = Path(files(blind)[0]).parent
    assert sorted(one.name for one in folder.iterdir()) == ["0.marks", "00.since", "1.marks"]


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
