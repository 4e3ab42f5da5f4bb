"""A hand that was there stays visible until everything was compared: audits, repairs and pushes beside it, and what they hide."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import page
from tests.drift.conftest import Hand, deployments, edit, look, read_back, release, snapshot
from tests.drift.test_targets import look as look_in
from tests.drift.test_targets import moved
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import DeploymentStatus
from vector_pipeline.release.registry.schema import versions
from vector_pipeline.release.restoring import How, Touch, index_state, restore
from vector_pipeline.testing.memory_target import MemoryTarget


def spoil(line: Hand, **changes: Any) -> str:
    """Other values behind an id and marks that look right."""
    one = str(line.visible(3)[0]["id"])
    line.put(one, **(changes or {"vector": np.full(128, 0.5, np.float32)}))
    return one


def touch(line: Hand) -> Touch:
    return index_state(line.project.registry(), deployments(line.project)[-1], line.project.target("handbook")).touch


@pytest.mark.slow
def test_a_repair_by_ids_does_not_hide_what_it_did_not_see(line: Hand) -> None:
    project = line.project
    spoil(line)
    assert project.repair("handbook").writes == 0
    assert look(project, level="count").drifted
    line.delete(line.visible(3)[1]["id"])
    assert project.repair("handbook").writes == 1
    assert (look(project, level="count").drifted, touch(line)) == (True, Touch.TOUCHED)
    assert project.repair("handbook", level="full").writes == 1
    assert (look(project, level="count").drifted, touch(line)) == (False, Touch.UNTOUCHED)


def test_a_look_at_everything_that_finds_nothing_settles_it(line: Hand) -> None:
    one = spoil(line)
    line.put(one, vector=snapshot(line.project, 3)[one.partition("~")[0]]["vector"])
    assert touch(line) is Touch.TOUCHED
    assert line.project.repair("handbook", level="full").writes == 0
    assert touch(line) is Touch.UNTOUCHED


def test_a_push_over_a_hand_leaves_it_visible(line: Hand) -> None:
    project = line.project
    spoil(line)
    edit(project, "page4.md", page(700))
    project.build("handbook")
    assert project.push("handbook", on_drift="ignore").applied.records > 0
    assert look(project, 3, level="count").drifted
    assert look(project, 3, level="full").tampered == 1


@pytest.mark.slow
@pytest.mark.parametrize("meddled", [False, True])
def test_our_own_failed_push_is_not_taken_for_a_hand_and_hides_none(
    line: Hand, monkeypatch: pytest.MonkeyPatch, meddled: bool
) -> None:
    project = line.project
    target = project.target("handbook")
    edit(project, "page4.md", page(700))
    edit(project, "page5.md", None)
    project.build("handbook")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(target, "set_removed", killed)
    with pytest.raises(KeyboardInterrupt):
        project.push("handbook")
    monkeypatch.undo()
    assert touch(line) is Touch.UNFINISHED
    if meddled:
        # What was interrupted may have written anything; what was told to have landed did not.
        _settle(project)
        spoil(line)
    project.push("handbook", on_drift="ignore")
    assert touch(line) is (Touch.TOUCHED if meddled else Touch.UNTOUCHED)


def _settle(project: Project) -> None:
    registry = project.registry()
    push = registry.pushes("handbook")[0]
    for entry in registry.unsettled(push.id):
        registry.outcome(push.id, entry.intent_id, "not-landed")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_vector_that_a_hand_replaced_is_not_copied(line: Hand) -> None:
    """Only metadata changes: the content stands there already, under its id, with another vector."""
    project = line.project
    text = (project.base / "documents" / "page4.md").read_text(encoding="utf-8")
    edit(project, "page4.md", "---\ntag: one\n---\n" + text)
    assert release(project) == 4
    edit(project, "page4.md", "---\ntag: two\n---\n" + text)
    project.build("handbook")
    assert project.plan("handbook").vectors == 0
    for row in line.visible(4):
        if row["document_id"] == "page4.md":
            line.put(row["id"], vector=np.full(128, 0.5, np.float32))
    assert project.plan("handbook").vectors > 0
    project.push("handbook", on_drift="ignore")
    assert read_back(line, 5) == snapshot(project, 5)
    edit(project, "page4.md", "---\ntag: three\n---\n" + text)
    project.build("handbook")
    assert project.plan("handbook").vectors > 0, "nobody has looked yet"
    project.repair("handbook", level="full")
    assert project.plan("handbook").vectors == 0


@pytest.mark.slow
def test_a_repair_asks_under_the_lease_which_versions_are_kept(line: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the lease, a version was pushed and promoted that wants what is missing no more."""
    project = line.project
    (one, *_) = [row["id"] for row in line.visible(3) if row["document_id"] == "page4.md"]
    line.delete(one)
    lines = project._lines

    def overtaken(*args: object, **options: object) -> object:
        monkeypatch.undo()
        found = lines(*args, **options)  # type: ignore[arg-type]
        with Project.load(project.base / "vector_pipeline.yaml") as other:
            edit(other, "page4.md", None)
            other.build("handbook")
            other.push("handbook", on_drift="ignore")
        return found

    monkeypatch.setattr(project, "_lines", overtaken)
    assert not project.repair("handbook").drifted
    for version in (3, 4):
        assert read_back(line, version) == snapshot(project, version)


def test_samples_differ_unless_their_seed_is_given(line: Hand) -> None:
    seeds = {look(line.project, level="sample", sample=3).seed for _ in range(4)}
    assert len(seeds) > 1
    assert look(line.project, level="sample", sample=3, seed=7).seed == 7
    assert look(line.project).seed is None


def test_what_has_expired_is_judged_by_nobody_and_stops_nobody(line: Hand) -> None:
    project = line.project
    registry = project.registry()
    old = next(one for one in deployments(project) if one.version == 1)
    registry.mark_expired("handbook", [1])
    version = project.version("handbook", 1)
    assert restore(registry, version, "dev", lake=project.lake(), targets={"local"}).how is How.GONE
    with pytest.raises(RefusedError, match="version 1 of handbook has expired"):
        project.rollback("handbook", by="test", to=1)
    production = registry.alias("handbook", "dev", "production")
    assert production is not None
    with pytest.raises(RefusedError, match="v1 of handbook expired on"):
        registry.move_alias(
            "handbook", "dev", "production", to=old.id, expected=production.deployment.id, by="test", reason=""
        )
    # As a registry of an earlier release may have it.
    with project.registry()._db._engine.begin() as connection:
        connection.execute(versions.update().where(versions.c.number == 1).values(expired_at=None))
    project.rollback("handbook", by="test", to=1)
    with project.registry()._db._engine.begin() as connection:
        connection.execute(versions.update().where(versions.c.number == 1).values(expired_at=version.expired_at))
    told = {one.alias: one for one in project.drift("handbook")}
    assert told["production"].faults[0].startswith("cannot be judged: v1 expired on")
    assert not told["staging"].drifted
    line.delete(line.visible(3)[0]["id"])
    done = project.repair("handbook")
    assert any("v1" in note and "expired" in note for note in done.plan.notes)
    assert read_back(line, 3) == snapshot(project, 3)


def test_closed_records_of_what_expired_are_not_called_foreign(line: Hand) -> None:
    project = line.project
    seen = moved(line, MemoryTarget("local"))
    blind = MemoryTarget("local", seen.target.store, scans_marks=False)  # type: ignore[attr-defined]
    registry = project.registry()
    # Only versions 1 and 2 explain what version 3 has closed.
    registry.mark_expired("handbook", [1, 2])
    report = look_in(seen, blind)
    assert (report.drifted, report.foreign) == (False, 0)
    assert report.not_judged[-1].endswith("records: of expired versions, or foreign")
    seen.put(seen.visible(3)[0]["id"], id="by-hand")
    assert look_in(seen, blind).foreign == 1
    seen.target.delete(line.namespace, pa.array(["by-hand"]), fence=seen.fence)
    for one in deployments(project)[:2]:
        registry.finish_deployment(one.id, DeploymentStatus.RETIRED)
    assert look_in(seen, blind).foreign > 0, "a collection has deleted them: what is there now is somebody else's"
