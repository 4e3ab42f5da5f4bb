"""``space list`` and ``space retire``: what they print, and that a run does it."""

from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from tests.spaces.conftest import NEW, OLD, MakeWorld, World, make_world, migrated_folder

__all__ = ["make_world", "migrated_folder"]


@pytest.fixture
def world(make_world: MakeWorld, migrated_folder: Path) -> World:
    world = make_world(migrated_folder)
    world.configure({"new": NEW}, "new")
    world.project.close()
    return world


def test_spaces_are_listed_with_what_needs_them(vp: RunCommand, world: World) -> None:
    where = ("--project", world.folder)
    shown = vp("space", "list", *where)
    assert shown.code == 0, shown.err
    new, old = (
        next(line for line in shown.out.splitlines() if line.startswith(f"{name}  ")) for name in ("new", "old")
    )
    assert "serving" in new
    assert "8 cosine" in new
    assert (new.split()[-1], old.split()[-1]) == ("no", "yes")
    assert "held by serving, production (dev), staging (dev)" in shown.out
    assert "deterministic seed, chunks structure 60/5/10; records: " in shown.out
    assert " in local (dev)" in shown.out
    assert f"vector-pipeline space retire old --project {world.folder}" in shown.out
    told = vp("space", "list", "handbook", "--json", *where).json
    assert [(one["space"], one["retire"]) for one in told] == [("new", "no"), ("old", "yes")]
    assert "no dataset 'handbok'" in vp("space", "list", "handbok", *where).err


def test_where_datasets_stand_and_what_they_answer_say_the_space(vp: RunCommand, world: World) -> None:
    where = ("--project", world.folder)
    status = vp("status", *where)
    assert status.code == 0, status.err
    assert [line.split(": ")[0].split(None, 1)[1] for line in status.out.splitlines()[1:4]] == ["v2 (space new)"] * 3
    assert vp("status", "--json", *where).json[0]["production"]["space"] == "new"
    history = vp("history", *where).out
    assert "space old → new" in history
    moves = vp("history", "--json", *where).json
    assert {("old", "new"), (None, "old")} <= {(one["from_space"], one["to_space"]) for one in moves}
    assert "  v2 (new)" in vp("query", "what is new", *where).out


def test_the_way_back_to_an_older_space_goes_by_the_next_verb(vp: RunCommand, world: World) -> None:
    project = world.configure({"old": OLD, "new": NEW}, "old")
    project.build("handbook")
    staged = project.push("handbook").deployment
    live = project.status("handbook").production
    world.project.close()
    assert live is not None
    assert (staged.version, live.deployment.version) == (1, 2)
    shown = vp("status", "--project", world.folder).out
    assert shown.rstrip().endswith(f"Next: vector-pipeline verify --project {world.folder}")


def test_a_version_of_another_dimension_than_production_has_its_report(vp: RunCommand, world: World) -> None:
    world.configure({"old": OLD, "new": NEW}, "new")
    world.project.close()
    told = vp("report", "1", "--project", world.folder)
    assert told.code == 0, told.err
    assert "The report is in " in told.out


def test_of_several_graces_the_last_is_told(vp: RunCommand, world: World) -> None:
    where = ("--project", world.folder)
    world.configure({"new": NEW}, "new", grace=3600)
    world.project.close()
    old = next(one for one in vp("space", "list", "--json", *where).json if one["space"] == "old")
    assert len(old["held_by"]) == 1
    assert old["held_by"][0].startswith("grace until ")
    refused = vp("space", "retire", "old", *where).err
    assert "more: vector-pipeline" not in refused
    assert old["held_by"][0].removeprefix("grace until ").removesuffix("Z").replace(" ", "T") in refused


def test_what_is_needed_is_refused_in_one_line(vp: RunCommand, world: World) -> None:
    where = ("--project", world.folder)
    ran = vp("space", "retire", "new", "--yes", *where)
    assert ran.code == 1
    assert ran.err.startswith("Error: space new (")
    assert "is the one that handbook serves (and 2 more: vector-pipeline --project" in ran.err
    assert ran.err.count("\n") == 1
    world.configure({"old": OLD, "new": NEW}, "new")
    world.project.close()
    assert "Take old out of `spaces` first" in vp("space", "retire", "handbook", "old", *where).err
    assert vp("space", "retire", "handbook", "old", "more", *where).code == 2
    assert "there is and was no space odl" in vp("space", "retire", "odl", *where).err


@pytest.mark.slow
def test_a_dry_run_says_what_goes_and_a_run_does_it(vp: RunCommand, world: World) -> None:
    where = ("--project", world.folder)
    dry = vp("space", "retire", "old", *where)
    assert dry.code == 0, dry.err
    assert "handbook--old--" in dry.out
    assert "chunks_old_" in dry.out
    assert "Would retire space old (" in dry.out
    assert "expire 1 version (v1), drop 1 namespace with" in dry.out
    assert "with it ends a way back" in dry.out
    assert "--yes" in dry.out
    told = vp("space", "retire", "handbook", "old", "--json", *where).json
    assert told["dry_run"]
    done = vp("space", "retire", "handbook", "old", "--yes", *where)
    assert done.code == 0, done.err
    assert "Retired space old (" in done.out
    assert f"The collection frees its {told['files']} file" in done.out
    assert "collect --yes" in done.out
    (kept,) = [one for one in vp("history", "--json", *where).json if one["kind"] == "space retire"]
    assert kept["reason"] == "space old: v1"
    again = vp("space", "retire", "old", *where)
    assert "Nothing is left of space old" in again.out
    listed = vp("space", "list", "--json", *where).json
    assert [(one["space"], one["retire"]) for one in listed] == [("new", "no"), ("old", "retired")]
