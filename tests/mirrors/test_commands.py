"""The command line over several targets, as an operator goes."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand, vp
from tests.mirrors.conftest import World

__all__ = ["vp"]


@pytest.mark.slow
def test_a_dataset_is_served_from_two_targets(vp: RunCommand, world: World, tmp_path: Path) -> None:
    here = ("--project", world.config)
    assert vp("build", *here).code == 0
    planned = vp("plan", "--to", "production", "--out", tmp_path / "plan.json", *here)
    assert planned.code == 0, planned
    assert "target local" in planned.out
    assert "target other" in planned.out
    rows = [line.split() for line in planned.out.splitlines()]
    (total,) = (row for row in rows if row[:1] == ["total"])
    (local,) = (row for row in rows if row[:1] == ["local"])
    assert int(total[2]) == 2 * int(local[2])
    assert len(json.loads((tmp_path / "plan.json").read_text())["parts"]) == 2
    pushed = vp("push", "--plan", tmp_path / "plan.json", *here)
    assert pushed.code == 0, pushed
    assert "v1 is on staging of local and other." in pushed.out
    assert "mirrors agree (other)" in pushed.out
    assert "production serves v1 on local and other." in pushed.out
    asked = vp("query", "About page 1", "--target", "other", "--json", *here)
    assert asked.json[0]["document"] == "page1.md"
    assert vp("query", "About page 1", "--target", "third", *here).code == 1

    world.edit()
    assert vp("build", *here).code == 0
    one = vp("push", "--target", "other", *here)
    assert one.code == 0, one
    assert "v2 is on other. Staging moves when it is on local too." in one.out
    refused = vp("promote", "--version", 2, *here)
    assert refused.code == 1
    assert "never pushed to local" in refused.err
    assert "v2 is on staging of local and other." in vp("push", *here).out
    assert "production serves v2 on local and other; before: v1." in vp("promote", *here).out
    assert "production serves v2 on local and other already: nothing moved." in vp("promote", *here).out
    assert "production serves v1 on local and other; before: v2." in vp("rollback", *here).out
    (found,) = vp("status", "--json", *here).json
    assert [(row["target"], row["production"]["version"], row["staging"]["version"]) for row in found["places"]] == [
        ("local", 1, 2), ("other", 1, 2)
    ]  # fmt: skip
    out = vp("promote", "--without", "other", *here)
    assert out.code == 1
    assert "wants a reason" in out.err
    out = vp("promote", "--without", "other", "--reason", "maintenance", *here)
    assert out.code == 0, out
    assert "production serves v2 on local; before: v1. It is not on other any more." in out.out
    assert "other is out of service: maintenance" in out.out
    told = vp("status", *here)
    assert "out of service since" in told.out
    assert vp("drift", "--detailed-exitcode", *here).code == 0
    assert vp("push", "--target", "other", *here).code == 0
    assert "production serves v2 on local and other" in vp("promote", *here).out


@pytest.mark.slow
def test_the_way_from_one_target_to_another(vp: RunCommand, make_world, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    world = make_world("local")
    here = ("--project", world.config)
    for verb in ("build", "push", "promote"):
        assert vp(verb, *here).code == 0
    world.configure("local", "other")
    told = vp("status", *here)
    assert "not served from yet: push --version 1 --target other" in told.out
    assert "Next: vector-pipeline push --version 1 --target other" in told.out.replace(f" --project {world.config}", "")
    assert vp("push", "--version", 1, "--target", "other", *here).code == 0
    assert "production serves v1 on local and other" in vp("promote", *here).out
    world.configure("other", "local")
    assert "first from the next promotion on; until then local" in vp("status", *here).out
    assert "production serves v1 on other and local" in vp("promote", *here).out
    world.configure("other")
    assert "the next promotion takes it out" in vp("status", *here).out
    done = vp("promote", "--reason", "local is dropped", *here)
    assert "production serves v1; before: v1. It is not on local any more." in done.out
    assert world.names() == {"production": ("other", 1), "staging": ("other", 1)}


@pytest.mark.slow
def test_a_place_that_is_away_is_named_with_the_way_on(vp: RunCommand, world: World) -> None:
    here = ("--project", world.config)
    assert world.release() == 1
    world.away("other")
    assert world.build() == 2
    planned = vp("plan", *here)
    assert planned.code == 1
    assert "target other: " in planned.err
    assert "plan without it: --target local" in planned.err
    pushed = vp("push", *here)
    assert pushed.code == 1
    assert "local: Pushing v2" in pushed.out
    assert "target other: " in pushed.err
    assert "(v2 is on local; not yet on other; staging was not moved)" in pushed.err
    assert vp("verify", "--version", 2, *here).code == 0
    gone = vp("promote", "--version", 2, "--without", "other", "--reason", "it is away", *here)
    assert "production serves v2 on local; before: v1. It is not on other any more." in gone.out
