"""Comparisons hold while production serves what they were made with."""

from typing import Any

import pytest

from tests.conftest import MakeProject, page
from tests.support.gates import say_passed
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.project.gating import SETTINGS
from vector_pipeline.release.registry import Deployment, VerdictStatus
from vector_pipeline.verify.context import AGAINST

GATE = "chunks expectations"


def compared(project: Project, deployment: Deployment) -> None:
    """Every gate said to have passed, one of them in comparison with what production serves now."""
    say_passed(project, deployment, index=True)
    context = project.gate_context(project.version("handbook", deployment.version), deployment)
    detail: dict[str, Any] = {"detail": {AGAINST: context.against()}, SETTINGS: project.gate_settings("handbook")}
    project.registry().record_verdict(
        deployment.id, GATE, VerdictStatus.PASSED, digest=str(deployment.digest), detail=detail
    )


def stage(project: Project, number: int) -> Deployment:
    (project.base / f"documents/page{number}.md").write_text(page(number), encoding="utf-8")
    project.build("handbook")
    deployment = project.push("handbook").deployment
    compared(project, deployment)
    return deployment


def other_side(project: Project, number: int) -> int | None:
    """Version that a version is compared with now."""
    version = project.version("handbook", number)
    found = project.gate_context(version, project.deployment_of(version)).production
    return None if found is None else found.version.number


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    return make_project(3, shards=2, gates="max_removed_share: 1")


@pytest.mark.slow
def test_production_that_moved_on_ends_a_comparison(project: Project) -> None:
    first = stage(project, 10)
    assert other_side(project, 1) is None
    project.promote("handbook", by="ann")
    compared(project, first)
    second, third = stage(project, 11), stage(project, 12)
    # Written beside it since: the index is looked at again, the comparison stands.
    compared(project, second)
    project.promote("handbook", by="ann", version=2)
    with pytest.raises(RefusedError) as refused:
        project.promote("handbook", by="ann")
    said = "version 3 of handbook was compared with version 1, which production served; since then it is version 2"
    assert said in str(refused.value)
    assert "vector-pipeline verify handbook --version 3" in str(refused.value)
    (stale,) = [one for one in project.status("handbook").said if one.blocks]
    assert (stale.name, stale.summary[:23]) == (GATE, "compared with version 1")
    plan = project.plan("handbook", goal="production")
    assert [stage.kind.value for stage in plan.stages] == ["verify", "move-alias"]
    assert f"to be checked first: {GATE}" in plan.notes
    compared(project, third)
    assert project.promote("handbook", by="ann")[1]


@pytest.mark.slow
def test_what_production_serves_is_compared_with_what_it_replaced(project: Project) -> None:
    for number in (10, 11, 12):
        stage(project, number)
        project.promote("handbook", by="ann")
    assert [other_side(project, number) for number in (1, 2, 3)] == [3, 3, 2]
    project.rollback("handbook", by="ann")
    # Not with version 3: that was rolled back from.
    assert [other_side(project, number) for number in (1, 2, 3)] == [2, 1, 2]


@pytest.mark.slow
def test_what_was_said_of_production_stands_when_what_it_replaced_is_gone(project: Project) -> None:
    stage(project, 10)
    project.promote("handbook", by="ann")
    compared(project, stage(project, 11))
    project.promote("handbook", by="ann")
    before = [(one.name, one.status, one.summary) for one in project.status("handbook").said]
    assert not any(one.blocks for one in project.status("handbook").said)
    project.registry().mark_expired("handbook", [1])
    assert [(one.name, one.status, one.summary) for one in project.status("handbook").said] == before


@pytest.mark.slow
def test_a_person_may_let_a_version_past_a_comparison_that_has_ended(project: Project) -> None:
    stage(project, 10)
    stage(project, 11)
    stage(project, 12)
    compared(project, project.deployment_of(project.version("handbook", 2)))
    project.promote("handbook", by="ann", version=2)
    compared_before = project.status("handbook").said
    assert [one.name for one in compared_before if one.blocks] == [GATE]
    project.promote("handbook", by="ann", overrides=["chunks_expectations"], reason="the same but for a comma")
    (one,) = project.status("handbook").overridden
    assert (one.check, one.status) == (GATE, VerdictStatus.UNKNOWN)
    assert one.summary.startswith("compared with nothing: production served nothing; since then it is version 2")
