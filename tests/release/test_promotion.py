"""Who may move production, what undoes a move, and what a push does about somebody else's hand."""

import pyarrow as pa
import pytest

from tests.conftest import MakeProject
from tests.release.test_in_place import verified
from tests.release.test_release import edit
from vector_pipeline.errors import ConflictError, InputError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import DeploymentStatus
from vector_pipeline.targets.base import LIVE


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    return make_project(4, shards=2)


def staged(project: Project, number: int) -> None:
    edit(project, number)
    project.build("handbook")
    project.push("handbook")
    verified(project)


def configured(project: Project, text: str) -> Project:
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace("promotion: {policy: manual}", text), encoding="utf-8")
    return Project.load(config)


@pytest.mark.slow
def test_policy_comes_first(project: Project) -> None:
    staged(project, 500)
    with pytest.raises(RefusedError, match="promoted by a person in environment dev"):
        project.promote("handbook", by="chain", automatic=True)
    with configured(project, "promotion: {policy: automatic, require_reason: true}") as asked:
        with pytest.raises(RefusedError, match="wants a reason"):
            asked.promote("handbook", by="test", reason=" ")
        assert asked.promote("handbook", by="chain", automatic=True)[1]
        with pytest.raises(RefusedError, match="wants a reason"):
            asked.rollback("handbook", by="test")


@pytest.mark.slow
def test_a_failed_check_undoes_its_own_move_only(project: Project) -> None:
    staged(project, 500)
    first, _ = project.promote("handbook", by="test")
    assert project.roll_back_failed(first, by="chain", reason="worse") is None
    staged(project, 600)
    second, _ = project.promote("handbook", by="test")
    with pytest.raises(ConflictError, match="has moved on"):
        project.roll_back_failed(first, by="chain", reason="worse")
    undone = project.roll_back_failed(second, by="chain", reason="worse")
    assert undone is not None
    assert (undone[0].deployment.version, undone[1]) == (1, True)
    assert project.history("handbook")[0].kind == "self-check"


@pytest.mark.slow
def test_what_was_collected_is_restored_by_a_push(project: Project) -> None:
    for number in (500, 600):
        staged(project, number)
        project.promote("handbook", by="test")
    old = project.registry().deployments("handbook")[0]
    project.registry().finish_deployment(old.id, DeploymentStatus.RETIRED)
    with pytest.raises(RefusedError, match=r"was collected .*Restore it.* push handbook --version 1"):
        project.rollback("handbook", by="test", to=1)
    pushed = project.push("handbook", version=1)
    assert pushed.deployment.namespace == f"{old.namespace}--v1"
    verified(project)
    assert project.promote("handbook", by="test")[0].deployment.id == pushed.deployment.id


@pytest.mark.slow
def test_a_push_stops_at_somebody_elses_hand(project: Project) -> None:
    staged(project, 500)
    target = project.target("handbook")
    (namespace,) = target.namespaces()
    row = target.fetch(namespace, [next(iter(target.scan(namespace)))["id"][0].as_py()]).to_pylist()[0]
    foreign = {**row, "id": "by-hand", "added_in": 0, "removed_in": LIVE}
    schema = target.fetch(namespace, []).schema
    target.upsert(namespace, pa.Table.from_pylist([foreign], schema=schema), fence=10**6)
    edit(project, 600)
    project.build("handbook")
    with pytest.raises(
        RefusedError, match=r"somebody else has written to .*Repair it: vector-pipeline repair handbook"
    ):
        project.push("handbook")
    with pytest.raises(InputError, match="cannot be done"):
        project.push("handbook", on_drift="hope")
    assert project.plan("handbook").notes[0].startswith("1 record is not of this pipeline")
    with pytest.raises(ConflictError):
        # The hand holds a higher fence than ours: nothing of ours can be written any more, and nothing is.
        project.push("handbook", on_drift="ignore")


@pytest.mark.slow
def test_a_read_only_target_is_refused_before_anything(project: Project) -> None:
    project.build("handbook")
    project._targets["local", False] = project.target("handbook", read_only=True)
    with pytest.raises(RefusedError, match="read"):
        project.push("handbook")
    assert [one.status for one in project.registry().deployments("handbook")] == ["failed"]
