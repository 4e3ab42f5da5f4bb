"""What goes with a space and what stays: versions, namespaces, tables, files on disk."""

from pathlib import Path

import pytest

from tests.spaces.conftest import DATASET, NEW, OLD, MakeWorld, World, files_of, namespaces
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.tables import DatasetTables, at
from vector_pipeline.project import Project
from vector_pipeline.release.registry import DeploymentStatus
from vector_pipeline.release.snapshot import require_whole


@pytest.fixture
def migrated(make_world: MakeWorld, migrated_folder: Path) -> World:
    world = make_world(migrated_folder)
    world.configure({"new": NEW}, "new")
    return world


def documents(project: Project, snapshot: int) -> list[tuple[object, ...]]:
    table = at(DatasetTables(DATASET).documents, snapshot)
    return project.lake(read_only=True).rows(f"SELECT document_id, digest FROM {table} ORDER BY 1")


def test_everything_of_it_goes_and_nothing_of_another_one(migrated: World) -> None:
    project, registry = migrated.project, migrated.project.registry()
    second, chunk_table = project.version(DATASET, 2), migrated.standing("old").space.chunk_table
    before = documents(project, second.lake_snapshot)
    # Another version of the new space, so that the second one is only read back by time travel.
    migrated.write(1, 501)
    migrated.release()
    told = project.retire(DATASET, space="old", dry_run=True)
    assert (told.versions, len(told.namespaces), told.stay) == ((1,), 1, ())
    assert told.records == project.version(DATASET, 1).records
    assert {one.table.partition("_")[0] for one in told.tables} == {"chunks", "embeddings"}
    assert registry.version(DATASET, 1).expired_at is None
    on_disk = files_of(migrated, "*_old_*") + files_of(migrated, str(migrated.standing("old").space.embedding_table))
    assert len(on_disk) == told.files > 0
    done = project.retire(DATASET, space="old", dry_run=False, by="test")
    assert (done.versions, done.namespaces, done.tables) == (told.versions, told.namespaces, told.tables)
    assert registry.version(DATASET, 1).expired_at is not None
    assert {one.status for one in registry.deployments(DATASET) if one.space == "old"} == {DeploymentStatus.RETIRED}
    assert not any("--old--" in one for one in namespaces(project))
    assert not project.lake().has_table(DATASET, chunk_table)
    assert all(one.exists() for one in on_disk), "somebody may be reading them"
    project.collect(DATASET, dry_run=False, grace_s=0)
    assert not any(one.exists() for one in on_disk)
    for number in (2, 3):
        require_whole(project.lake(), project.version(DATASET, number))
    assert documents(project, second.lake_snapshot) == before
    assert not project.build(DATASET).made
    assert project.plan(DATASET).empty
    again = project.retire(DATASET, space="old", dry_run=False)
    assert again.empty
    with pytest.raises(RefusedError, match="expired"):
        project.push(DATASET, version=1)


@pytest.mark.slow
def test_vectors_stay_that_another_space_needs(world: World) -> None:
    fine = ("seed", 16, 40)
    world.configure({"old": OLD}, "old", attested="block")
    world.release()
    world.configure({"fine": fine}, "fine", attested="block")
    world.release()
    project = world.configure({"fine": fine, "new": NEW}, "fine", attested="block")
    told = project.retire(DATASET, space="old", dry_run=True)
    assert [one.table for one in told.tables] == [world.standing("old").space.chunk_table]
    assert {one.table.partition("_")[0] for one in told.stay} == {"embeddings", "golden", "attestations", "quarantine"}
    assert all(one.because == (world.standing("fine").space.label,) for one in told.stay)
    project.retire(DATASET, space="old", dry_run=False)
    require_whole(project.lake(), project.version(DATASET, 2))
    assert world.standing("old").retire == "retired"
    # No space is embedded by it any more, but a kept version is, until its space is retired.
    world.configure({"new": NEW}, "new")
    world.release()
    project = world.project
    done = project.retire(DATASET, space="fine", dry_run=False)
    assert {one.table.partition("_")[0] for one in done.tables} == {
        "chunks", "embeddings", "golden", "attestations", "quarantine"
    }  # fmt: skip
    assert done.stay == ()


@pytest.mark.slow
def test_an_edited_space_is_another_one_of_the_same_name(world: World) -> None:
    prints = []
    for tokens in (60, 40, 30):
        project = world.configure({"old": ("seed", 16, tokens)}, "old")
        project.build(DATASET)
        prints.append(project.space(DATASET).fingerprint)
    with pytest.raises(RefusedError, match=r"there are several spaces old: old .* Say which: --fingerprint") as error:
        project.retire(DATASET, space="old", dry_run=True)
    assert prints[0][:8] in str(error.value)
    assert prints[2][:8] not in str(error.value)
    done = project.retire(DATASET, space="old", fingerprint=prints[0][:6], dry_run=False)
    assert (done.fingerprint, done.versions) == (prints[0], (1,))
    with pytest.raises(RefusedError, match="is the one that handbook serves"):
        project.retire(DATASET, space="old", fingerprint=prints[2], dry_run=True)
    assert project.retire(DATASET, space="old", dry_run=False).versions == (2,)
    require_whole(project.lake(), project.version(DATASET, 3))
    assert [one.retire for one in project.spaces_of(DATASET)] == ["no", "retired", "retired"]


def test_a_rollback_into_it_is_said_to_end(migrated: World) -> None:
    told = migrated.project.retire(DATASET, space="old", dry_run=True)
    assert told.notes == ("with it ends a way back: a plain rollback of production in dev would go to v1",)
    migrated.project.retire(DATASET, space="old", dry_run=False)
    with pytest.raises((RefusedError, NotFoundError), match="expired"):
        migrated.project.rollback(DATASET, by="test")


@pytest.mark.slow
def test_it_may_come_back_and_is_filled_from_the_beginning(migrated: World) -> None:
    project = migrated.project
    project.retire(DATASET, space="old", dry_run=False)
    project = migrated.configure({"new": NEW, "old": OLD}, "new")
    assert project.registry().filled_shards(DATASET, "old", project.space(DATASET, "old").fingerprint) == set()
    assert migrated.standing("old").retire == "no"
    project = migrated.configure({"new": NEW, "old": OLD}, "old")
    deployment = migrated.release()
    assert (deployment.version, deployment.space) == (3, "old")
    require_whole(project.lake(), project.version(DATASET, 3))
    project.expire(DATASET, dry_run=False, grace_s=0)
    project.collect(DATASET, dry_run=False, grace_s=0)
    require_whole(project.lake(), project.version(DATASET, 3))


def test_half_a_space_that_was_given_up(migrated: World) -> None:
    """It was never whole: no version tells of it, and nothing says which vectors were its."""
    project = migrated.configure({"new": NEW, "third": ("third", 4, 50)}, "new")
    project.chunk(DATASET, space="third", shards=[0])
    project.embed(DATASET, space="third", shards=[0])
    vectors = project.tables(DATASET, "third").embedding_table
    project = migrated.configure({"new": NEW}, "new")
    done = project.retire(DATASET, space="third", dry_run=False)
    assert vectors in {one.table for one in done.tables}
    assert (done.versions, done.namespaces) == ((), ())
    assert not project.lake().has_table(DATASET, vectors)
    assert migrated.standing("old").tables, "it has versions, and vectors that are its own"


def test_every_environment_that_shares_the_registry(migrated: World) -> None:
    apart = "dev: {targets: {local: {}}}\nqa: {targets: {local: {path: qa_index}}}"
    project = migrated.configure({"new": NEW}, "new", environments=apart, environment="qa")
    project.push(DATASET, version=1)
    assert any("--old--" in one for one in namespaces(project))
    project = migrated.configure({"new": NEW}, "new", environments=apart)
    done = project.retire(DATASET, space="old", dry_run=False)
    assert [(one.environment, one.records > 0) for one in done.namespaces] == [("dev", True), ("qa", True)]
    assert not any("--old--" in one for one in namespaces(project))
    project = migrated.configure({"new": NEW}, "new", environments=apart, environment="qa")
    assert not any("--old--" in one for one in namespaces(project))


def test_a_target_that_is_not_configured_any_more_is_left_and_noted(migrated: World) -> None:
    elsewhere = "dev: {targets: {elsewhere: {path: elsewhere}}}"
    project = migrated.configure({"new": NEW}, "new", environments=elsewhere, target="elsewhere")
    done = project.retire(DATASET, space="old", dry_run=False)
    assert "is left where it is: target local of dev is not in the configuration any more" in done.notes[0]
    assert (done.namespaces, migrated.standing("old").retire) == ((), "retired")


@pytest.mark.slow
def test_with_a_registry_and_a_catalog_in_postgresql(world: World, postgres_url: str) -> None:
    shared = f"dev: {{lake: {{catalog: '{postgres_url}'}}, registry: '{postgres_url}', targets: {{local: {{}}}}}}"
    project = world.migrated(environments=shared)
    second = project.version(DATASET, 2)
    told = project.retire(DATASET, space="old", dry_run=True)
    done = project.retire(DATASET, space="old", dry_run=False)
    assert (done.versions, done.namespaces, done.tables) == (told.versions, told.namespaces, told.tables)
    on_disk = files_of(world, "*_old_*")
    assert on_disk
    project.collect(DATASET, dry_run=False, grace_s=0)
    assert not any(one.exists() for one in on_disk)
    require_whole(project.lake(), second)
    assert world.standing("old").retire == "retired"
    assert project.retire(DATASET, space="old", dry_run=False).empty
