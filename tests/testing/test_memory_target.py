"""The target in memory keeps the laws of a target, with everything that it may be told not to be able to do."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.targets.base import Target
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.testing.target_records import Namespace, make_derived, make_metadata, make_records, unit_vectors
from vector_pipeline.testing.target_suite import TargetConformance


class TestMemory(TargetConformance):
    @pytest.fixture
    def target(self) -> Target:
        return MemoryTarget(max_batch_records=500)

    def reopen(self, target: Target) -> Target:
        assert isinstance(target, MemoryTarget)
        return MemoryTarget("again", target.store)


class TestLeastMemory(TestMemory):
    @pytest.fixture
    def target(self) -> Target:
        return MemoryTarget(
            numeric_filters=False,
            scans_marks=False,
            fencing=False,
            derives=False,
            updates_metadata=False,
            max_batch_records=500,
        )


def test_what_is_not_declared_is_refused() -> None:
    target = MemoryTarget(numeric_filters=False, derives=False, updates_metadata=False, fencing=False)
    space = Namespace(target)
    space.create(fence=9)
    space.upsert(make_records(["a#1"]), fence=1)
    for call in (
        lambda: space.hits(unit_vectors(1), version=1),
        lambda: space.derive(make_derived({"b#1": "a#1"})),
        lambda: space.set_metadata(make_metadata({"a#1": {}})),
    ):
        with pytest.raises(RefusedError, match="memory"):
            call()
    target.close()
    with pytest.raises(UnavailableError, match="closed"):
        space.ids()


def test_threads_share_a_store() -> None:
    space = Namespace(MemoryTarget(parallel_writes=4))
    space.create()

    def write(number: int) -> None:
        target = MemoryTarget(f"thread {number}", space.target.store)  # type: ignore[attr-defined]
        for index in range(50):
            target.upsert(space.name, make_records([f"{number}#{index}"]))
            target.delete(space.name, pa.array([f"{number}#{index - 1}"]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert space.ids() == sorted(f"{number}#49" for number in range(4))
