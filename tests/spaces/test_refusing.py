"""What is needed is not retired, and the refusal says by whom and what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spaces.conftest import DATASET, NEW, OLD, MakeWorld, World, namespaces
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.project import Project

BOTH = "dev: {targets: {local: {}, other: {path: other_index}}}\nqa: {targets: {local: {}, other: {path: other_index}}}"


@pytest.fixture
def world(make_world: MakeWorld, migrated_folder: Path) -> World:
    return make_world(migrated_folder)


@pytest.fixture
def migrated(world: World) -> Iterator[Project]:
    """``old`` could be retired; whatever a test adds, nothing of it has gone."""
    project = world.configure({"new": NEW}, "new", environments=BOTH)
    yield project
    assert project.registry().version(DATASET, 1).expired_at is None
    assert any(one.startswith("handbook--old--") for one in namespaces(world.project))
    assert any(one.table.startswith("chunks_old_") for one in world.standing("old").tables)


def refused(project: Project, space: str = "old") -> str:
    """What both a dry run and the deed say."""
    said = []
    for dry_run in (True, False):
        with pytest.raises(RefusedError) as error:
            project.retire(DATASET, space=space, dry_run=dry_run)
        said.append(str(error.value))
    assert said[0] == said[1]
    return said[0]


def test_the_serving_space(migrated: Project) -> None:
    assert "is the one that handbook serves" in refused(migrated, "new")


def test_one_that_is_configured_still(world: World, migrated: Project) -> None:
    project = world.configure({"old": OLD, "new": NEW}, "new", environments=BOTH)
    assert "the next build would fill it again: it is not retired. Take old out of `spaces` first" in refused(project)


@pytest.mark.parametrize("alias", ["staging", "production", "production@other", "pilot"])
def test_one_that_an_alias_points_into(world: World, migrated: Project, alias: str) -> None:
    first = migrated.registry().deployments(DATASET)[0]
    world.point(first, alias)
    assert f"alias {alias} of dev points at v1, of space old" in refused(migrated)
    assert f"{alias} (dev)" in [one.word for one in world.standing("old").holds]


def test_one_that_another_environment_serves(world: World, migrated: Project) -> None:
    project = world.configure({"new": NEW}, "new", environments=BOTH, environment="qa")
    deployment = project.push(DATASET, version=1).deployment
    world.point(deployment)
    project = world.configure({"new": NEW}, "new", environments=BOTH)
    assert "alias production of qa points at v1" in refused(project)


def test_a_pinned_version(migrated: Project) -> None:
    migrated.pin(DATASET, 1)
    assert "v1 is pinned" in refused(migrated)
    assert "Unpin it first: vector-pipeline unpin handbook 1" in refused(migrated)
    assert migrated.spaces_of(DATASET)[1].holds[0].word == "pinned v1"


def test_one_that_readers_are_routed_to_or_were_a_moment_ago(world: World, migrated: Project) -> None:
    registry = migrated.registry()
    production = registry.alias(DATASET, "dev", "production")
    assert production is not None
    whole = next(one for one in registry.deployments(DATASET, "dev") if one.version == 1)
    registry.begin_route(
        DATASET, "dev", version=1, deployments=[whole.id], share=0.05, beside=production.deployment.id, by="test",
        reason="a try",
    )  # fmt: skip
    assert "a route of dev points at v1 (5% of production's readers)" in refused(migrated)
    assert world.standing("old").holds[0].word == "route 5% (dev)"
    registry.end_route(DATASET, "dev", by="test")
    project = world.configure({"new": NEW}, "new", environments=BOTH, grace=3600)
    assert any("a route of dev left v1" in one.what for one in world.standing("old").holds)
    assert "left v1 lately, and readers may read it until" in refused(project)


def test_one_that_an_alias_left_a_moment_ago(world: World, migrated: Project) -> None:
    project = world.configure({"new": NEW}, "new", environments=BOTH, grace=3600)
    assert "of dev left v1 lately, and readers may read it until" in refused(project)
    assert all(one.word.startswith("grace until 20") for one in world.standing("old").holds)


@pytest.mark.parametrize("part", ["", "/1"])
def test_one_that_somebody_fills(migrated: Project, part: str) -> None:
    table = migrated.spaces_of(DATASET)[1].space.chunk_table
    migrated.registry().acquire_lease(f"lake/{DATASET}/{table}{part}", "elsewhere/1/1", 60)
    assert f"lake/{DATASET}/{table}{part} is being written by elsewhere/1/1, until " in refused(migrated)


def test_one_that_somebody_pushes(migrated: Project) -> None:
    line = migrated.spaces_of(DATASET)[1].lines[0]
    migrated.registry().acquire_lease(f"{line.target}/{line.namespace}", "elsewhere/1/1", 60)
    assert "is being written by elsewhere/1/1" in refused(migrated)


def test_one_whose_namespace_holds_another_space_too(migrated: Project) -> None:
    """Nobody pushes so, but what was adopted may stand anywhere."""
    line, other = migrated.spaces_of(DATASET)[1].lines[0], migrated.version(DATASET, 2)
    migrated.registry().begin_deployment(
        dataset=DATASET, environment="dev", target=line.target, namespace=line.namespace, version=2, space=other.space,
        fingerprint=other.fingerprint, records=1,
    )  # fmt: skip
    assert f"namespace {line.namespace} of local holds v2 of space new too" in refused(migrated)


def test_a_dataset_whose_erasure_was_interrupted(migrated: Project) -> None:
    migrated.registry().record_erasure(
        dataset=DATASET, document_key="0" * 24, by="test", reason="", report={"state": "open", "document": "page1.md"}
    )
    with pytest.raises(RefusedError, match=r"was not finished. Finish it: vector-pipeline erase handbook --yes"):
        migrated.retire(DATASET, space="old", dry_run=False)


def test_one_that_is_not_there(migrated: Project) -> None:
    with pytest.raises(NotFoundError, match="there is and was no space odl; there are: new"):
        migrated.retire(DATASET, space="odl", dry_run=True)
    with pytest.raises(NotFoundError, match=r"no space old \(ffff\)"):
        migrated.retire(DATASET, space="old", fingerprint="ffff", dry_run=True)
