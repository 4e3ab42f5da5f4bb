"""Plans of what changed where a mark does not tell everything: hands during a push, and marks that come twice."""

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.release.conftest import MakeWorld
from tests.release.test_following import ABLE, ALL, OTHER, compare, look
from tests.release.world import Store, World
from vector_pipeline.config import DatasetConfig, GateConfig
from vector_pipeline.drift.audit import audit
from vector_pipeline.drift.report import Level
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.retention import merge_files
from vector_pipeline.release import ledger
from vector_pipeline.release.apply import read_ahead
from vector_pipeline.release.registry import Deployment, VerdictStatus, Version
from vector_pipeline.targets.base import LIVE, WriteReceipt
from vector_pipeline.testing.memory_store import MemoryStore
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.verify.context import GateContext, Opened, Side
from vector_pipeline.verify.coverage import judge
from vector_pipeline.verify.outcome import Status

MORE = {**ALL, 9: 1, 10: 1}
pytestmark = pytest.mark.slow


class Meddled(MemoryTarget):
    """Somebody writes between two writes of ours: before the next upsert."""

    hand: Callable[[str, int], object] | None = None

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        hand, self.hand = self.hand, None
        if hand is not None:
            hand(namespace, fence)
        return super().upsert(namespace, records, fence=fence)

    def first(self, namespace: str) -> pa.Table:
        ids = [name for batch in self.scan(namespace) for name in batch["id"].to_pylist()]
        return self.fetch(namespace, ids[:1])

    def insert(self, namespace: str, fence: int) -> None:
        record = self.first(namespace)
        row = {**record.to_pylist()[0], "id": "by-hand", "added_in": 0, "removed_in": LIVE}
        super().upsert(namespace, pa.Table.from_pylist([row], schema=record.schema), fence=fence)

    def end(self, namespace: str, fence: int) -> None:
        self.set_removed(namespace, self.first(namespace)["id"].combine_chunks(), 1, fence=fence)


class Restored(MemoryStore):
    """Namespaces can be put back, and their marks with them."""

    def backup(self) -> dict[str, object]:
        return dict(self._states)

    def put_back(self, states: dict[str, object]) -> None:
        self._states = dict(states)  # type: ignore[arg-type]
        self._incarnations = len(states)


@pytest.mark.parametrize("able", ABLE, ids=str)
def test_what_somebody_inserts_during_a_push_is_seen_by_the_next(make_world: MakeWorld, able: str) -> None:
    target = Meddled("local", **ABLE[able])
    world = make_world(target)
    world.push(world.version(ALL))
    target.hand = target.insert
    world.push(world.version(MORE), "versioned")
    assert target.hand is None
    assert not compare(world, world.version(OTHER))


def test_a_line_on_which_a_gate_failed_is_compared_in_full(make_world: MakeWorld) -> None:
    target = Meddled("local", max_batch_records=2)
    world = make_world(target)
    world.push(world.version(ALL))
    target.hand = target.end
    version = world.version(MORE)
    done = world.push(version, "versioned")
    world.registry.record_verdict(
        done.deployment.id,
        "coverage",
        VerdictStatus.FAILED,
        digest=version.digest,
        mark=world.mark(done.plan.namespace),
    )
    assert not compare(world, version)
    assert not compare(world, world.version(OTHER))
    healed = world.push(version, "versioned")
    assert world.visible(healed.deployment) == world.wanted(version.number)


def look_by_gate(world: World, deployment: Deployment, version: Version) -> None:
    def nothing(_: object) -> Any:
        raise NotFoundError("there is none here")

    space = {"embedder": {"kind": "deterministic", "model": "a", "dimension": 4}}
    settings = DatasetConfig.model_validate({"source": {"root": "."}, "spaces": {"tiny": space}, "target": "local"})
    opened = Opened(lambda: world.lake, lambda: world.registry, lambda _: world.target, nothing, nothing)
    side, now = Side(version, deployment), datetime(2026, 1, 2, tzinfo=UTC)
    assert judge(GateContext(settings, GateConfig(), Path(), side, None, opened, now)).status is Status.FAILED


def look_by_audit(level: Level) -> Callable[[World, Deployment, Version], None]:
    def look(world: World, deployment: Deployment, version: Version) -> None:
        assert audit(world.lake, world.registry, world.target, deployment, version, level=level).drifted

    return look


@pytest.mark.parametrize("able", ABLE, ids=str)
@pytest.mark.parametrize(
    "seeing", [look_by_gate, look_by_audit(Level.IDS), look_by_audit(Level.FULL)], ids=["gate", "ids", "full"]
)
def test_what_a_gate_or_an_audit_saw_is_compared_in_full(
    make_world: MakeWorld, able: str, seeing: Callable[[World, Deployment, Version], None]
) -> None:
    """Whatever becomes of the verdict: a gate may only warn, and a report be read by nobody."""
    target = Meddled("local", **ABLE[able])
    world = make_world(target)
    world.push(world.version(ALL))
    target.hand = target.end
    version = world.version(MORE)
    done = world.push(version, "versioned")
    seeing(world, done.deployment, version)
    assert not compare(world, world.version({**MORE, 11: 1}))
    healed = world.push(world.version({**MORE, 11: 2}), "versioned")
    assert world.visible(healed.deployment) == world.wanted(healed.deployment.version)


@pytest.mark.parametrize("able", ABLE, ids=str)
@pytest.mark.parametrize("dropped", [False, True], ids=["put back", "dropped"])
def test_a_mark_that_comes_twice_is_of_another_state(make_world: MakeWorld, able: str, dropped: bool) -> None:
    store = Restored()
    target = MemoryTarget("local", store, **{**ABLE[able], "max_batch_records": 100})
    world = make_world(target)
    if not dropped:
        world.push(world.version(dict.fromkeys(range(8), 1)))
    backup = store.backup()
    namespace = world.push(world.version(ALL), "versioned").plan.namespace
    before = target.describe(namespace)
    store.put_back(backup)
    world.push(world.version({**dict.fromkeys(range(8), 1), 9: 1}), "versioned")
    assert target.describe(namespace) == before, "another content, the same mark and count"
    compare(world, world.version(MORE))
    compare(world, world.version({**ALL, 9: 1}))


def test_a_large_difference_is_compared_in_full(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LITTLE", 0)
    world = make_world()
    world.push(world.version(dict.fromkeys(range(16), 1)))
    assert compare(world, world.version({**dict.fromkeys(range(16), 1), 0: 2, 16: 1}))
    assert not compare(world, world.version({**dict.fromkeys(range(16), 1), 0: 2, 1: 2, 16: 1}))


@pytest.mark.parametrize("able", ["marks", "ids alone"])
@pytest.mark.parametrize("what", ["lake", "registry"])
def test_numbers_that_come_twice_are_of_other_versions(tmp_path: Path, what: str, able: str) -> None:
    """The lake (or the registry) is put back, and another state is made under the number of the one that the line holds."""
    home, backup = tmp_path / "home", tmp_path / "backup"
    home.mkdir()
    target = MemoryTarget("local", **ABLE[able])
    with closing(Store(home)) as store:
        world = World(store, target)
        world.push(world.version(ALL))
    shutil.copytree(home, backup)
    with closing(Store(home)) as store:
        world = World(store, target, world.dataset)
        world.push(second := world.version(MORE), "versioned")
        assert compare(world, second)
    for file in (*home.glob(f"{what}.sqlite-*"), *backup.glob(f"{what}.sqlite*")):
        file.unlink() if file.parent == home else shutil.copy(file, home / file.name)
    with closing(Store(home)) as store:
        world = World(store, target, world.dataset)
        third = world.version({**ALL, 0: 2})
        number = (third.lake_snapshot, second.lake_snapshot) if what == "lake" else (third.number, second.number)
        assert number[0] == number[1]
        assert not compare(world, third, None)
        world.push(third, "blue-green")
        assert compare(world, world.version({**ALL, 0: 2, 10: 1}))


def test_files_that_were_merged_are_read_where_rows_stand(make_world: MakeWorld) -> None:
    world = make_world()
    many = dict.fromkeys(range(60), 1)
    world.push(world.version(many))
    for number in range(3):
        many = {**many, number: 2, 100 + number: 1}
        version = world.version(many)
    world.lake.rows("CALL ducklake_flush_inlined_data('lake')")
    assert merge_files(world.lake) > 0
    assert compare(world, version)
    done = world.push(version, "versioned")
    assert world.visible(done.deployment) == world.wanted(version.number)


def test_a_record_without_a_place_is_missed(make_world: MakeWorld) -> None:
    world = make_world(MemoryTarget("local", derives=False))
    world.push(world.version(ALL))
    version = world.version(MORE)
    plan, seen = look(world, version)
    assert seen.ledger is not None
    world.lake.run("DELETE FROM follow_places WHERE record_id = (SELECT min(record_id) FROM follow_places)")
    with read_ahead(world.lake, version, world.target, plan, placed=True) as ahead:
        assert ahead is not None
        with pytest.raises(RefusedError, match="lacks 1 records"):
            list(ahead)
