"""Responses that are dropped, late or doubled: a push is repeated until it ends; nothing is lost, doubled or visible by half."""

import os
from collections import Counter

import pytest

from tests.engine.backends import adapters
from tests.engine.world import DATASET, Content, Fuse, World, numbers_of
from tests.survived import survived
from vector_pipeline.errors import ConflictError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.testing.faults import Fault, Faults, FaultyTarget

SEEDS = range(int(os.environ.get("VECTOR_PIPELINE_FAULT_SEEDS", "1")))
RATES = dict.fromkeys(Fault, 0.12)
ATTEMPTS = 30
FIRST: Content = dict.fromkeys("abcdefghij", (0, 0))
SECOND: Content = {**dict.fromkeys("bcd", (0, 0)), **dict.fromkeys("efg", (1, 0)), **dict.fromkeys("hijk", (0, 1))}


def documents(world: World, content: Content, before: Content) -> None:
    for name in before.keys() - content.keys():
        world.remove(name)
    for name, (text, tag) in content.items():
        world.write(name, text, tag)


def seen(world: World, version: int) -> Content:
    """What a reader of a version sees, in the line that it was pushed to last."""
    deployment = [one for one in world.project.registry().deployments(DATASET) if one.version == version][-1]
    rows = world.visible(deployment)
    found = {str(row["document_id"]).removesuffix(".md"): numbers_of(row) or (-1, -1) for row in rows}
    assert len(found) == len(rows), "a document stands twice"
    return found


def until_it_ends(project: Project, target: FaultyTarget, strategy: str) -> None:
    """Push again and again, as a person or a retry policy would; late writes arrive whenever they do."""
    for _ in range(ATTEMPTS):
        try:
            project.push(DATASET, strategy=strategy)
        except (UnavailableError, ConflictError):
            continue
        return
    pytest.fail(f"no push of {ATTEMPTS} came through: {target.injected}")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("strategy", ["versioned", "blue-green"])
@pytest.mark.parametrize(
    "adapter", [pytest.param(one, marks=pytest.mark.slow) if one == "duckdb" else one for one in adapters()]
)
def test_faulty_answers_change_nothing(adapter: str, strategy: str) -> None:
    injected: Counter[str] = Counter()
    for seed in SEEDS:
        world = World(adapter, batch=2)
        try:
            documents(world, FIRST, {})
            world.project.build(DATASET)
            world.project.push(DATASET)
            documents(world, SECOND, FIRST)
            world.project.build(DATASET)
            target = FaultyTarget(world.bare_target(), Faults(seed=seed, rates=RATES), delay_writes=seed % 4 + 1)
            with world.open(Fuse(), target) as project:
                until_it_ends(project, target, strategy)
                injected.update({fault.value: count for fault, count in target.injected.items()})
                target.deliver_delayed()
            assert seen(world, 2) == SECOND, f"seed {seed}"
            assert seen(world, 1) == FIRST, f"seed {seed}"
            assert world.project.plan(DATASET).empty, f"seed {seed}"
            for report in world.project.drift(DATASET, level="full", record=False):
                assert not report.drifted, f"seed {seed}: {report.summary}"
        finally:
            world.close()
    for fault, count in injected.items():
        survived(f"faults of the network: {fault}", count)
    assert sum(injected.values()) >= len(SEEDS), injected  # Otherwise nothing was shown.
