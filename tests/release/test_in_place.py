"""In place: gates on a copy, then what readers read is written over; and back."""

from typing import Any

import pytest

from tests.conftest import MakeProject
from tests.release.test_release import edit
from tests.support.gates import verify_index
from vector_pipeline import open_index
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.project import Project


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    made = make_project(4, shards=2)
    config = made.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + "    release: {strategy: in-place}\n", encoding="utf-8")
    return Project.load(config)


def verified(project: Project) -> None:
    """The gates of the index for real; those of the data, which cost a second, are said to have passed."""
    verify_index(project, "handbook", project.staged("handbook"))


def released(project: Project, number: int) -> int:
    edit(project, number)
    project.build("handbook")
    project.push("handbook")
    verified(project)
    return project.promote("handbook", by="test")[0].deployment.version


def found(project: Project, words: str) -> str:
    with open_index("handbook", project=project.base / "vector_pipeline.yaml") as index:
        return str(index.query(words)[0].text)


def statuses(project: Project) -> list[tuple[str, int, str]]:
    known = project.registry().deployments("handbook")
    return sorted((one.namespace.rpartition("--")[2], one.version, one.status.value) for one in known)


@pytest.mark.slow
def test_the_copy_is_judged_the_live_line_follows_and_rolls_back(project: Project) -> None:
    assert released(project, 500) == 1
    assert "page 500" in found(project, "About page 500.")
    assert released(project, 600) == 2
    assert "page 600" in found(project, "About page 600.")
    assert statuses(project) == [
        ("live", 1, "replaced"), ("live", 2, "pushed"), ("next", 1, "replaced"), ("next", 2, "pushed"),
    ]  # fmt: skip
    assert project.plan("handbook").empty
    assert project.plan("handbook", goal="production").empty
    assert project.promote("handbook", by="test")[1] is False
    alias, moved = project.rollback("handbook", by="test", reason="worse")
    assert (alias.deployment.version, moved) == (1, True)
    assert "page 500" in found(project, "About page 500.")
    target = project.target("handbook")
    for namespace in target.namespaces():
        rows = [row for batch in target.scan(namespace) for row in batch.to_pylist()]
        assert {(row["added_in"], row["id"].count("~")) for row in rows} == {(0, 0)}
    plan = project.plan("handbook", goal="production")
    kinds = [(stage.kind.value, stage.where.rpartition("--")[2]) for stage in plan.stages]
    assert kinds[-1] == ("move-alias", "production")
    assert ("delete", "live") in kinds
    assert "verify" not in [kind for kind, _ in kinds]
    project.close()


@pytest.mark.slow
def test_an_interrupted_promotion_goes_on_and_one_that_fails_is_put_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    released(project, 500)
    edit(project, 600)
    project.build("handbook")
    project.push("handbook")
    verified(project)
    target = project.target("handbook")
    delete = target.delete

    def lost(*_: Any, **__: Any) -> Any:
        raise UnavailableError("the line is down")

    monkeypatch.setattr(target, "delete", lost)
    with pytest.raises(UnavailableError):
        project.promote("handbook", by="test")
    monkeypatch.setattr(target, "delete", delete)
    alias, moved = project.rollback("handbook", by="test")
    assert (alias.deployment.version, moved) == (1, True), "what production names is written back"
    assert "page 500" in found(project, "About page 500.")
    upsert = target.upsert

    def half(namespace: str, records: Any, **options: Any) -> Any:
        return upsert(namespace, records.slice(0, records.num_rows - 1), **options)

    monkeypatch.setattr(target, "upsert", half)
    with pytest.raises(RefusedError, match=r"version 2 of handbook did not pass on .*--live: coverage.*"):
        project.promote("handbook", by="test")
    monkeypatch.setattr(target, "upsert", upsert)
    assert project.promote("handbook", by="test")[0].deployment.version == 2
    assert "page 600" in found(project, "About page 600.")
    project.close()
