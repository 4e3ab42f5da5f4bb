"""Lost answers: the write is found, or sent again; a twin that arrives late changes nothing; all of it is journalled and said."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.release.conftest import MakeWorld
from tests.release.world import DIMENSION, SPACE, Store, World
from vector_pipeline.errors import ConflictError, UnavailableError, UnknownOutcomeError
from vector_pipeline.release import reading_back
from vector_pipeline.release.journalling import Journalled
from vector_pipeline.release.reading_back import (
    READ_BACK,
    SENDINGS,
    SENT_AGAIN,
    Write,
    closing,
    deleting,
    deriving,
    describing,
    dropping,
    making,
    upserting,
)
from vector_pipeline.release.registry import JournalEntry, Outcome
from vector_pipeline.release.remembering import remembered
from vector_pipeline.targets.base import (
    DERIVE_SCHEMA,
    LIVE,
    METADATA_SCHEMA,
    NamespaceSpec,
    WriteReceipt,
    record_schema,
)
from vector_pipeline.testing.faults import Fault, Faults, FaultyTarget
from vector_pipeline.testing.memory_target import MemoryTarget

BEFORE = dict.fromkeys(range(9), 0)
AFTER = {**dict.fromkeys(range(3, 6), 0), **dict.fromkeys(range(6, 12), 1)}
LOST = (Fault.DROP_REQUEST, Fault.DROP_RESPONSE, Fault.DELAY)


def faulty(*script: Fault | None, lag: int = 0, **options: Any) -> FaultyTarget:
    """Nothing happens until ``faults.then`` says so, unless ``script`` does."""
    inner = MemoryTarget("local", max_batch_records=2, lag=lag, **options)
    return FaultyTarget(inner, Faults(script), delay_writes=2)


def pushed(world: World) -> None:
    """Two versions, the first without faults; ``world.target`` decides what happens to the second."""
    world.push(world.version(BEFORE))


def entries(world: World) -> list[JournalEntry]:
    newest = world.registry.pushes(world.dataset, "dev", limit=1)[0]
    return world.registry.journal(newest.id)


def check(world: World) -> None:
    """Both versions are seen, whole, and there is nothing left to do."""
    for one in world.registry.deployments(world.dataset):
        assert world.visible(one) == world.wanted(one.version)
    newest = max(world.contents)
    assert world.plan(world.registry.version(world.dataset, newest)).empty


@pytest.mark.slow
@pytest.mark.parametrize("lag", [0, 2])
@pytest.mark.parametrize("fault", LOST)
def test_one_push_survives_each_lost_answer(
    make_world: MakeWorld, fault: Fault, lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_back, "PATIENCE_S", 0.5)
    target = faulty(lag=lag)
    world = make_world(target)
    pushed(world)
    version = world.version(AFTER)
    target.faults.then(fault, None, None, None, fault, None, None, fault)
    done = world.push(version, "versioned")
    target.deliver_delayed()
    target.inner.wait_until_fresh("", None)  # type: ignore[arg-type]
    check(world)
    assert target.injected[fault] >= 2
    assert done.applied.retried.total() >= target.injected[fault] - 1  # One may hit the raising of the fence.
    outcomes = Counter(entry.outcome for entry in entries(world))
    assert outcomes.keys() <= {Outcome.LANDED, Outcome.NOT_LANDED}
    if fault is Fault.DROP_RESPONSE:
        assert done.applied.retried.keys() == {READ_BACK}
        assert outcomes[Outcome.NOT_LANDED] == 0
        said = [(entry.outcome_payload or {}).get("retried") for entry in entries(world)]
        assert {READ_BACK: 1} in said
    else:
        assert SENT_AGAIN in done.applied.retried
        assert outcomes[Outcome.NOT_LANDED] > 0


def test_what_is_lost_again_and_again_ends_the_push(make_world: MakeWorld) -> None:
    target = faulty()
    world = make_world(target)
    pushed(world)
    version = world.version(AFTER)
    target.faults.then(None, None, *[Fault.DROP_REQUEST] * (SENDINGS + 1))
    with pytest.raises(UnknownOutcomeError):
        world.push(version)
    assert [entry.outcome for entry in entries(world)].count(Outcome.NOT_LANDED) == SENDINGS
    target.faults.stop()
    world.push(version)
    check(world)


def test_a_mark_that_a_late_twin_leaves_is_nobody_elses(make_world: MakeWorld) -> None:
    """The end of a push is recorded although the first sending arrives in its midst."""
    target = faulty(derives=False)
    world = make_world(target)
    pushed(world)
    version = world.version(AFTER)
    target.faults.then(None, None, Fault.DELAY)
    done = world.push(version)
    assert target.late["applied"]
    known = world.registry.namespace_record("dev", "local", done.plan.namespace)
    assert known is not None
    assert known.mark == world.mark(done.plan.namespace)


def test_a_twin_that_arrives_after_the_lease_is_refused(make_world: MakeWorld) -> None:
    """A late upsert of version 1 must not open again what version 2 closed."""
    target = faulty()
    world = make_world(target)
    first = world.version(BEFORE)
    target.faults.then(None, Fault.DELAY)
    target._delay_writes = 10_000
    world.push(first)
    world.push(world.version(AFTER), "versioned")
    assert target.deliver_delayed() == 1
    assert target.late == {"conflict": 1}
    check(world)


def test_nothing_is_looked_for_without_the_lease(make_world: MakeWorld) -> None:
    world = make_world(faulty())

    class Lost:
        fence = 1

        def check(self) -> None:
            raise ConflictError("the lease was lost")

    sent: list[int] = []

    def send() -> Any:
        sent.append(1)
        raise UnknownOutcomeError("no answer")

    journal = Journalled(world.registry, None, Lost())  # type: ignore[arg-type]
    with pytest.raises(ConflictError):
        journal.write("upsert", {}, Write(send, lambda: pytest.fail("looked")))
    assert not sent


def rows(*numbers: int, tag: int = 0, added_in: int = 1) -> pa.Table:
    made = [
        {
            "id": f"r{number}", "vector": [1.0, number, 0.0, 0.0], "document_id": "d", "content_hash": f"c{number}",
            "metadata_hash": f"m{tag}", "space": SPACE, "added_in": added_in, "removed_in": LIVE, "text": "t",
            "metadata": "{}",
        }
        for number in numbers
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=record_schema(DIMENSION))


SPEC = NamespaceSpec("line", DIMENSION, "cosine", SPACE)
IDS = pa.array(["r1", "r2", "absent"])


def derived(source: str) -> pa.Table:
    row = {"id": "r9", "source_id": source, "metadata_hash": "m9", "metadata": "{}", "added_in": 2, "removed_in": LIVE}
    return pa.Table.from_pylist([row], schema=DERIVE_SCHEMA)


def described(tag: int) -> pa.Table:
    made = [{"id": name, "metadata_hash": f"m{tag}", "metadata": "{}"} for name in ("r1", "absent")]
    return pa.Table.from_pylist(made, schema=METADATA_SCHEMA)


@pytest.mark.parametrize(
    "make",
    [
        lambda target: upserting(target, "line", rows(1, 2, tag=1), 0),
        lambda target: upserting(target, "line", rows(3, 4), 0),
        lambda target: upserting(target, "line", rows(1, added_in=2), 0),
        lambda target: deriving(target, "line", derived("r1"), 0),
        lambda target: describing(target, "line", described(5), 0),
        lambda target: closing(target, "line", IDS, 7, 0),
        lambda target: deleting(target, "line", IDS, 0),
        lambda target: dropping(target, "line", 0),
        lambda target: making(target, NamespaceSpec("other", DIMENSION, "cosine", SPACE), 0),
    ],
)
def test_a_write_is_there_when_it_was_sent_and_not_before(make: Callable[[MemoryTarget], Write]) -> None:
    target = MemoryTarget("local")
    target.ensure_namespace(SPEC)
    target.upsert("line", rows(1, 2))
    write = make(target)
    assert not write.found(lambda: None)
    write.send()
    assert write.found(lambda: None)


def changed(table: pa.Table, **values: Any) -> pa.Table:
    """The same in every row."""
    for name, value in values.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(
            at, table.schema.field(at), pa.array([value] * table.num_rows, table.schema.field(at).type)
        )
    return table


@pytest.mark.parametrize(
    "spoilt",
    [{"vector": [0.5, 0.5, 0.5, 0.5]}, {"text": "poison"}, {"metadata": '{"by": "hand"}'}, {"document_id": "e"}],
)
def test_another_record_under_the_same_marks_is_not_what_was_written(spoilt: dict[str, Any]) -> None:
    """A repair writes over ids whose marks are right: only values tell whether it arrived."""
    target = MemoryTarget("local")
    target.ensure_namespace(SPEC)
    target.upsert("line", pa.concat_tables([changed(rows(1), **spoilt), rows(2, 3)]))
    whole = upserting(target, "line", rows(1, 2), 0)
    copied = deriving(target, "line", changed(derived("r3"), id="r2", metadata_hash="m0", added_in=1), 0)
    described_ = describing(target, "line", described(0), 0)
    assert not whole.found(lambda: None)
    assert describing(target, "line", described(0), 0).found(lambda: None) is ("metadata" not in spoilt)
    assert not copied.found(lambda: None), "its vector is another record's"
    for write in (whole, copied, described_):
        write.send()
        assert write.found(lambda: None)


@pytest.mark.slow
def test_what_was_found_has_the_mark_of_then(make_world: MakeWorld) -> None:
    """Another hand that writes after a push with a lost answer is not taken for ours, lost last or in between."""
    for script in ((Fault.DROP_RESPONSE,), (None, None, Fault.DROP_RESPONSE), (Fault.DROP_REQUEST,)):
        for meddled in (False, True):
            target = Meddled(MemoryTarget("local", max_batch_records=2, derives=False), Faults(()))
            world = make_world(target)
            namespace = world.push(world.version(BEFORE)).plan.namespace
            hidden = pa.array([world.rows(namespace)[0]["id"]])
            version = world.version({**BEFORE, **dict.fromkeys(range(9, 15), 0)})
            target.faults.then(None, None, *script)
            hand = MemoryTarget("local", target.inner.store, fencing=False)  # type: ignore[attr-defined]
            target.meddle = partial(hand.set_removed, namespace, hidden, 1) if meddled else None
            assert world.push(version, "versioned").applied.retried
            known = world.registry.namespace_record("dev", "local", namespace)
            assert known is not None
            assert (known.mark == world.mark(namespace)) is not meddled


class Meddled(FaultyTarget):
    """``meddle`` happens once, when the last write has landed."""

    meddle: Callable[[], object] | None = None

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        super().wait_until_fresh(namespace, receipt, timeout_s=timeout_s)


@pytest.mark.slow
def test_what_was_sent_again_is_recorded_and_not_remembered(make_world: MakeWorld) -> None:
    for fault, kept in ((Fault.DROP_RESPONSE, True), (Fault.DROP_REQUEST, False)):
        target = faulty(derives=False, scans_marks=False)
        world = make_world(target)
        pushed(world)
        target.faults.then(None, None, fault)
        namespace = world.push(world.version(AFTER), "versioned").plan.namespace
        state = target.describe(namespace)
        known = world.registry.namespace_record("dev", "local", namespace)
        assert state is not None
        assert known is not None
        assert known.mark == state.mark
        assert (remembered(world.lake, target, namespace, state) is not None) is kept


def test_a_write_whose_turn_comes_after_the_lease_is_not_sent(make_world: MakeWorld) -> None:
    world = make_world(faulty())
    pushed(world)
    deployment = world.registry.deployments(world.dataset)[0]
    push = world.registry.open_push(deployment.id, {}, 1)

    class Losing:
        fence, asked = 1, 0

        def check(self) -> None:
            self.asked += 1
            if self.asked > 1:
                raise ConflictError("the lease was lost")

    journal = Journalled(world.registry, push, Losing())  # type: ignore[arg-type]
    with pytest.raises(ConflictError):
        journal.write("upsert", {}, Write(lambda: pytest.fail("sent"), lambda: pytest.fail("looked")))
    (entry,) = world.registry.journal(push)
    assert entry.outcome is Outcome.NOT_LANDED
    world.registry.close_push(push, "failed")


def test_in_a_namespace_that_is_gone_nothing_is_there() -> None:
    target = MemoryTarget("local")
    assert not upserting(target, "line", rows(1), 0).found(lambda: None)
    assert deleting(target, "line", IDS, 0).found(lambda: None)


@pytest.mark.slow
@given(st.lists(st.sampled_from([None, None, *Fault]), min_size=10, max_size=30), st.integers(1, 3))
@settings(max_examples=6, deadline=None)
def test_any_faults_end_in_the_same_state(store: Store, script: list[Fault | None], delay: int) -> None:
    """Pushes are repeated as long as they fail; what arrives late arrives at last. Both versions are whole then."""
    target = FaultyTarget(MemoryTarget("local", max_batch_records=2), Faults(), delay_writes=delay)
    world = World(store, target)
    pushed(world)
    version = world.version(AFTER)
    target.faults.then(*script)
    for _ in range(len(script) + 1):
        try:
            world.push(version)
            break
        except (UnavailableError, ConflictError):
            continue
    target.faults.stop()
    target.deliver_delayed()
    check(world)
