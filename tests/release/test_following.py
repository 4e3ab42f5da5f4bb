"""A plan of what changed since the version that a line holds is the plan of a full comparison; and it reads no more than that."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MakeProject, page
from tests.release.conftest import MakeWorld
from tests.release.test_laws import CONTENT, PROFILE, meddle
from tests.release.world import Content, Store, World
from tests.support.statements import record_statements
from vector_pipeline.drift.repair import repair_line
from vector_pipeline.drift.repair_plan import RepairLine
from vector_pipeline.drift.report import Level
from vector_pipeline.errors import RefusedError, UnavailableError, VectorPipelineError
from vector_pipeline.release import ledger
from vector_pipeline.release.collecting import collect
from vector_pipeline.release.keyed import FOLDER
from vector_pipeline.release.observed import proved
from vector_pipeline.release.plan import Plan, Strategy
from vector_pipeline.release.planner import Look
from vector_pipeline.release.planning import planned
from vector_pipeline.release.registry import Version
from vector_pipeline.release.wishes import Wish
from vector_pipeline.targets.base import WriteReceipt
from vector_pipeline.targets.duckdb.target import DuckDBTarget
from vector_pipeline.testing.memory_target import MemoryTarget

ABLE: dict[str, dict[str, Any]] = {
    "marks": {"max_batch_records": 2},
    "marks, no derive": {"max_batch_records": 3, "derives": False, "updates_metadata": False},
    "ids alone": {"max_batch_records": 3, "scans_marks": False, "derives": False, "fencing": False},
    "ids alone, derives": {"max_batch_records": 2, "scans_marks": False},
}


class Breaking(MemoryTarget):
    """Stops after so many more writes."""

    left = -1

    def _count(self) -> None:
        self.left -= 1
        if self.left == -1:
            raise UnavailableError("gone")

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        self._count()
        return super().upsert(namespace, records, fence=fence)

    def set_removed(
        self, namespace: str, ids: pa.Array, removed_in: int, *, fence: int = 0, ending: str = ""
    ) -> WriteReceipt:
        self._count()
        return super().set_removed(namespace, ids, removed_in, fence=fence, ending=ending)


def look(world: World, version: Version, strategy: str | None = "versioned") -> tuple[Plan, Look]:
    wish = Wish("dev", Strategy(strategy) if strategy else None, stages=False)
    return planned(world.lake, world.registry, version, world.target, wish)


def in_full(world: World, version: Version, strategy: str | None = "versioned") -> tuple[Plan, Look] | str:
    """The same, from all that the target really holds, by a target of which no ledger is believed."""
    limits = world.target.capabilities
    other = MemoryTarget(
        "local", world.target.store,  # type: ignore[attr-defined]
        scans_marks=True, fencing=False, derives=limits.derives, updates_metadata=limits.updates_metadata,
        max_batch_records=limits.max_batch_records,
    )  # fmt: skip
    mine, world.target = world.target, other
    try:
        return look(world, version, strategy)
    except RefusedError as error:
        return str(error)
    finally:
        world.target = mine


def compare(world: World, version: Version, strategy: str | None = "versioned") -> bool:
    """Whether a plan was made of what changed; that it is the other is asserted."""
    wanted = in_full(world, version, strategy)
    if isinstance(wanted, str):
        with pytest.raises(RefusedError) as refused:
            look(world, version, strategy)
        assert str(refused.value) == wanted
        return False
    plan, seen = look(world, version, strategy)
    # Notes say what looking took.
    assert replace(plan, notes=()) == replace(wanted[0], notes=())
    there = (seen.held, seen.dead, seen.later, seen.stood, seen.documents, seen.actions, seen.digest)
    other = wanted[1]
    assert there == (other.held, other.dead, other.later, other.stood, other.documents, other.actions, other.digest)
    return seen.ledger is not None


STEP = st.tuples(
    st.sampled_from(["push", "push", "push", "push", "push", "break", "hand", "collect", "repair", "prove"]),
    CONTENT,
    st.sampled_from(["versioned", "versioned", "versioned", None, "blue-green"]),
    st.integers(0, 50),
)


def walk(store: Store, able: str, history: list[tuple[str, Content, str | None, int]]) -> Counter[bool]:
    target = Breaking("local", **ABLE[able])
    world, how = World(store, target), Counter[bool]()
    newest = world.version(dict.fromkeys(range(9), 1))
    world.push(newest)
    for kind, content, strategy, choice in history:
        deployments = world.registry.deployments(world.dataset, "dev")
        if kind in ("push", "break"):
            newest = world.version(content)
            how[compare(world, newest, strategy)] += 1
            target.left = choice % 3 if kind == "break" else -1
            with suppress(VectorPipelineError):
                world.push(newest, strategy)
            target.left = -1
        elif kind == "hand":
            meddle(world, ("foreign", "delete", "close", "reopen", "metadata")[choice % 5], choice)
        elif kind == "collect":
            collect(world.lake, world.registry, target, world.dataset, "dev", keep_versions=1 + choice % 2, grace_s=0)
        elif kind == "repair":
            last = deployments[-1]
            if last.status == "pushed":
                line = RepairLine((last,), (world.registry.version(world.dataset, last.version),), last)
                repair_line(world.lake, world.registry, target, line, level=Level.FULL if choice % 2 else Level.IDS)
        else:
            for namespace in target.namespaces():
                state = target.describe(namespace)
                assert state is not None
                list(proved(world.lake, target, state))
        versions = world.registry.versions(world.dataset)
        for version in {newest.number: newest, (one := versions[choice % len(versions)]).number: one}.values():
            how[compare(world, version, strategy)] += 1
    return how


@pytest.mark.slow
@pytest.mark.parametrize("able", ABLE, ids=str)
@settings(PROFILE, max_examples=6)
@given(history=st.lists(STEP, min_size=3, max_size=5))
def test_both_ways_make_the_same_plan(
    store: Store, able: str, history: list[tuple[str, Content, str | None, int]]
) -> None:
    walk(store, able, history)


ALL = dict.fromkeys(range(9), 1)
LESS = dict.fromkeys(range(6), 1)
OTHER = {**LESS, 0: 2, 7: 1}
HISTORY = [("push", one, "versioned", 0) for one in (LESS, ALL, OTHER, ALL)]


@pytest.mark.slow
@pytest.mark.parametrize("able", ABLE, ids=str)
def test_what_goes_and_comes_again_is_planned_from_what_changed(store: Store, able: str) -> None:
    how = walk(store, able, list(HISTORY))
    assert how[True] > how[False], how


@pytest.mark.slow
def test_a_hand_a_failed_push_and_a_repair_are_compared_in_full(make_world: MakeWorld) -> None:
    target = Breaking("local", derives=False)
    world = make_world(target)
    namespace = world.push(world.version(ALL)).plan.namespace
    second = world.version(LESS)
    assert compare(world, second)
    meddle(world, "delete", 0)
    assert not compare(world, second)
    line = RepairLine(
        (deployed := world.registry.deployments(world.dataset)[-1],),
        (world.registry.version(world.dataset, 1),),
        deployed,
    )
    repair_line(world.lake, world.registry, target, line, level=Level.FULL)
    assert not compare(world, second)
    world.push(second, "versioned")
    third = world.version(OTHER)
    assert compare(world, third)
    target.left = 1
    with pytest.raises(UnavailableError):
        world.push(third, "versioned")
    target.left = -1
    assert not compare(world, third)
    world.push(third, "versioned")
    assert compare(world, world.version(ALL))
    state = target.describe(namespace)
    assert state is not None
    assert ledger.find(world.lake, target, state) is not None


@pytest.mark.slow
def test_a_ledger_that_cannot_be_read_is_not_believed(make_world: MakeWorld) -> None:
    world = make_world()
    namespace = world.push(world.version(ALL)).plan.namespace
    world.push(world.version(LESS), "versioned")
    third = world.version(OTHER)
    assert compare(world, third)
    files = sorted((Path(world.lake.data) / FOLDER / "local" / namespace).glob("*.since"))
    assert len(files) == 2
    whole = [file.read_bytes() for file in files]
    files[0].write_bytes(whole[0][:40])
    assert not compare(world, third)
    files[0].write_bytes(whole[0])
    assert compare(world, third)
    files[0].unlink()
    assert not compare(world, third)


@pytest.mark.parametrize("able", ["marks", "ids alone"])
def test_what_a_killed_writer_left_is_swept(make_world: MakeWorld, able: str) -> None:
    world = make_world(MemoryTarget("local", **ABLE[able]))
    namespace = world.push(world.version(ALL)).plan.namespace
    left = Path(world.lake.data) / FOLDER / "local" / namespace / "tmp_0123_00.since"
    left.write_bytes(b"PAR1")
    os.utime(left, (0, 0))
    world.push(world.version(LESS), "versioned")
    assert not left.exists()


@pytest.mark.slow
def test_small_files_are_merged_and_a_line_that_has_changed_much_is_compared_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LITTLE", 0)
    world = make_world()
    many: Content = dict.fromkeys(range(60), 1)
    namespace = world.push(world.version(many)).plan.namespace
    folder, ways, most = Path(world.lake.data) / FOLDER / "local" / namespace, [], 0
    for number in range(12):
        version = world.version(many := {**many, number: 2})
        ways.append(compare(world, version))
        world.push(version, "versioned")
        state = world.target.describe(namespace)
        assert state is not None
        known = ledger.find(world.lake, world.target, state)
        assert known is not None
        most = max(most, len(known.files))
    assert ways.count(False) == 1, "one full comparison for a quarter of the line"
    assert most <= 8
    assert len(list(folder.glob("*.since"))) <= 16


def test_a_push_of_little_reads_little(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement reads a table of the version whole, and no mark is listed: places, counts and the change feed are looked at."""
    project = make_project(30, shards=2)
    project.build("handbook")
    namespace = project.push("handbook").plan.namespace
    (project.base / "documents/page3.md").write_text(page(3) + "\nAnd a new sentence.\n", encoding="utf-8")
    project.build("handbook")
    said = record_statements(monkeypatch)

    def scan(*_: object, **__: object) -> Iterator[pa.RecordBatch]:
        raise AssertionError("all marks are listed")

    monkeypatch.setattr(DuckDBTarget, "scan", scan)
    done = project.push("handbook")
    monkeypatch.undo()
    assert done.applied.upserted == 1
    tables = project.tables("handbook")
    looked = [sql for sql in said if tables.chunks in sql or tables.embeddings in sql]
    whole = [
        sql
        for sql in looked
        if "rowid BETWEEN" not in sql
        and not sql.startswith("SELECT count(*) FROM (FROM")
        and not sql.endswith(("LIMIT 1", "WHERE false"))
    ]
    assert whole == []
    state = project.target("handbook").describe(namespace)
    assert state is not None
    assert ledger.find(project.lake(), project.target("handbook"), state) is not None
