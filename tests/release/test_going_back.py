"""Rolling back where something is in the way: what was collected, and writes over production that did not end."""

from typing import Any

import pytest

from tests.conftest import MakeProject
from tests.release.test_in_place import found, released, statuses, verified
from tests.release.test_release import edit
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import DeploymentStatus


@pytest.mark.slow
def test_nobody_goes_back_further_than_one_step_unasked(make_project: MakeProject) -> None:
    project = make_project(4, shards=2)
    for number in (500, 600, 700):
        released(project, number)
    second = next(one for one in project.registry().deployments("handbook") if one.version == 2)
    project.registry().finish_deployment(second.id, DeploymentStatus.RETIRED)
    with pytest.raises(
        RefusedError, match=r"version 2 of handbook was collected from .* rollback handbook --to VERSION"
    ):
        project.rollback("handbook", by="test")
    assert project.rollback("handbook", by="test", to=1)[0].deployment.version == 1


@pytest.fixture
def in_place(make_project: MakeProject) -> Project:
    made = make_project(4, shards=2)
    config = made.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + "    release: {strategy: in-place}\n", encoding="utf-8")
    return Project.load(config)


def _stopped(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("to", [None, 1])
def test_going_back_in_place_is_continued_by_the_same_command(
    in_place: Project, monkeypatch: pytest.MonkeyPatch, to: int | None
) -> None:
    project = in_place
    for number in (500, 600):
        released(project, number)
    for place, step in ((project.target("handbook"), "delete"), (project, "_look_again")):
        with monkeypatch.context() as patch:
            patch.setattr(place, step, _stopped)
            with pytest.raises(KeyboardInterrupt):
                project.rollback("handbook", by="test", to=to)
        assert ("live", 2, "replaced") in statuses(project), "version 2 is not written back"
    alias, moved = project.rollback("handbook", by="test", to=to)
    assert (alias.deployment.version, moved) == (1, True)
    assert "page 500" in found(project, "About page 500.")
    project.close()


@pytest.mark.slow
def test_undoing_a_promotion_in_place_is_continued_by_the_same_command(
    in_place: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_place
    for number in (500, 600):
        released(project, number)
    edit(project, 700)
    project.build("handbook")
    project.push("handbook")
    verified(project)
    target = project.target("handbook")
    for step in (project.promote, project.rollback):
        with monkeypatch.context() as patch:
            patch.setattr(target, "delete", _stopped)
            with pytest.raises(KeyboardInterrupt):
                step("handbook", by="test")
    assert project.rollback("handbook", by="test")[0].deployment.version == 2
    assert "page 600" in found(project, "About page 600.")
    assert project.rollback("handbook", by="test")[0].deployment.version == 1
    project.close()


@pytest.mark.slow
def test_a_repair_does_not_end_what_nobody_promoted(in_place: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = in_place
    released(project, 500)
    edit(project, 600)
    project.build("handbook")
    target = project.target("handbook")
    for step in (project.push, project.promote):
        with monkeypatch.context() as patch:
            patch.setattr(target, "upsert", _stopped)
            with pytest.raises(KeyboardInterrupt):
                step("handbook", by="test")
        repaired = project.repair("handbook")
        assert repaired.writes == 0
        assert [note for note in repaired.plan.notes if "a write in place (v2) did not end" in note]
        assert "page 500" in found(project, "About page 500.")
        if step == project.push:
            project.push("handbook")
            verified(project)
    assert [(one.alias, one.version, one.drifted) for one in project.drift("handbook")] == [
        ("production", 1, False), ("staging", 2, False),
    ]  # fmt: skip
    assert project.promote("handbook", by="test")[0].deployment.version == 2
    project.close()


@pytest.mark.slow
def test_only_from_where_it_was_looked_at(make_project: MakeProject) -> None:
    project = make_project(4, shards=2)
    for number in (500, 600, 700):
        released(project, number)
    before = project.registry().alias_moves("handbook")
    alias, moved = project.rollback("handbook", by="test", only_from=2)
    assert (alias.deployment.version, moved) == (3, False)
    assert project.registry().alias_moves("handbook") == before
    alias, moved = project.rollback("handbook", by="test", only_from=3)
    assert (alias.deployment.version, moved) == (2, True)
    assert project.rollback("handbook", by="test", only_from=3)[1] is False, (
        "the same command again undoes no older one"
    )


@pytest.mark.slow
def test_only_from_a_write_in_place_that_did_not_end(in_place: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = in_place
    released(project, 500)
    edit(project, 600)
    project.build("handbook")
    project.push("handbook")
    verified(project)
    with monkeypatch.context() as patch:
        patch.setattr(project.target("handbook"), "delete", _stopped)
        with pytest.raises(KeyboardInterrupt):
            project.promote("handbook", by="test")
    assert project.rollback("handbook", by="test", only_from=3) == (
        project.standing("handbook", "production")[0],
        False,
    )
    alias, moved = project.rollback("handbook", by="test", only_from=2)
    assert (alias.deployment.version, moved) == (1, True)
    assert "page 500" in found(project, "About page 500.")
    project.close()
