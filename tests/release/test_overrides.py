"""A person lets a version past a gate: with a reason, on record, and never past what it is."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.conftest import MakeProject, page
from tests.support.gates import say_passed, verify_index
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Deployment, DeploymentStatus, VerdictStatus
from vector_pipeline.verify.outcome import Status

CANARIES, COVERAGE = "canary retrieval", "coverage"
BAD = """canaries:
  - {query: "About page 1", expect: [page1.md], k: 9}
  - {query: "About page 2", expect: [page2.md], k: 9}
  - {query: "About page 1", expect: [nowhere.md], k: 9}
"""
WHY = {"by": "ann", "reason": "nowhere.md comes tomorrow"}


def edit(project: Project, number: int) -> None:
    (project.base / f"documents/page{number}.md").write_text(page(number), encoding="utf-8")


def stage(project: Project) -> Deployment:
    """The next version on staging: its canaries judged for real, everything else said to have passed."""
    project.build("handbook")
    deployment = project.push("handbook").deployment
    say_passed(project, deployment, index=True)
    project.verify("handbook", only=[CANARIES], deployment=deployment)
    return deployment


def begun(project: Project, canaries: str = BAD) -> Project:
    (project.base / "canaries.yaml").write_text(canaries, encoding="utf-8")
    stage(project)
    return project


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """Version 1 on staging, which one of three canaries stops."""
    return begun(make_project(3, shards=2, gates="canaries: canaries.yaml, max_removed_share: 1"))


def lose(project: Project) -> None:
    """The target loses its newest records behind everybody's back: its own mark does not tell."""
    files = sorted(Path(project.base).rglob("seg-*.duckdb"), key=lambda path: path.stat().st_mtime_ns)
    files[-1].unlink()
    project.close()


def test_a_version_is_let_past_and_the_history_says_so(project: Project) -> None:
    with pytest.raises(RefusedError, match="has not passed: canary retrieval"):
        project.promote("handbook", by="ann")
    alias, moved = project.promote("handbook", overrides=["canary_retrieval"], run_id="r", **WHY)
    assert (moved, alias.deployment.version, alias.reason) == (True, 1, WHY["reason"])
    (one,) = project.status("handbook").overridden
    assert (one.check, one.status, one.by, one.reason, one.run_id) == (
        CANARIES,
        VerdictStatus.FAILED,
        *WHY.values(),
        "r",
    )
    assert one.summary.startswith("2/3 canary queries passed")
    assert (one.digest, one.mark) == (alias.deployment.digest, project.mark_of(alias.deployment))
    event = next(event for event in project.timeline("handbook") if event.kind == "promote")
    assert event.overrides == (one,)
    assert project.version_past("handbook", 1).placed[0].overrides == (one,)
    said = {result.name: result.status for result in project.status("handbook").said}
    assert said[CANARIES] is Status.FAILED, "the verdict stays what it is"

    # What fails as it did then undoes nothing.
    checked = project.settle(alias, by="ann")
    assert checked.error is None
    assert [(result.status, result.detail.get("judged")) for result in checked.results] == [
        (Status.PASSED, None),
        (Status.WARNED, "failed"),
    ]
    assert checked.results[1].summary.endswith(f"(let past by ann: {WHY['reason']})")
    assert project.promote("handbook", overrides=["canary_retrieval"], **WHY) == (alias, False), "asked again: no news"
    assert len(project.status("handbook").overridden) == 1


def test_the_way_back_knows_of_it_and_a_new_promotion_does_not(project: Project) -> None:
    project.promote("handbook", overrides=[CANARIES], **WHY)
    edit(project, 7)
    stage(project)
    project.promote("handbook", overrides=[CANARIES], **WHY)
    back, moved = project.rollback("handbook", by="bob")
    assert (moved, back.deployment.version) == (True, 1)
    with pytest.raises(RefusedError, match="version 2 of handbook has not passed: canary retrieval"):
        project.promote("handbook", by="ann")
    project.promote("handbook", overrides=[CANARIES], **WHY)
    assert len(project.registry().overrides("handbook")) == 3


@pytest.fixture
def beside(make_project: MakeProject) -> Project:
    """Version 2 on staging: its canaries are enough, but surely fewer than those that version 1 in production passes."""
    pages = "".join(f'  - {{query: "{name(n)}", expect: [page{n}.md], k: 9}}\n' for n in range(1, 11))
    project = make_project(10, shards=2, gates="canaries: canaries.yaml, canary_pass_rate: 0.1, max_removed_share: 1")
    begun(project, f"canaries:\n{pages}")
    project.promote("handbook", by="ann")
    for number in range(1, 9):
        (project.base / f"documents/page{number}.md").unlink()
    stage(project)
    return project


def name(number: int) -> str:
    return f"Paragraph 2 of page {number} speaks of item{number}x2"


def test_what_is_right_live_takes_nothing_back_that_the_gate_said(beside: Project) -> None:
    with pytest.raises(RefusedError, match="has not passed: canary retrieval"):
        beside.promote("handbook", by="ann")
    alias, _ = beside.promote("handbook", overrides=[CANARIES], **WHY)
    checked = beside.settle(alias, by="ann")
    assert checked.results[1].status is Status.PASSED, "production is not seen beside itself"
    beside.rollback("handbook", by="bob")
    said = {one.name: one.status for one in beside.status("handbook").said}
    assert said[CANARIES] is Status.FAILED
    with pytest.raises(RefusedError, match="version 2 of handbook has not passed: canary retrieval"):
        beside.promote("handbook", version=2, by="carl")


def test_an_override_is_for_one_promotion(project: Project) -> None:
    alias, _ = project.promote("handbook", overrides=[CANARIES], **WHY)
    edit(project, 7)
    stage(project)
    project.promote("handbook", overrides=[CANARIES], **WHY)
    say_passed(project, alias.deployment, index=True)
    project.promote("handbook", version=1, by="ann")
    assert project.overridden(alias.deployment) == {}
    project.promote("handbook", version=2, overrides=[CANARIES], **WHY)
    project.rollback("handbook", by="bob")
    assert project.status("handbook").overridden == (), "let past by the promotion before the last"


def test_what_cannot_be_overridden(project: Project) -> None:
    def refused(message: str, *gates: str, reason: str = "why", **options: bool) -> None:
        with pytest.raises((InputError, RefusedError), match=message):
            project.promote("handbook", by="ann", overrides=gates, reason=reason, **options)

    refused("letting a version past canary retrieval wants a reason", "canary_retrieval", reason=" ")
    refused(r"handbook has no gate 'cannary'. One of: documents_expectations, .*canary_retrieval", "cannary")
    refused("version 1 is not stopped by coverage: there is nothing to let it past. .* --override coverage", "coverage")
    refused("version 1 is not stopped by coverage", "canary_retrieval", "coverage")
    refused(r"promoted by a person", "canary_retrieval", automatic=True)
    assert project.status("handbook").production is None
    assert project.registry().overrides("handbook") == []


def test_what_has_not_run_and_what_is_out_of_date_can(project: Project) -> None:
    edit(project, 7)
    project.build("handbook")
    say_passed(project, project.push("handbook").deployment)
    of_index = project.index_gates_of("handbook", "local")
    with pytest.raises(RefusedError, match="has not passed: "):
        project.promote("handbook", overrides=of_index[:1], **WHY)
    project.promote("handbook", overrides=of_index, **WHY)
    found = {one.check: (one.status, one.summary) for one in project.status("handbook").overridden}
    assert found == dict.fromkeys(of_index, (VerdictStatus.UNKNOWN, "has not run"))
    # Version 1 was judged before version 2 was written beside it.
    project.promote("handbook", version=1, overrides=of_index, **WHY)
    assert {one.summary for one in project.status("handbook").overridden} == {
        "judged before the index changed: verify again"
    }


def test_never_past_what_is_not_whole_or_not_there(project: Project) -> None:
    deployment = project.status("handbook").staging.deployment  # type: ignore[union-attr]
    every = ["canary retrieval"]
    registry = project.registry()
    registry.begin_deployment(
        dataset="handbook", environment="dev", target="local", namespace=deployment.namespace, version=1,
        space=deployment.space, fingerprint=deployment.fingerprint, records=deployment.records, run_id=None,
        strategy=deployment.strategy,
    )  # fmt: skip
    with pytest.raises(RefusedError, match="is not pushed whole to local"):
        project.promote("handbook", overrides=every, **WHY)
    registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, deployment.digest)
    project.target("handbook").drop_namespace(deployment.namespace, fence=10**6)
    with pytest.raises(RefusedError, match="there is nothing to serve"):
        project.promote("handbook", overrides=project.index_gates_of("handbook", "local"), **WHY)
    assert registry.overrides("handbook") == []


def test_its_own_check_undoes_what_fails_otherwise_than_it_did_then(project: Project) -> None:
    project.promote("handbook", overrides=[CANARIES], **WHY)
    edit(project, 7)
    stage(project)
    alias, _ = project.promote("handbook", overrides=[CANARIES], **WHY)
    lose(project)
    checked = project.settle(alias, by="ann")
    assert checked.back is not None
    assert checked.back.deployment.version == 1


def test_more_records_missing_than_were_let_past_are_not_let_past(make_project: MakeProject) -> None:
    project = make_project(3, shards=1, gates="max_removed_share: 1, modes: {canary_retrieval: 'off'}")
    stage(project)
    project.promote("handbook", by="ann")
    edit(project, 7)
    deployment = stage(project)
    without(project, deployment, 1)
    say_passed(project, deployment, index=True, but=[COVERAGE])
    project.verify("handbook", only=[COVERAGE], deployment=deployment)
    alias, _ = project.promote("handbook", overrides=[COVERAGE], **WHY)
    assert project.settle(alias, by="ann").results[0].status is Status.WARNED, "as it was"
    without(project, deployment, None)
    checked = project.settle(alias, by="ann")
    assert checked.back is not None
    assert checked.back.deployment.version == 1
    assert "missing" in str(checked.error)


def without(project: Project, deployment: Deployment, number: int | None) -> None:
    """Another hand deletes so many records (None: all)."""
    target = project.target_named(deployment.target)
    ids = pa.concat_arrays([batch["id"] for batch in target.scan(deployment.namespace)])
    target.delete(deployment.namespace, ids[:number], fence=10**6)


def test_nothing_is_let_past_of_a_gate_that_had_not_looked(project: Project) -> None:
    (project.base / "canaries.yaml").write_text(BAD.replace("nowhere", "page2"), encoding="utf-8")
    verify_index(project)
    project.promote("handbook", by="ann")
    edit(project, 7)
    project.build("handbook")
    say_passed(project, project.push("handbook").deployment, index=True, but=[CANARIES])
    alias, _ = project.promote("handbook", overrides=[CANARIES], **WHY)
    (project.base / "canaries.yaml").write_text(BAD, encoding="utf-8")
    checked = project.settle(alias, by="ann")
    assert checked.back is not None
    assert checked.results[1].status is Status.FAILED


@pytest.mark.slow
def test_in_place_it_is_let_past_on_the_way_to_readers_and_back(make_project: MakeProject) -> None:
    project = make_project(3, shards=2, gates="canaries: canaries.yaml, max_removed_share: 1")
    config = project.base / "vector_pipeline.yaml"
    config.write_text(
        config.read_text().replace("target: local", "target: local\n    release: {strategy: in-place}"),
        encoding="utf-8",
    )
    with Project.load(config) as project:
        begun(project)
        with pytest.raises(RefusedError, match="has not passed: canary retrieval"):
            project.promote("handbook", by="ann")
        alias, _ = project.promote("handbook", overrides=[CANARIES], **WHY)
        assert alias.deployment.namespace.endswith("--live")
        (one,) = project.status("handbook").overridden
        assert (one.check, one.deployment_id) == (CANARIES, alias.deployment.id)
        copied = {verdict.check for verdict in project.registry().verdicts(alias.deployment.id)}
        assert set(project.gates_of("handbook", "local")) <= copied
        assert project.settle(alias, by="ann").error is None
        (project.base / "canaries.yaml").write_text(BAD.replace("nowhere", "page2"), encoding="utf-8")
        edit(project, 7)
        stage(project)
        project.promote("handbook", by="ann")
        assert project.status("handbook").overridden == ()
        (project.base / "canaries.yaml").write_text(BAD, encoding="utf-8")
        back, moved = project.rollback("handbook", by="bob")
        assert (moved, back.deployment.version) == (True, 1), "written back, although the canary still fails"
