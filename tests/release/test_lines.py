"""Which line a push goes on with after a killed one, beside another registry's, and what the mass-deletion guard compares with."""

from pathlib import Path

import pytest

from tests.conftest import MakeProject
from tests.release.conftest import MakeWorld
from tests.release.test_in_place import verified
from tests.release.test_release import edit
from tests.release.world import Store, World
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.lines import base_namespace, belongs, in_place_namespaces
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.targets.base import Target

EIGHT = dict.fromkeys(range(8), 1)


class Killed(BaseException):
    """As a signal: nobody handles it."""


def kill(target: Target, monkeypatch: pytest.MonkeyPatch, push: object) -> None:
    """A push that dies before its first record lands."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(target, "upsert", die)
        with pytest.raises(Killed):
            push()  # type: ignore[operator]


def test_what_a_killed_push_left_is_not_the_newest_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.push(world.version(EIGHT)).plan.namespace
    world.push(world.version({**EIGHT, 9: 1}))
    third = world.version({**EIGHT, 10: 1})
    kill(world.target, monkeypatch, lambda: world.push(third, "blue-green"))
    plan = world.plan(world.version({**EIGHT, 11: 1}))
    assert (plan.strategy, plan.namespace, plan.vectors) == ("versioned", first, 1)
    assert world.plan(third).namespace == f"{first}--v3", "its own version is still finished there"
    with pytest.raises(RefusedError, match=r"would remove 8 of 9 records \(3 whole documents\)"):
        world.push(world.version({0: 1}), "versioned", share=0.5)


def test_what_a_killed_first_push_left_is_gone_on_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(world.target, monkeypatch, lambda: world.push(world.version(EIGHT)))
    plan = world.push(world.version({**EIGHT, 9: 1}), share=0).plan
    assert plan.namespace == world.registry.deployments(world.dataset)[0].namespace


@pytest.mark.slow
def test_the_guard_compares_with_what_production_serves(make_project: MakeProject) -> None:
    project = make_project(20, shards=2, gates="max_removed_share: 0.2")
    released(project)
    lose(project, 17, 20)
    project.push("handbook")
    lose(project, 15, 17)
    with pytest.raises(RefusedError, match=r"would remove 15 of 60 of what is served \(5 whole documents\)"):
        project.push("handbook")
    note = project.plan("handbook").notes[-1]
    assert note.startswith("a push would remove 15 of 60 of what is served")
    project.push("handbook", max_removed_share=1)
    assert project.plan("handbook").notes == ()
    note = project.plan("handbook", goal="production").notes[-1]
    assert note.startswith("promoting it would remove 15 of 60 of what is served")


@pytest.mark.slow
def test_in_place_the_guard_judges_what_readers_lose(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_place(make_project(10, shards=2, gates="max_removed_share: 0.2"))
    released(project)
    edit(project, 1000)
    project.build("handbook")
    kill(project.target("handbook"), monkeypatch, lambda: project.push("handbook"))
    lose(project, 3, 10)
    with pytest.raises(RefusedError, match="7 whole documents"):
        project.push("handbook")
    project.push("handbook", max_removed_share=1)
    verified(project)
    assert project.promote("handbook", by="test")[0].deployment.version == 3, "it was let through when it was pushed"
    project.rollback("handbook", by="test")
    edit(project, 2000)
    project.build("handbook")
    with pytest.raises(RefusedError, match=r"of what is served \(7 whole documents\)"):
        project.push("handbook")
    project.close()


def in_place(project: Project) -> Project:
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text() + "    release: {strategy: in-place}\n", encoding="utf-8")
    return Project.load(config)


def released(project: Project) -> None:
    project.build("handbook")
    project.push("handbook")
    verified(project)
    assert project.promote("handbook", by="test")[0].name == PRODUCTION


def lose(project: Project, first: int, last: int) -> None:
    for number in range(first, last):
        (project.base / "documents" / f"page{number}.md").unlink()
    project.build("handbook")


@pytest.mark.slow
def test_what_another_registry_pushed_is_joined_whole_or_left(
    make_world: MakeWorld, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ours = make_world()
    first = ours.push(ours.version(EIGHT))
    seen = ours.rows(first.plan.namespace)
    for content, fits in (({**EIGHT, 0: 2}, False), (EIGHT, True)):
        store = Store(Path(tmp_path_factory.mktemp("other")))
        try:
            theirs = World(store, ours.target, ours.dataset)
            version = theirs.version(content)
            plan = theirs.plan(version)
            assert (plan.namespace == first.plan.namespace, plan.writes == 0) == (fits, fits)
            assert theirs.plan(version, "versioned").namespace == plan.namespace or not fits
            assert ("it is shared" in plan.notes[0], "it is left as it is" in plan.notes[0]) == (fits, not fits)
            theirs.push(version)
        finally:
            store.close()
        assert ours.rows(first.plan.namespace) == seen


@pytest.mark.slow
def test_environments_that_share_a_target_share_no_line_in_place(make_project: MakeProject) -> None:
    project = make_project(3, shards=1)
    config = project.base / "vector_pipeline.yaml"
    config.write_text(
        f"environments: {{dev: {{}}, prod: {{}}}}\n{config.read_text()}    release: {{strategy: in-place}}\n",
        encoding="utf-8",
    )
    with Project.load(config, environment="dev") as dev, Project.load(config, environment="prod") as prod:
        released(prod)
        edit(dev, 500)
        released(dev)
        served = [one.registry().alias("handbook", one.environment, PRODUCTION) for one in (prod, dev)]
        assert [one and (one.deployment.version, one.deployment.status) for one in served] == [
            (1, "pushed"),
            (2, "pushed"),
        ]
        assert not any(report.drifted for report in prod.drift("handbook"))


def test_a_name_that_gets_too_long_is_refused_in_one_line() -> None:
    base = base_namespace("d" * 40, "s" * 40, "0" * 16)
    with pytest.raises(RefusedError, match="longer than a namespace's name may be"):
        in_place_namespaces(base, "production")
    assert belongs(in_place_namespaces("words--tiny--00000000", "dev")[1], "words--tiny--00000000")


@pytest.mark.slow
def test_a_push_over_budget_is_refused_unless_allowed(make_project: MakeProject) -> None:
    project = make_project(3, shards=1, gates="max_vectors: 5, max_cost: 0.01")
    config = project.base / "vector_pipeline.yaml"
    project.build("handbook")
    assert project.plan("handbook").notes == (
        "a push would write 9 vectors, more than gates.max_vectors allows (5)",
        "gates.max_cost is not checked: target local has no prices",
    )
    with pytest.raises(RefusedError, match=r"would write 9 vectors.* push with --over-budget"):
        project.push("handbook")
    assert not project.registry().deployments("handbook")
    project.close()
    target = "targets: {local: {kind: duckdb, path: .vector_pipeline/index, prices: {per_million_records: 10000}}}"
    text = config.read_text().replace("max_vectors: 5", "max_vectors: 9")
    config.write_text(f"environments: {{dev: {{{target}}}}}\n{text}", encoding="utf-8")
    with Project.load(config) as priced:
        with pytest.raises(RefusedError, match=r"would cost 0\.09 USD, more than gates\.max_cost allows \(0\.01 USD\)"):
            priced.push("handbook")
        assert priced.push("handbook", over_budget=True).applied.upserted == 9
        assert priced.plan("handbook").notes == ()
