"""The engine's laws over random histories: versions, strategies and foreign hands, on targets of every ability."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.release.world import SPACE, Content, Store, World
from vector_pipeline.errors import RefusedError
from vector_pipeline.release.registry import DeploymentStatus
from vector_pipeline.targets.base import LIVE
from vector_pipeline.testing.memory_target import MemoryTarget

CONTENT = st.dictionaries(st.integers(0, 8), st.integers(1, 2), max_size=9)
STRATEGY = st.sampled_from([None, None, "versioned", "blue-green", "in-place"])
HAND = st.sampled_from([None, None, "foreign", "delete", "close", "reopen", "metadata"])
STEP = st.tuples(CONTENT, STRATEGY, HAND, st.integers(0, 50))
PROFILE = settings(
    deadline=None,
    # A step is a commit of the lake: what fails is small already, and shrinking it takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ABLE: dict[str, dict[str, Any]] = {
    "everything": {"max_batch_records": 3},
    "parallel": {"max_batch_records": 2, "parallel_writes": 3},
    "no derive": {"derives": False, "updates_metadata": False},
    "no filters": {"numeric_filters": False, "derives": False},
    "no marks": {"numeric_filters": False, "scans_marks": False, "derives": False, "updates_metadata": False},
    "marks by fetch": {"scans_marks": False},
}


def meddle(world: World, kind: str, choice: int) -> None:
    """Somebody else writes to some line."""
    namespace = sorted(world.target.namespaces())[choice % len(world.target.namespaces())]
    ids = sorted(row["id"] for row in world.rows(namespace))
    if not ids:
        return
    victim = ids[choice % len(ids)]
    record = world.target.fetch(namespace, [victim])
    with world.fence(namespace) as fence:
        if kind == "delete":
            world.target.delete(namespace, pa.array([victim]), fence=fence)
        elif kind == "close":
            world.target.set_removed(namespace, pa.array([victim]), record["added_in"][0].as_py(), fence=fence)
        elif kind == "reopen":
            world.target.set_removed(namespace, pa.array([victim]), LIVE, fence=fence)
        else:
            changes = (
                {"id": f"by-hand-{choice}", "added_in": 0, "removed_in": LIVE}
                if kind == "foreign"
                else {"metadata": '{"tag": 9}', "metadata_hash": "0" * 32}
            )
            row = {**record.to_pylist()[0], **changes}
            world.target.upsert(namespace, pa.Table.from_pylist([row], schema=record.schema), fence=fence)


HISTORY = st.lists(STEP, min_size=2, max_size=4)
Steps = list[tuple[Content, str | None, str | None, int]]


@pytest.mark.parametrize("able", ["everything", "no marks"])
@settings(PROFILE, max_examples=3)
@given(history=HISTORY)
def test_a_push_reaches_its_version_and_harms_no_other(store: Store, able: str, history: Steps) -> None:
    reaches(store, able, history)


@pytest.mark.slow
@pytest.mark.parametrize("able", ABLE, ids=str)
@settings(PROFILE, max_examples=6)
@given(history=HISTORY)
def test_a_push_reaches_its_version_on_every_target(store: Store, able: str, history: Steps) -> None:
    reaches(store, able, history)


def reaches(store: Store, able: str, history: Steps) -> None:
    """Pushes with foreign hands between: each reaches its version, harms no other, and is done once."""
    world = World(store, MemoryTarget("local", **ABLE[able]))
    for content, strategy, hand, choice in history:
        if hand is not None and world.target.namespaces():
            meddle(world, hand, choice)
        version = world.version(content)
        deployments = world.registry.deployments(world.dataset)
        before = {one.id: world.visible(one) for one in deployments if one.status == DeploymentStatus.PUSHED}
        was = {name: (_recorded(world, name), world.mark(name)) for name in world.target.namespaces()}
        try:
            pushed = world.push(version, strategy, parallel=world.target.capabilities.parallel_writes)
        except RefusedError:
            # Only what was forced is refused: a record that was reopened or closed by hand looks like a later version.
            assert strategy == "versioned"
            continue
        assert world.visible(pushed.deployment) == world.wanted(version.number)
        for one in world.registry.deployments(world.dataset):
            if one.id in before and one.id != pushed.deployment.id and one.status == DeploymentStatus.PUSHED:
                assert world.visible(one) == before[one.id], "another version's readers see something else"
        mark = world.mark(pushed.deployment.namespace)
        assert world.plan(version, strategy).empty
        again = world.push(version, strategy)
        assert (again.applied.records, world.mark(again.deployment.namespace)) == (0, mark)
        known, then = was.get(pushed.deployment.namespace, (None, None))
        hidden = known is not None and known != then
        assert _recorded(world, pushed.deployment.namespace) == (known if hidden else mark), "a hand must not be hidden"


def _recorded(world: World, namespace: str) -> str | None:
    known = world.registry.namespace_record("dev", "local", namespace)
    return known.mark if known is not None else None


@pytest.mark.slow
@settings(PROFILE, max_examples=3)
@given(history=st.lists(CONTENT, min_size=2, max_size=4))
def test_deriving_and_sending_end_in_equal_content(store: Store, history: list[Content]) -> None:
    worlds = [World(store, MemoryTarget("local", derives=derives)) for derives in (True, False)]
    for content in history:
        seen = []
        for world in worlds:
            pushed = world.push(world.version(content), "versioned")
            records = world.target.fetch(
                pushed.deployment.namespace, [row["id"] for row in world.rows(pushed.deployment.namespace)]
            )
            seen.append(sorted(records.to_pylist(), key=lambda row: str(row["id"])))
        assert seen[0] == seen[1]
        assert seen[0] == [] or {row["space"] for row in seen[0]} == {SPACE}
