"""A retirement that was stopped, by Ctrl-C, by a target that went away or by SIGKILL, is ended by the same command."""

import signal
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.process.test_kill import forkserver
from tests.spaces import killed
from tests.spaces.conftest import DATASET, NEW, MakeWorld, World, files_of, namespaces
from tests.survived import survived
from vector_pipeline.errors import ConflictError, UnavailableError
from vector_pipeline.lake import connection
from vector_pipeline.lake.dropping import left_over, tables_there
from vector_pipeline.project import Project
from vector_pipeline.release.snapshot import reads_back, require_whole

__all__ = ["forkserver"]


@pytest.fixture
def migrated(make_world: MakeWorld, migrated_folder: Path) -> World:
    world = make_world(migrated_folder)
    world.configure({"new": NEW}, "new")
    return world


def ended(world: World) -> None:
    """Everything of the old space is gone, and nothing of the new one."""
    project = world.project
    assert project.retire(DATASET, space="old", dry_run=True).empty
    assert world.standing("old").retire == "retired"
    assert not any("--old--" in one for one in namespaces(project))
    assert project.registry().version(DATASET, 1).expired_at is not None
    second = project.version(DATASET, 2)
    require_whole(project.lake(), second)
    assert left_over(project.lake(), DATASET) == {}
    assert not any("_old_" in one for one in tables_there(project.lake(), DATASET))
    project.collect(DATASET, dry_run=False, grace_s=0)
    assert files_of(world, "*_old_*") == []
    production = project.registry().alias(DATASET, "dev", "production")
    assert production is not None
    assert production.deployment.version == 2
    assert project.target("handbook").describe(production.deployment.namespace).records == second.records  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["expired", "dropped"])
def test_interrupted_after_any_step(migrated: World, step: str) -> None:
    def interrupt(name: str) -> None:
        if name.startswith(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrated.project.retire(DATASET, space="old", dry_run=False, on_step=interrupt)
    assert migrated.standing("old").retire == "yes"
    migrated.project.retire(DATASET, space="old", dry_run=False)
    ended(migrated)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "expired"])
def test_a_target_that_is_away(migrated: World, when: str) -> None:
    """Before it begins, nothing is done; in the middle, the tables of the lake stay until the namespace is dropped."""
    place = migrated.folder / ".vector_pipeline/index"
    aside = place.with_name("aside")

    def away(name: str = "before") -> None:
        if name == when:
            place.rename(aside)
            place.symlink_to(place)  # It leads nowhere.

    away()
    with pytest.raises(UnavailableError):
        migrated.project.retire(DATASET, space="old", dry_run=False, on_step=away)
    first = migrated.project.version(DATASET, 1)
    assert (first.expired_at is None) == (when == "before")
    assert reads_back(migrated.project.lake(), first)
    place.unlink()
    aside.rename(place)
    migrated.project.retire(DATASET, space="old", dry_run=False)
    ended(migrated)


LOCKING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["dev: local/", "dropped"])
def test_a_lake_that_is_locked(migrated: World, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is in the middle of a long commit."""
    monkeypatch.setattr(connection, "_PATIENCE_S", 0.1)
    catalog = str(migrated.folder / ".vector_pipeline/lake/catalog.sqlite")
    others = []

    def lock(name: str) -> None:
        if name.startswith(when):
            command = [sys.executable, "-c", LOCKING, catalog]
            other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            others.append(other)
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"

    with pytest.raises(ConflictError, match="another process is committing"):
        migrated.project.retire(DATASET, space="old", dry_run=False, on_step=lock)
    for other in others:
        other.communicate("")
    migrated.project.retire(DATASET, space="old", dry_run=False)
    ended(migrated)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_any_step(
    forkserver: ForkServerContext, make_world: MakeWorld, migrated_folder: Path, tmp_path: Path
) -> None:
    def run(world: World, kill_at: int) -> int | None:
        world.configure({"new": NEW}, "new")
        world.project.close()
        process = forkserver.Process(target=killed.run, args=(world.config, kill_at, tmp_path / "steps.txt"))
        process.start()
        process.join(120)
        return process.exitcode

    calm = make_world(migrated_folder)
    assert run(calm, 0) == 0
    names = (tmp_path / "steps.txt").read_text(encoding="utf-8").splitlines()
    ended(calm)
    for kill_at in range(1, len(names) + 1):
        world = make_world(migrated_folder)
        where = f"step {kill_at} of {len(names)} ({names[kill_at - 1]})"
        assert run(world, kill_at) == -signal.SIGKILL, where
        with Project.load(world.config) as project:
            require_whole(project.lake(), project.version(DATASET, 2))
        assert run(world, 0) == 0, where
        ended(world)
        world.project.close()
    survived("SIGKILLs of a retirement", len(names))
