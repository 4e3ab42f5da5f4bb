"""Push, verify, promote, roll back: on a real lake, registry and DuckDB index."""

import pytest

from tests.conftest import MakeProject, page
from tests.support.gates import verify_index
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.journalling import writer
from vector_pipeline.release.plan import Plan
from vector_pipeline.verify.outcome import Status


def release(project: Project) -> int:
    """Build, push, verify and promote; returns the version."""
    project.build("handbook")
    project.push("handbook")
    verify_index(project)
    alias, _ = project.promote("handbook", by="test")
    return alias.deployment.version


def mark(project: Project) -> str:
    """Mark of the index: equal marks mean that nothing was written between."""
    target = project.target("handbook", read_only=True)
    state = target.describe(target.namespaces()[0])
    assert state is not None
    return state.mark


def edit(project: Project, number: int) -> None:
    (project.base / "documents" / "page1.md").write_text(page(number), encoding="utf-8")


@pytest.mark.slow
def test_the_whole_way_and_back_without_a_write(project: Project) -> None:
    assert release(project) == 1
    edit(project, 500)
    assert release(project) == 2
    before = mark(project)
    alias, moved = project.rollback("handbook", by="test", reason="worse answers")
    assert (alias.deployment.version, moved, mark(project)) == (1, True, before)
    assert [(move.kind, move.from_version, move.to_version) for move in project.history("handbook")][:3] == [
        ("rollback", 2, 1), ("promote", 1, 2), ("push", 1, 2),
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="no earlier version"):
        project.rollback("handbook", by="test")


@pytest.mark.slow
def test_a_push_of_what_is_there_writes_nothing(project: Project) -> None:
    release(project)
    before, pushes = mark(project), len(project.registry().pushes("handbook"))
    again = project.push("handbook")
    assert again.plan.empty
    assert (mark(project), len(project.registry().pushes("handbook"))) == (before, pushes)


@pytest.mark.slow
def test_every_gate_is_recorded_and_unverified_is_refused(project: Project) -> None:
    project.build("handbook")
    project.push("handbook")
    with pytest.raises(RefusedError, match="has not passed: documents expectations, chunks expectations"):
        project.promote("handbook", by="test")
    _, results = project.verify("handbook", only=["coverage"])
    assert [result.status for result in results] == [Status.PASSED]
    with pytest.raises(RefusedError, match="has not passed"):
        project.promote("handbook", by="test")


@pytest.mark.slow
def test_a_hand_in_the_index_fails_coverage_and_the_next_push_mends_it(project: Project) -> None:
    release(project)
    target = project.target("handbook")
    namespace = target.namespaces()[0]
    victim = next(iter(target.scan(namespace)))["id"].slice(0, 1)
    target.delete(namespace, victim, fence=10**6)
    _, results = project.verify("handbook")
    assert {result.name: result.status for result in results}["coverage"] == Status.FAILED
    with pytest.raises(RefusedError, match="has not passed: coverage"):
        project.promote("handbook", by="test", version=1)


@pytest.mark.slow
def test_a_failing_canary_blocks(make_project: MakeProject) -> None:
    project = make_project(gates="canaries: canaries.yaml, max_removed_share: 1")
    path = project.base / "canaries.yaml"
    path.write_text("canaries:\n  - {query: about page 3, expect: [page3.md], k: 1}\n", encoding="utf-8")
    assert release(project) == 1
    path.write_text("canaries:\n  - {query: about page 3, expect: [page4.md], k: 1}\n", encoding="utf-8")
    _, results = project.verify("handbook")
    failed = next(result for result in results if result.name == "canary retrieval")
    assert failed.status == Status.FAILED
    assert failed.summary.startswith("0/1 canary queries passed")
    with pytest.raises(RefusedError, match="canary retrieval"):
        project.promote("handbook", by="test")


@pytest.mark.slow
def test_the_mass_deletion_guard_refuses_before_writing(make_project: MakeProject) -> None:
    project = make_project(gates="max_removed_share: 0.5")
    release(project)
    for number in range(10):
        (project.base / "documents" / f"page{number}.md").unlink()
    project.build("handbook")
    before = mark(project)
    with pytest.raises(RefusedError, match=r"would remove .* more than gates.max_removed_share"):
        project.push("handbook")
    with pytest.raises(RefusedError, match=r"more than gates\.max_removed_share"):
        project.push("handbook", max_removed_share=float("nan"))
    assert mark(project) == before
    pushed = project.push("handbook", max_removed_share=1.0)
    # Most of the line would be closed: it is not continued.
    assert (pushed.plan.strategy, pushed.applied.upserted) == ("blue-green", pushed.deployment.records)


@pytest.mark.slow
def test_an_older_version_cannot_be_pushed_over_a_newer_one(project: Project) -> None:
    release(project)
    edit(project, 500)
    project.build("handbook")
    project.push("handbook")
    assert [stage.kind for stage in project.push("handbook", version=1).plan.stages] == ["move-alias"]
    assert project.push("handbook", version=1).plan.empty
    target = project.target("handbook")
    namespace = target.namespaces()[0]
    victim = next(iter(target.scan(namespace)))["id"].slice(0, 1)
    target.delete(namespace, victim, fence=10**6)
    with pytest.raises(
        RefusedError,
        match=r"can no longer be pushed into it, and is not whole there any more \(1 records",
    ):
        project.push("handbook", version=1, strategy="versioned", on_drift="ignore")


def test_a_saved_plan_is_applied_exactly_or_refused(project: Project) -> None:
    release(project)
    edit(project, 500)
    project.build("handbook")
    saved = Plan.from_json(project.plan("handbook").to_json())
    assert saved == project.plan("handbook")
    assert project.push("handbook", saved=saved).applied.upserted == saved.vectors
    edit(project, 600)
    project.build("handbook")
    stale = Plan.from_json(saved.to_json())
    with pytest.raises(RefusedError, match="the plan is stale"):
        project.push("handbook", saved=stale)
    with pytest.raises(InputError, match="not a plan file"):
        Plan.from_json({"format": 99})


@pytest.mark.slow
def test_one_writer_at_a_time(project: Project) -> None:
    project.build("handbook")
    plan = project.plan("handbook")
    registry, target = project.registry(), project.target("handbook")
    held = registry.acquire_lease(f"{target.name}/{plan.namespace}", "another-machine/1", 60)
    with pytest.raises(ConflictError, match="another-machine/1"):
        project.push("handbook")
    registry.release_lease(held)
    project.push("handbook")
    with writer(registry, target, plan.namespace) as first:
        fence = first.fence
    with writer(registry, target, plan.namespace) as second:
        assert second.fence > fence


@pytest.mark.slow
def test_unknown_names_say_what_there_is(project: Project) -> None:
    with pytest.raises(NotFoundError, match="no dataset 'nope'; the configuration has: handbook"):
        project.plan("nope")
    project.build("handbook")
    with pytest.raises(NotFoundError, match="7"):
        project.plan("handbook", version=7)
    with pytest.raises(InputError, match="numbered from 1"):
        project.plan("handbook", version=0)
    with pytest.raises(NotFoundError, match="never pushed"):
        project.verify("handbook", version=1)


@pytest.mark.slow
def test_verdicts_end_with_the_settings_that_they_were_made_under(make_project: MakeProject) -> None:
    project = make_project(gates="canaries: canaries.yaml")
    path = project.base / "canaries.yaml"
    path.write_text("canaries:\n  - {query: about page 3, expect: [page3.md], k: 1}\n", encoding="utf-8")
    project.build("handbook")
    project.push("handbook")
    project.verify("handbook")
    path.write_text("canaries:\n  - {query: about page 3, expect: [page4.md], k: 1}\n", encoding="utf-8")
    with pytest.raises(RefusedError, match="the gates' settings have changed since version 1"):
        project.promote("handbook", by="test")


@pytest.mark.slow
def test_a_project_that_was_moved_goes_on(project: Project) -> None:
    from pathlib import Path

    release(project)
    project.close()
    moved = project.base.rename(Path(f"{project.base} 100% moved"))
    with Project.load(moved / "vector_pipeline.yaml") as there:
        assert there.build("handbook").made is False
        assert there.push("handbook").plan.empty
        (moved / "documents" / "page1.md").write_text(page(700), encoding="utf-8")
        assert there.build("handbook").version.number == 2
        there.push("handbook")
        assert [result.status for result in there.verify("handbook")[1]][:4] == [Status.PASSED] * 4
