"""What goes wrong around a release: rolled back, lost, interrupted, overtaken. On a real lake, registry and index."""

import shutil

import pytest

from tests.release.test_release import edit, mark, release
from tests.support.gates import verify_index
from vector_pipeline import open_index
from vector_pipeline.errors import ConflictError, CorruptError, NotFoundError, RefusedError
from vector_pipeline.lake.retention import expire_snapshots
from vector_pipeline.project import Project
from vector_pipeline.project.gating import Kind
from vector_pipeline.release.journalling import writer
from vector_pipeline.release.lines import base_namespace
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.promote import point_staging
from vector_pipeline.release.push import push_version
from vector_pipeline.release.registry import Alias
from vector_pipeline.release.wishes import Wish
from vector_pipeline.verify.outcome import Status


@pytest.mark.slow
def test_what_was_rolled_back_from_is_reached_by_its_number_only(project: Project) -> None:
    for number in (500, 600, 700):
        edit(project, number)
        release(project)
        if number == 600:
            alias, _ = project.rollback("handbook", by="test", reason="bad")
            assert alias.deployment.version == 1
    alias, _ = project.rollback("handbook", by="test")
    assert alias.deployment.version == 1
    with pytest.raises(NotFoundError, match="no earlier version"):
        project.rollback("handbook", by="test")
    alias, _ = project.rollback("handbook", by="test", to=2)
    assert alias.deployment.version == 2
    alias, _ = project.rollback("handbook", by="test")
    assert alias.deployment.version == 1


@pytest.mark.slow
def test_of_pushes_that_end_together_the_last_wins_and_none_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.build("handbook")
    first = project.push("handbook").deployment
    edit(project, 500)
    project.build("handbook")
    project.push("handbook")
    edit(project, 600)
    project.build("handbook")
    third = push_version(
        project.lake(), project.registry(), project.version("handbook"), project.target("handbook"), Wish("dev")
    ).deployment
    registry = project.registry()
    look = registry.alias

    def overtaken(dataset: str, environment: str, name: str) -> Alias | None:
        """Between the look and the move, another push moves it."""
        seen = look(dataset, environment, name)
        monkeypatch.undo()
        point_staging(registry, first, by="other")
        return seen

    monkeypatch.setattr(registry, "alias", overtaken)
    assert point_staging(registry, third, by="test").deployment == third
    assert [move.to_version for move in project.history("handbook")] == [3, 1, 2, 1]


@pytest.mark.slow
def test_an_index_that_another_lake_made_is_not_taken_for_this_one(project: Project) -> None:
    release(project)
    edit(project, 500)
    assert release(project) == 2
    project.close()
    shutil.rmtree(project.base / ".vector_pipeline" / "lake")
    # The same documents, another lake: version 2's state has another number there, or none.
    made = project.build("handbook")
    assert (made.made, made.version.number) == (True, 3)
    assert project.push("handbook").applied.upserted == 0
    verify_index(project)
    assert project.promote("handbook", by="test")[0].deployment.version == 3
    assert project.build("handbook").made is False


@pytest.mark.slow
def test_a_version_that_the_lake_does_not_hold_is_never_pushed(project: Project) -> None:
    release(project)
    edit(project, 500)
    project.build("handbook")
    project.close()
    shutil.rmtree(project.base / ".vector_pipeline" / "lake")
    before = mark(project)
    with pytest.raises(NotFoundError):
        project.plan("handbook")
    project.sync("handbook")
    with pytest.raises(CorruptError, match="does not hold version 2 of handbook as it was made"):
        project.push("handbook", version=2)
    for number in (600, 700, 800, 900):  # Now the lake has a state of version 2's number, with other content.
        edit(project, number)
        for step in (project.sync, project.chunk, project.embed):
            step("handbook")
    assert project.lake().snapshot_id() > project.versions("handbook")[1].lake_snapshot
    with pytest.raises(CorruptError, match=r"does not hold version 2 .* Build a new version"):
        project.push("handbook", version=2)
    assert mark(project) == before


@pytest.mark.slow
def test_a_snapshot_that_expires_while_it_is_recorded_is_described_anew(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.build("handbook")
    edit(project, 500)
    for step in (project.sync, project.chunk, project.embed):
        step("handbook")
    record, kept = project.registry().record_version, project.registry().kept_lake_snapshots()

    def late(*args: object, **options: object) -> object:
        """Between the look and the recording, somebody commits and expires."""
        monkeypatch.undo()
        lake = project.lake()
        lake.transaction(lambda: lake.run("CREATE TABLE lake.handbook.other (x INTEGER)"), "other")
        expire_snapshots(lake, kept, dry_run=False, grace_s=0)
        return record(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(project.registry(), "record_version", late)
    made = project.snapshot("handbook")
    assert made.made
    assert project.documents("handbook", version=made.version.number)
    assert made.version.number == 3
    assert [version.expired_at is None for version in project.versions("handbook")] == [True, False, True]


@pytest.mark.slow
def test_a_push_that_is_interrupted_says_so(project: Project) -> None:
    project.build("handbook")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    version = project.version("handbook")
    with pytest.raises(KeyboardInterrupt):
        push_version(
            project.lake(), project.registry(), version, project.target("handbook"), Wish("dev"), on_write=interrupt,
        )  # fmt: skip
    registry = project.registry()
    assert [push.status for push in registry.pushes("handbook")] == ["failed"]
    assert [one.status for one in registry.deployments("handbook")] == ["failed"]
    assert registry.lease(f"local/{registry.deployments('handbook')[0].namespace}") is None


@pytest.mark.slow
def test_who_held_the_lease_before_can_change_nothing_after_the_look(project: Project) -> None:
    release(project)
    edit(project, 500)
    project.build("handbook")
    registry, target = project.registry(), project.target("handbook")
    namespace = target.namespaces()[0]
    with writer(registry, target, namespace) as old:
        fence = old.fence
    before = mark(project)
    victim = next(iter(target.scan(namespace)))["id"].slice(0, 1)

    def late(plan: Plan) -> None:
        assert mark(project) == before
        with pytest.raises(ConflictError):
            target.delete(namespace, victim, fence=fence)

    version = project.version("handbook")
    push_version(project.lake(), registry, version, target, Wish("dev"), on_plan=late)
    _, results = project.verify("handbook", only=["coverage"])
    assert results[0].status == Status.PASSED


@pytest.mark.slow
def test_verdicts_are_worth_nothing_once_the_index_has_changed(project: Project) -> None:
    project.build("handbook")
    project.push("handbook")
    project.verify("handbook")
    target = project.target("handbook")
    namespace = target.namespaces()[0]
    victim = next(iter(target.scan(namespace)))["id"].slice(0, 1)
    target.delete(namespace, victim, fence=10**6)
    gates = ", ".join(project.index_gates_of("handbook", "local"))
    stale = f"was checked before the index changed: {gates}. Verify it again: vector-pipeline verify handbook"
    with pytest.raises(RefusedError, match=stale):
        project.promote("handbook", by="test")
    status = project.status("handbook")
    assert {verdict.mark == status.mark for verdict in status.gates if verdict.mark} == {False}
    project.verify("handbook")
    with pytest.raises(RefusedError, match="has not passed: coverage"):
        project.promote("handbook", by="test")


@pytest.mark.slow
def test_a_later_push_asks_for_another_look_and_rolling_back_does_not(project: Project) -> None:
    release(project)
    edit(project, 500)
    release(project)
    edit(project, 600)
    project.build("handbook")
    project.push("handbook")
    assert project.rollback("handbook", by="test")[0].deployment.version == 1
    with pytest.raises(RefusedError, match="verify handbook --version 2"):
        project.promote("handbook", by="test", version=2)
    verify_index(project, version=2)
    assert project.promote("handbook", by="test", version=2)[1]


@pytest.mark.slow
def test_an_older_version_that_was_damaged_is_not_said_to_need_no_push(project: Project) -> None:
    for number in (500, 600):
        edit(project, number)
        project.build("handbook")
    project.push("handbook", version=2)
    with pytest.raises(RefusedError, match=r"version 1 can no longer be pushed into it, and never was"):
        project.push("handbook", version=1, strategy="versioned")
    pushed = project.push("handbook", version=1)
    assert (pushed.plan.strategy, pushed.plan.why.endswith("already holds version 2")) == ("blue-green", True)


def test_namespaces_of_two_datasets_never_meet() -> None:
    assert base_namespace("docs_en", "mini", "0" * 16) != base_namespace("docs", "en_mini", "0" * 16)
    assert base_namespace("docs_en", "mini", "0123456789abcdef") == "docs_en--mini--01234567"


@pytest.mark.slow
def test_a_source_that_may_be_empty_reaches_production_empty(project: Project) -> None:
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace('"**/*.md"]', '"**/*.md"], allow_empty: true'), encoding="utf-8")
    with Project.load(config) as empty:
        release(empty)
        for path in (empty.base / "documents").iterdir():
            path.unlink()
        assert release(empty) == 2
        assert empty.version("handbook").records == 0
        with open_index("handbook", project=config) as index:
            assert index.query("item1x1") == []
        kinds: list[Kind] = ["documents", "chunks", "embeddings"]
        assert [empty.check_data("handbook", kind).status for kind in kinds] == [Status.PASSED] * 3
    assert project.check_data("handbook", "documents").status == Status.FAILED
