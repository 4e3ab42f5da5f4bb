"""Drift and repair of a project: aliases, history, gates, and what a push looks at first."""

import pytest

from tests.conftest import MakeProject, page
from tests.drift.conftest import Hand, edit, read_back, release, snapshot
from vector_pipeline.drift import Level
from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.targets.duckdb import DuckDBTarget


@pytest.mark.slow
def test_every_alias_is_judged_production_first_and_recorded(line: Hand) -> None:
    project = line.project
    edit(project, "page4.md", page(700))
    project.build("handbook")
    project.push("handbook")
    reports = project.drift("handbook", by="test")
    assert [(one.alias, one.version, one.drifted) for one in reports] == [
        ("production", 3, False),
        ("staging", 4, False),
    ]
    kept = project.registry().audits("handbook")
    assert [(one.alias, one.drifted, one.level, one.by) for one in kept[:2]] == [
        ("staging", False, "ids", "test"), ("production", False, "ids", "test"),
    ]  # fmt: skip
    assert kept[0].counts["expected"] == reports[1].expected
    (only,) = project.drift("handbook", "staging", level="count", record=False)
    assert (only.version, only.level) == (4, Level.COUNT)
    assert len(project.registry().audits("handbook")) == len(kept)
    with pytest.raises(NotFoundError, match="no alias canary"):
        project.drift("handbook", "canary")


@pytest.mark.slow
def test_repair_mends_every_kept_version_and_runs_the_gates_again(line: Hand) -> None:
    project = line.project
    project.rollback("handbook", by="test", to=2)
    line.delete(*[row["id"] for row in line.rows()][:5])
    assert project.plan_repair("handbook").writes == 5
    done = project.repair("handbook", by="test")
    assert (done.writes, done.drifted) == (5, False)
    assert list(done.gates) == ["production", "staging"]
    assert not any(one.blocks for results in done.gates.values() for one in results)
    for version in (1, 2, 3):
        assert read_back(line, version) == snapshot(project, version)
    again = project.repair("handbook")
    assert (again.writes, again.gates, again.to_json()["drifted"]) == (0, {}, False)
    # The verdicts are of today's index: what was repaired can be promoted.
    assert project.promote("handbook", by="test", version=3)[1]


def test_a_repair_looks_at_ids_or_everything(line: Hand) -> None:
    with pytest.raises(InputError, match="ids or full"):
        line.project.repair("handbook", level="sample")


@pytest.mark.slow
def test_before_a_push_drift_is_looked_for_only_where_somebody_wrote(line: Hand) -> None:
    project = line.project
    target = project.target("handbook")
    assert project.drift_before_push("handbook", line.namespace, target) == []
    assert project.drift_before_push("handbook", "another", target) == []
    line.delete(line.visible(3)[0]["id"])
    found = project.drift_before_push("handbook", line.namespace, target)
    assert [(one.alias, one.missing) for one in found] == [("production", 1), ("staging", 1)]
    project.repair("handbook")
    assert project.drift_before_push("handbook", line.namespace, target) == []


@pytest.mark.slow
def test_a_push_stops_at_drift_or_repairs_it(line: Hand) -> None:
    project = line.project
    line.delete(line.visible(3)[0]["id"])
    edit(project, "page4.md", page(700))
    project.build("handbook")
    with pytest.raises(RefusedError, match=r"somebody else has written .* 1 missing"):
        project.push("handbook")
    assert project.push("handbook", on_drift="repair").deployment.version == 4
    for version in (1, 2, 3, 4):
        assert read_back(line, version) == snapshot(project, version)


@pytest.mark.slow
def test_lines_of_their_own_are_all_restored(make_project: MakeProject) -> None:
    project = make_project(3)
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + "    release: {strategy: blue-green}\n", encoding="utf-8")
    with Project.load(config) as green:
        release(green)
        edit(green, "page1.md", page(500))
        release(green)
        target = DuckDBTarget("other", green.base / ".vector_pipeline/index")
        old, new = (one.namespace for one in green.registry().deployments("handbook"))
        assert old != new
        hands = [Hand(green, target, name) for name in (old, new)]
        for hand in hands:
            hand.delete(hand.rows()[0]["id"])
        assert green.drift("handbook")[0].missing == 1
        done = green.repair("handbook")
        assert [one.namespace for one in done.plan.lines] == [new, old]
        assert done.writes == 2
        assert read_back(hands[0], 1) == snapshot(green, 1)
        assert read_back(hands[1], 2) == snapshot(green, 2)
        assert green.plan_repair("handbook", "production").lines[0].namespace == new
        target.close()


@pytest.mark.slow
def test_in_place_readers_see_exactly_the_version_again(make_project: MakeProject) -> None:
    project = make_project(3)
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + "    release: {strategy: in-place}\n", encoding="utf-8")
    with Project.load(config) as live:
        release(live)
        edit(live, "page1.md", page(500))
        release(live)
        namespace = live.registry().alias("handbook", "dev", "production").deployment.namespace  # type: ignore[union-attr]
        target = DuckDBTarget("other", live.base / ".vector_pipeline/index")
        hand = Hand(live, target, namespace)
        assert not live.drift("handbook", "production", level="full")[0].drifted
        before = hand.whole()
        one, two, three, four = list(before)[:4]
        hand.delete(one)
        hand.mark(1, two)
        hand.put(three, metadata_hash="other")
        hand.put(four, id="by-hand")
        hand.put(four, id=f"{four}~7", added_in=9)
        report = live.drift("handbook", "production")[0]
        assert (report.missing, report.stale_marks, report.tampered, report.foreign) == (1, 1, 1, 2)
        assert live.repair("handbook").writes == 5
        assert hand.whole() == before
        assert not live.drift("handbook", "production")[0].drifted
        target.close()
