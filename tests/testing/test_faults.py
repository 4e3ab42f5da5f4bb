"""A target behind a bad network: what was injected happened, and nothing else did."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from vector_pipeline.errors import ConflictError, InputError, UnavailableError, UnknownOutcomeError
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.duckdb import DuckDBTarget
from vector_pipeline.testing.faults import Fault, Faults, FaultyTarget
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.testing.target_records import Namespace, make_records
from vector_pipeline.testing.target_suite import TargetConformance


class TestNoFaults(TargetConformance):
    @pytest.fixture
    def target(self) -> Target:
        return FaultyTarget(MemoryTarget(max_batch_records=500))


class Doubled(TargetConformance):
    def test_a_receipt_tells_the_mark_that_follows(self, space: Namespace) -> None:
        """The first answer is the one that is heard: the second write may have moved the mark on. Nothing else differs."""
        receipt = space.upsert(make_records(["a#1"]))
        assert (receipt.records, space.ids()) == (1, ["a#1"])


class TestDuplicates(Doubled):
    @pytest.fixture
    def target(self) -> Target:
        faults = Faults(rates={Fault.DUPLICATE: 1.0}, operations=[*ALL])
        return FaultyTarget(MemoryTarget(max_batch_records=500), faults)


class TestDuplicatesOverDuckDB(Doubled):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Target]:
        target = FaultyTarget(DuckDBTarget("local", tmp_path), Faults(rates={Fault.DUPLICATE: 0.5}, seed=3))
        yield target
        target.close()


ALL = ("upsert", "derive", "set_metadata", "set_removed", "delete", "ensure_namespace", "drop_namespace")


@pytest.fixture
def faulty() -> FaultyTarget:
    return FaultyTarget(MemoryTarget())


@pytest.fixture
def space(faulty: FaultyTarget) -> Namespace:
    space = Namespace(faulty)
    space.create(fence=1)
    return space


@pytest.mark.parametrize(
    ("fault", "error", "landed"),
    [
        (Fault.DROP_REQUEST, UnknownOutcomeError, False),
        (Fault.DROP_RESPONSE, UnknownOutcomeError, True),
        (Fault.DELAY, UnknownOutcomeError, False),
        (Fault.REFUSE, UnavailableError, False),
    ],
)
def test_what_a_fault_does(
    faulty: FaultyTarget, space: Namespace, fault: Fault, error: type[Exception], landed: bool
) -> None:
    faulty.faults.then(fault)
    with pytest.raises(UnavailableError) as caught:
        space.upsert(make_records(["a#1"]), fence=1)
    assert type(caught.value) is error
    assert space.ids() == ["a#1"] * landed
    assert faulty.injected == Counter({fault: 1})
    space.upsert(make_records(["b#1"]), fence=1)
    assert faulty.deliver_delayed() == (fault is Fault.DELAY)
    assert space.ids() == ["a#1"] * (landed or fault is Fault.DELAY) + ["b#1"]


def test_a_duplicate_is_applied_twice(faulty: FaultyTarget, space: Namespace) -> None:
    faulty.faults.then(Fault.DUPLICATE)
    receipt = space.upsert(make_records(["a#1"]), fence=1)
    assert receipt.mark != space.mark()


def test_a_delayed_write_arrives_before_a_later_one(space: Namespace, faulty: FaultyTarget) -> None:
    space.upsert(make_records(["a#1"], added_in=1), fence=1)
    faulty.faults.then(Fault.DELAY)
    with pytest.raises(UnknownOutcomeError):
        space.upsert(make_records(["a#1"], added_in=2), fence=1)
    for index in range(2):
        space.upsert(make_records([f"b#{index}"]), fence=1)
        assert space.fetched(["a#1"])["a#1"]["added_in"] == 1
    space.delete(["b#0"], fence=1)
    assert space.fetched(["a#1"])["a#1"]["added_in"] == 2
    assert (faulty.late, faulty.delayed) == (Counter(applied=1), 0)


def test_a_raised_fence_stops_a_delayed_write(space: Namespace, faulty: FaultyTarget) -> None:
    faulty.faults.then(Fault.DELAY)
    with pytest.raises(UnknownOutcomeError):
        space.upsert(make_records(["a#1"]), fence=1)
    space.create(fence=2)
    assert faulty.deliver_delayed() == 1
    assert faulty.late == Counter(conflict=1)
    assert space.ids() == []


def test_a_lost_answer_may_have_been_a_refusal(space: Namespace, faulty: FaultyTarget) -> None:
    space.create(fence=5)
    with pytest.raises(ConflictError):
        space.delete(["a#1"], fence=1)
    faulty.faults.then(Fault.DROP_RESPONSE, Fault.DROP_RESPONSE)
    with pytest.raises(UnknownOutcomeError):
        space.delete(["a#1"], fence=1)
    with pytest.raises(InputError):
        space.target.upsert(space.name, pa.table({"id": ["a"]}), fence=5)


def test_the_same_seed_gives_the_same_faults() -> None:
    rates = dict.fromkeys(Fault, 0.15)

    def decided(seed: int) -> list[Fault | None]:
        faults = Faults([None, Fault.DELAY], seed=seed, rates=rates)
        return [faults.decide("upsert") for _ in range(200)]

    first = decided(1)
    assert first == decided(1) != decided(2)
    assert first[:2] == [None, Fault.DELAY]
    assert {*first} == {None, *Fault}
    bounded = Faults(rates=rates, at_most=3)
    assert sum(bounded.decide("upsert") is not None for _ in range(200)) == 3
    assert Faults(rates={Fault.DELAY: 1.0}).decide("drop_namespace") is None
    bounded.then(Fault.REFUSE, Fault.REFUSE)
    bounded.stop()
    assert bounded.decide("delete") is None


def test_purge_reaches_the_inner_target(tmp_path: Path) -> None:
    target = FaultyTarget(DuckDBTarget("inner", tmp_path))
    namespace = Namespace(target)
    namespace.create()
    namespace.upsert(make_records(["a#1", "b#1"]))
    namespace.delete(["a#1"])

    def files() -> set[Path]:
        return {file for file in tmp_path.rglob("*") if file.is_file()}

    before = files()
    target.purge(namespace.name)
    assert before - files()
    target.close()
