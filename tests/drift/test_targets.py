"""Targets that can less, or whose answers get lost: what an audit says of them, and that a repair still ends."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from tests.conftest import page
from tests.drift.conftest import Hand, deployments, edit, read_back, snapshot
from tests.engine.world import DATASET, Fuse, World
from tests.release.test_observed import Counting
from vector_pipeline.drift import DriftReport, Level, audit
from vector_pipeline.drift.repair import repair_line
from vector_pipeline.drift.repair_plan import RepairLine
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.release.remembering import remember
from vector_pipeline.targets.base import NamespaceSpec, Target
from vector_pipeline.testing.faults import Fault, Faults, FaultyTarget
from vector_pipeline.testing.memory_target import MemoryTarget


def moved(line: Hand, target: Target) -> Hand:
    """The line as it stands in another target."""
    version = line.project.version("handbook", 1)
    target.ensure_namespace(NamespaceSpec(line.namespace, version.dimension, version.metric, version.fingerprint))
    whole = line.target.fetch(line.namespace, [row["id"] for row in line.rows()])
    for begin in range(0, whole.num_rows, target.capabilities.max_batch_records):
        target.upsert(line.namespace, whole.slice(begin, target.capabilities.max_batch_records))
    return replace(line, target=target)


def look(hand: Hand, target: Target, level: str = "ids", **options: int) -> DriftReport:
    project, one = hand.project, deployments(hand.project)[-1]
    return audit(
        project.lake(), project.registry(), target, one, project.version("handbook", 3), level=level, **options
    )  # type: ignore[arg-type]


def whole_line(hand: Hand) -> RepairLine:
    ones = deployments(hand.project)
    return RepairLine(tuple(ones), tuple(hand.project.version("handbook", one.version) for one in ones), ones[-1])


def test_a_listing_of_ids_alone_proves_content_and_says_what_it_cannot_tell(line: Hand) -> None:
    seen = moved(line, MemoryTarget("local"))
    dumb = MemoryTarget("local", seen.target.store, scans_marks=False)  # type: ignore[attr-defined]
    assert not look(seen, dumb).drifted
    assert not look(seen, dumb, "sample", sample=5).drifted
    assert not look(seen, dumb, "full").drifted
    rows = [row["id"] for row in seen.visible(3) if "~" not in row["id"] and row["added_in"] == 1]
    seen.delete(rows[0])
    seen.put(rows[1], id="by-hand")
    seen.put(rows[2], metadata_hash="other")
    seen.mark(2, rows[3])
    report = look(seen, dumb)
    assert (report.missing, report.foreign, report.tampered, report.stale_marks) == (1, 1, 0, 0)
    assert report.not_judged == ("metadata", "version marks")
    deep = look(seen, dumb, "full")
    assert (deep.missing, deep.foreign, deep.tampered, deep.stale_marks) == (1, 1, 1, 1)
    assert deep.not_judged == ()
    project = seen.project
    _, applied = repair_line(project.lake(), project.registry(), dumb, whole_line(seen))
    assert applied.records == 4
    for version in (1, 2, 3):
        assert read_back(seen, version) == snapshot(project, version)


def test_a_missing_record_takes_its_vector_from_a_good_copy(line: Hand) -> None:
    seen = moved(line, MemoryTarget("local"))
    living = [row["id"] for row in seen.visible(3) if "~" in row["id"] and row["document_id"] == "page2.md"]
    seen.delete(*living)
    project = seen.project
    _, applied = repair_line(project.lake(), project.registry(), seen.target, whole_line(seen), level=Level.FULL)
    assert (applied.derived, applied.upserted, applied.records) == (len(living), 0, len(living))
    assert read_back(seen, 3) == snapshot(project, 3)
    poor = moved(line, MemoryTarget("local", derives=False))
    poor.delete(*living)
    _, applied = repair_line(project.lake(), project.registry(), poor.target, whole_line(poor))
    assert (applied.derived, applied.upserted) == (0, len(living))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_lost_and_late_answers_end_a_repair_and_the_next_one_goes_on(line: Hand, seed: int) -> None:
    inner = MemoryTarget("local", max_batch_records=2)
    seen = moved(line, inner)
    rows = [row["id"] for row in seen.visible(3)]
    seen.delete(*rows[:5])
    for one in rows[5:8]:
        seen.put(one, metadata_hash="other")
    seen.mark(3, *rows[8:11])
    for number in range(4):
        seen.put(rows[12], id=f"by-hand-{number}")
    bad = FaultyTarget(inner, Faults(seed=seed, rates=dict.fromkeys(Fault, 0.15), at_most=8))
    project = seen.project
    for _ in range(20):
        try:
            plan, _ = repair_line(project.lake(), project.registry(), bad, whole_line(seen))
        except UnavailableError:
            continue
        if plan.empty:
            break
    bad.faults.stop()
    before = inner.describe(seen.namespace)
    bad.deliver_delayed()
    assert inner.describe(seen.namespace) == before, "what comes late carries an old fence"
    assert sum(bad.injected.values()) > 0
    for version in (1, 2, 3):
        assert read_back(seen, version) == snapshot(project, version)
    statuses = {push.status for push in project.registry().pushes("handbook")}
    assert statuses <= {"done", "failed"}


def test_remembered_marks_are_judged_with_the_ids_that_are_listed(line: Hand) -> None:
    seen = moved(line, MemoryTarget("local"))
    dumb = MemoryTarget("local", seen.target.store, scans_marks=False)  # type: ignore[attr-defined]
    state, lake = dumb.describe(seen.namespace), seen.project.lake()
    assert state is not None
    with lake.registered("told", pa.Table.from_batches(seen.target.scan(seen.namespace))):
        remember(lake, dumb, seen.namespace, state, "SELECT * FROM told")
    report = look(seen, dumb)
    assert (report.drifted, report.not_judged) == (False, ())
    seen.mark(2, seen.visible(3)[0]["id"])
    assert look(seen, dumb).not_judged == ("metadata", "version marks"), "of another mark nothing is remembered"


def test_a_sample_sees_marks_that_a_listing_does_not_tell(line: Hand) -> None:
    seen = moved(line, MemoryTarget("local"))
    store = seen.target.store  # type: ignore[attr-defined]
    dumb = MemoryTarget("local", store, scans_marks=False)
    rows = [row["id"] for row in seen.visible(3) if "~" not in row["id"] and row["added_in"] == 1]
    assert not look(seen, dumb, "sample").drifted
    seen.mark(2, rows[0])
    seen.mark(99, rows[1])
    seen.put(rows[2], metadata_hash="other")
    report = look(seen, dumb, "sample")
    assert (report.missing, report.foreign, report.tampered, report.stale_marks) == (0, 0, 1, 2)
    assert sorted(name.split()[-1] for name in report.examples["stale_marks"]) == sorted(rows[:2])
    counts = look(seen, MemoryTarget("local", store), "sample").counts
    assert (counts["tampered"], counts["stale_marks"]) == (1, 2), "as a listing with marks tells"


def test_a_sample_compares_marks_with_those_that_are_remembered(line: Hand) -> None:
    seen = moved(line, MemoryTarget("local"))
    dumb = MemoryTarget("local", seen.target.store, scans_marks=False)  # type: ignore[attr-defined]
    lake, state = seen.project.lake(), dumb.describe(seen.namespace)
    assert state is not None
    one = next(row["id"] for row in seen.visible(3) if row["added_in"] == 1)
    with lake.registered("told", pa.Table.from_batches(seen.target.scan(seen.namespace))):
        lie = f"SELECT * REPLACE (CASE WHEN id = '{one}' THEN 2 ELSE added_in END AS added_in) FROM told"
        remember(lake, dumb, seen.namespace, state, lie, observed=True)
    assert not look(seen, dumb).drifted
    assert look(seen, dumb, "sample").stale_marks == 1


class Closing(MemoryTarget):
    """Closes a record with a version of ours just before it is compared."""

    closes: Sequence[str] = ()

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        closes, self.closes = self.closes, ()
        if closes:
            MemoryTarget("local", self.store, fencing=False).set_removed(namespace, pa.array(closes), 4)
        return super().fetch(namespace, ids, vectors=vectors)


def test_what_a_push_closes_meanwhile_is_no_drift(line: Hand) -> None:
    seen = moved(line, MemoryTarget("local"))
    target = Closing("local", seen.target.store)  # type: ignore[attr-defined]
    edit(seen.project, "page4.md", page(700))
    seen.project.build("handbook")
    target.closes = [row["id"] for row in seen.visible(3) if row["document_id"] == "page4.md"]
    assert not look(seen, target, "sample").drifted
    assert not target.closes


@pytest.mark.slow
@pytest.mark.parametrize("scans_marks", [True, False])
def test_marks_that_another_hand_changed_stop_a_push(scans_marks: bool) -> None:
    world = World("memory")
    try:
        store = world.bare_target().store  # type: ignore[attr-defined]
        target = Counting("local", store, scans_marks=scans_marks, derives=False, max_batch_records=10)
        with world.open(Fuse(), target) as project:
            for name in "abc":
                world.write(name, 0, 0)
            project.build(DATASET)
            one = project.push(DATASET).deployment
            hand = MemoryTarget("local", store, fencing=False)
            own = [row["id"] for batch in hand.scan(one.namespace) for row in batch.to_pylist() if "a.md" in str(row)]
            hand.set_removed(one.namespace, pa.array(own), 1)
            world.write("d", 0, 0)
            project.build(DATASET)
            with pytest.raises(RefusedError, match="stale marks"):
                project.push(DATASET, on_drift="stop")
            assert target.fetched == (0 if scans_marks else 3)
            assert project.plan(DATASET).writes > 0
            assert project.push(DATASET, on_drift="ignore").applied.records
            assert target.fetched == (0 if scans_marks else 3), "what was fetched is remembered"
    finally:
        world.close()
