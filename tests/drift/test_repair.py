"""Repair: exactly what every kept version should be, with the fewest writes."""

import pytest

from tests.conftest import page
from tests.drift.conftest import Hand, deployments, look, read_back, snapshot
from vector_pipeline.drift.repair import repair_line
from vector_pipeline.drift.repair_plan import LinePlan, RepairLine
from vector_pipeline.drift.report import Level
from vector_pipeline.errors import RefusedError
from vector_pipeline.release.apply import Applied
from vector_pipeline.targets.base import LIVE, NamespaceSpec


def the_line(line: Hand, *numbers: int) -> RepairLine:
    ones = [one for one in deployments(line.project) if not numbers or one.version in numbers]
    versions = tuple(line.project.version("handbook", one.version) for one in ones)
    return RepairLine(tuple(ones), versions, ones[-1])


def mend(line: Hand, *numbers: int, level: Level = Level.IDS) -> tuple[LinePlan, Applied]:
    project = line.project
    return repair_line(
        project.lake(), project.registry(), project.target("handbook"), the_line(line, *numbers), level=level
    )


def require_mended(line: Hand, level: Level = Level.IDS) -> None:
    for version in (1, 2, 3):
        report = look(line.project, version, level=level)
        assert not report.drifted, report.summary
        assert read_back(line, version) == snapshot(line.project, version)
    before = line.whole()
    again, applied = mend(line, level=level)
    assert (again.empty, applied.records) == (True, 0)
    assert line.whole() == before


def test_nothing_is_repaired_where_nothing_drifted(line: Hand) -> None:
    pushes = len(line.project.registry().pushes("handbook"))
    plan, applied = mend(line)
    assert (plan.empty, plan.writes, applied.records) == (True, 0, 0)
    assert len(line.project.registry().pushes("handbook")) == pushes


@pytest.mark.slow
def test_it_writes_as_many_records_as_differ_and_touches_no_other(line: Hand) -> None:
    rows = [row["id"] for row in line.visible(3)]
    before = line.whole()
    gone, bent, closed = rows[:3], rows[3:5], rows[5:6]
    line.delete(*gone)
    for one in bent:
        line.put(one, metadata_hash="other", metadata='{"other": 1}')
    line.mark(3, *closed)
    for number in range(4):
        line.put(rows[10], id=f"by-hand-{number}")
    plan, applied = mend(line)
    assert plan.drift == {"missing": 3, "foreign": 4, "tampered": 2, "stale_marks": 1}
    assert (applied.upserted + applied.derived, applied.closed, applied.deleted) == (5, 1, 4)
    assert plan.writes == applied.records == 10
    after = line.whole()
    assert {one: row for one, row in after.items() if one not in gone} == {
        one: row for one, row in before.items() if one not in gone
    }
    require_mended(line)


@pytest.mark.slow
def test_all_kept_versions_are_restored_together(line: Hand) -> None:
    line.drop()
    plan, applied = mend(line)
    assert plan.stages[0].kind == "ensure-namespace"
    assert applied.upserted == plan.writes
    # One record serves every unbroken row of versions that want it.
    wanted = {(version, one) for version in (1, 2, 3) for one in snapshot(line.project, version)}
    assert plan.writes < len(wanted)
    require_mended(line, Level.FULL)


@pytest.mark.slow
def test_an_interval_that_was_reopened_or_cut_gets_its_end_and_nothing_else(line: Hand) -> None:
    before = {row["id"]: row for row in line.rows()}
    reopened = [one for one, row in before.items() if row["removed_in"] == 2]
    cut = [one for one, row in before.items() if row["removed_in"] == LIVE and row["added_in"] == 1][:2]
    line.mark(LIVE, *reopened)
    line.mark(2, *cut)
    plan, applied = mend(line)
    assert applied.closed == applied.records == len(reopened) + len(cut) == plan.writes
    assert {row["id"]: row for row in line.rows()} == before
    require_mended(line)


def test_what_was_written_under_another_interval_is_written_again(line: Hand) -> None:
    one = next(row["id"] for row in line.visible(3) if row["added_in"] == 1)
    line.put(one, added_in=2)
    plan, applied = mend(line)
    assert applied.records == plan.writes == 1
    require_mended(line)


def test_doubles_are_deleted(line: Hand) -> None:
    one = line.visible(3)[0]["id"]
    line.put(one, id=one.partition("~")[0] + "~9")
    _, applied = mend(line)
    assert (applied.deleted, applied.records) == (1, 1)
    require_mended(line)


@pytest.mark.slow
def test_values_are_mended_in_full(line: Hand) -> None:
    rows = [row["id"] for row in line.visible(3)]
    line.put(rows[0], text="other")
    line.put(rows[1], vector=[1.0] + [0.0] * 127)
    line.put(rows[2], metadata='{"other": 1}')
    assert mend(line)[0].empty
    before = {row["id"]: row for row in line.rows()}
    plan, applied = mend(line, level=Level.FULL)
    assert plan.drift["tampered"] == 3
    assert applied.upserted + applied.derived == applied.records == 3
    assert {row["id"]: row for row in line.rows()} == before
    require_mended(line, Level.FULL)


@pytest.mark.slow
def test_a_spoilt_record_is_no_source(line: Hand) -> None:
    """Content that returned: its closed copy was spoilt, and the living one deleted."""
    closed = next(row for row in line.rows() if row["removed_in"] == 2 and row["document_id"] == "page2.md")
    living = next(row["id"] for row in line.visible(3) if row["id"].startswith(closed["id"] + "~"))
    line.put(closed["id"], vector=[1.0] + [0.0] * 127)
    line.delete(living)
    mend(line, 3, level=Level.FULL)
    report = look(line.project, 3, level="full")
    assert not report.drifted, report.summary
    mend(line, level=Level.FULL)
    require_mended(line, Level.FULL)


@pytest.mark.slow
def test_a_missing_record_is_derived_where_a_good_copy_stands(line: Hand) -> None:
    if not line.target.capabilities.derives:
        pytest.skip("records are not derived")
    living = next(row["id"] for row in line.visible(3) if "~" in row["id"] and row["document_id"] == "page2.md")
    line.delete(living)
    # By ids alone nobody knows what stands there: somebody wrote.
    assert [stage.kind for stage in line.project.plan_repair("handbook").stages] == ["ensure-namespace", "upsert"]
    _, applied = mend(line, level=Level.FULL)
    assert (applied.derived, applied.records) == (1, 1)
    require_mended(line, Level.FULL)


@pytest.mark.slow
def test_what_is_being_pushed_is_left_alone(line: Hand) -> None:
    (line.project.base / "documents" / "page0.md").write_text(page(700), encoding="utf-8")
    assert line.project.build("handbook").version.number == 4
    source = line.visible(3)[0]["id"]
    ahead = source.partition("~")[0] + "~4"
    line.put(source, id=ahead, added_in=4, removed_in=LIVE)
    line.mark(4, source)
    plan, _ = mend(line)
    assert plan.empty
    line.delete(line.visible(3)[1]["id"])
    mend(line)
    assert ahead in line.whole()
    assert line.whole()[source]["removed_in"] == 4


def test_only_kept_versions_are_restored(line: Hand) -> None:
    line.delete(*[row["id"] for row in line.rows() if row["removed_in"] == 2])
    plan, _ = mend(line, 2, 3)
    assert plan.empty
    assert plan.versions == (2, 3)


def test_it_is_journalled_and_recorded(line: Hand) -> None:
    project = line.project
    line.delete(line.visible(3)[0]["id"])
    mend(line, level=Level.FULL)
    registry = project.registry()
    push = registry.pushes("handbook")[0]
    assert (push.plan["strategy"], push.status, push.plan["versions"]) == ("repair", "done", [1, 2, 3])
    assert [entry.outcome for entry in registry.journal(push.id)] == ["landed"] * len(registry.journal(push.id))
    assert not look(project, level="count").drifted
    assert registry.lease(f"local/{line.namespace}") is None


def test_a_repair_that_was_killed_is_continued(line: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row["id"] for row in line.visible(3)]
    line.delete(*rows[:3])
    line.put(rows[5], id="by-hand")
    project = line.project
    target = project.target("handbook")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(target, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        mend(line)
    monkeypatch.undo()
    assert project.registry().pushes("handbook")[0].status == "failed"
    assert not {*rows[:3]} - {row["id"] for row in line.visible(3)} or look(project).missing == 0
    _, applied = mend(line)
    assert (applied.deleted, applied.records) == (1, 1)
    require_mended(line)


def test_a_namespace_of_another_space_is_refused(line: Hand) -> None:
    line.drop()
    line.target.ensure_namespace(NamespaceSpec(line.namespace, 3, "cosine", "f" * 16), fence=line.fence + 10)
    with pytest.raises(RefusedError, match=r"exists|made it anew"):
        mend(line)


@pytest.mark.slow
def test_what_ends_with_a_version_that_does_not_exist_is_reopened(line: Hand) -> None:
    project = line.project
    (one,) = [row["id"] for row in line.visible(3)][:1]
    line.mark(999, one)
    report = look(project)
    assert (report.drifted, report.stale_marks, report.missing) == (True, 1, 0)
    (project.base / "documents" / "page0.md").write_text(page(700), encoding="utf-8")
    project.build("handbook")
    assert "marks of version 999, which does not exist: repair it" in project.plan("handbook", strategy="auto").why
    plan, applied = mend(line)
    assert (plan.drift["stale_marks"], applied.closed, applied.records) == (1, 1, 1)
    assert {row["id"]: row["removed_in"] for row in line.rows()}[one] == LIVE
    require_mended(line)
    assert project.plan("handbook", strategy="auto").strategy == "versioned"


@pytest.mark.slow
def test_a_spoilt_record_that_ends_with_no_version_is_reopened_too(line: Hand) -> None:
    one = line.visible(3)[0]["id"]
    line.put(one, vector=[5.0] * line.project.version("handbook", 3).dimension, removed_in=999)
    mend(line, level=Level.FULL)
    assert {row["id"]: row["removed_in"] for row in line.rows()}[one] == LIVE
    require_mended(line, level=Level.FULL)
