"""Several places hold the same, and their aliases move together or not at all."""

import pyarrow as pa
import pytest

from tests.mirrors.conftest import World
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError, UnavailableError
from vector_pipeline.release.registry import DeploymentStatus
from vector_pipeline.serving import open_index
from vector_pipeline.targets.base import LIVE
from vector_pipeline.verify.agreement import _overlap


@pytest.mark.slow
def test_a_version_goes_to_every_place_and_back(world: World) -> None:
    first = world.release()
    assert world.names() == {
        "production": ("local", first), "production@other": ("other", first),
        "staging": ("local", first), "staging@other": ("other", first),
    }  # fmt: skip
    second = world.stage()
    assert world.serves() == {"local": first, "other": first}
    alias, moved = world.project.promote("handbook", by="test", reason="better")
    assert (alias.name, alias.deployment.version, moved) == ("production", second, True)
    assert world.serves() == {"local": second, "other": second}
    moves = world.project.history("handbook", limit=2)
    assert {one.name for one in moves} == {"production", "production@other"}
    assert len({one.at for one in moves}) == 1, "one transaction"
    assert world.project.promote("handbook", by="test") == (alias, False)
    assert world.project.rollback("handbook", by="test", only_from=first) == (alias, False)
    back, moved = world.project.rollback("handbook", by="test", only_from=second)
    assert (back.deployment.version, moved) == (first, True)
    assert world.serves() == {"local": first, "other": first}
    with pytest.raises(NotFoundError, match="no earlier version"):
        world.project.rollback("handbook", by="test")
    world.project.rollback("handbook", by="test", to=second)
    assert world.serves() == {"local": second, "other": second}
    with open_index("handbook", project=world.config, target="other") as index:
        assert index.query("About page 1", top_k=1)[0].document == "page1.md"
        assert index.version == second
    with pytest.raises(NotFoundError, match="nothing of handbook is in production on third"):
        open_index("handbook", project=world.config, target="third")


@pytest.mark.slow
def test_plans_say_what_every_place_takes(world: World) -> None:
    world.build()
    plans = world.project.plans("handbook", goal="production")
    assert [one.target for one in plans] == ["local", "other"]
    assert [stage.where for plan in plans for stage in plan.stages if stage.kind == "move-alias"] == [
        "staging", "production", "staging@other", "production@other"
    ]  # fmt: skip
    pushed = world.project.push("handbook", saved=plans)
    assert [one.plan.target for one in (pushed, *pushed.mirrors)] == ["local", "other"]
    assert all(one.empty for one in world.project.plans("handbook"))
    world.build()
    stale = world.project.plans("handbook")
    world.build()
    world.project.push("handbook", target="other")
    with pytest.raises(
        RefusedError, match=r"already holds version 3; .*\(v2 is on local; not yet on other; staging was not moved\)"
    ):
        world.project.push("handbook", saved=stale)
    assert world.names()["staging"] == ("local", 1)


@pytest.mark.slow
def test_a_push_that_fails_at_a_place_goes_on_when_it_is_run_again(world: World) -> None:
    first = world.release()
    second = world.build()
    back = world.away("other")
    with pytest.raises(UnavailableError) as caught:
        world.project.push("handbook")
    assert caught.value.what.startswith("target other: ")
    assert f"v{second} is on local; not yet on other; staging was not moved" in caught.value.what
    assert caught.value.fix is not None
    assert f"go on without it: vector-pipeline verify handbook --version {second}, then " in caught.value.fix
    assert f"promote handbook --version {second} --without other --reason WHY" in caught.value.fix
    with pytest.raises(UnavailableError, match=r"target other: .*; or plan without it: --target local"):
        world.project.plans("handbook")
    assert world.names()["staging"] == ("local", first)
    back()
    with pytest.raises(RefusedError, match=f"version {second} of handbook was never pushed to other.*--target other"):
        world.project.promote("handbook", by="test", version=second)
    pushed = world.project.push("handbook")
    assert pushed.plan.empty or pushed.plan.writes == 0
    assert pushed.mirrors[0].applied.records > 0
    assert (world.names()["staging"], world.names()["staging@other"]) == (("local", second), ("other", second))


@pytest.mark.slow
def test_a_saved_plan_of_one_place_does_no_more_than_it_says(world: World) -> None:
    first, second = world.release(), world.build()
    whole = world.project.plans("handbook", goal="production")
    world.project.push("handbook")
    names = world.names()
    (plan,) = world.project.plans("handbook", version=first, target="other")
    assert plan.notes == (
        "staging moves in every target together, once all hold v1; a later version that is staged stays",
    )
    world.project.push("handbook", saved=plan)
    assert world.names() == names, "the later version stays on staging, here as there"
    refused = r"production of handbook moves in every target together, .* leaves out local"
    with pytest.raises(RefusedError, match=refused):
        world.project.plans("handbook", version=second, goal="production", target="other")
    with pytest.raises(RefusedError, match=refused):
        world.project.push("handbook", saved=whole[1:])


@pytest.mark.slow
def test_one_place_at_a_time(world: World) -> None:
    number = world.build()
    pushed = world.project.push("handbook", target="other")
    assert pushed.waits_for == ("local",)
    assert world.names() == {}
    assert world.project.push("handbook", target="local").waits_for == ()
    assert world.names() == {"staging": ("local", number), "staging@other": ("other", number)}
    with pytest.raises(NotFoundError, match="not served from target 'third'; it is from: local, other"):
        world.project.push("handbook", target="third")


@pytest.mark.slow
def test_nothing_moves_when_one_place_is_not_verified(world: World) -> None:
    first = world.release()
    world.build()
    world.project.push("handbook")
    local = world.project.deployment_of(world.project.version("handbook", 2), "local")
    world.project.verify("handbook", deployment=local)
    with pytest.raises(RefusedError, match=r"version 2 of handbook has not passed: .*mirrors agree"):
        world.project.promote("handbook", by="test")
    assert world.serves() == {"local": first, "other": first}


@pytest.mark.slow
def test_a_verdict_that_mirrors_agree_ends_with_the_state_of_either(world: World) -> None:
    world.stage()
    registry, project = world.project.registry(), world.project
    local = project.deployment_of(project.version("handbook", 1), "local")
    target = project.target_named("local")
    ids = next(iter(target.scan(local.namespace)))["id"].slice(0, 1)
    for removed_in in (5, LIVE):
        target.set_removed(local.namespace, ids, removed_in, fence=100)
    project.verify("handbook", deployment=local)
    with pytest.raises(RefusedError, match="other was compared with what local held before it changed"):
        project.promote("handbook", by="test")
    assert registry.alias("handbook", "dev", "production") is None
    world.verify()
    project.promote("handbook", by="test")


@pytest.mark.slow
def test_mirrors_that_answer_otherwise_do_not_pass(world: World) -> None:
    world.build()
    world.project.push("handbook")
    version = world.project.version("handbook", 1)
    other = world.project.deployment_of(version, "other")
    target = world.project.target_named("other")
    some = next(iter(target.scan(other.namespace)))["id"]
    rows = target.fetch(other.namespace, some.to_pylist()).to_pydict()
    rows["vector"] = rows["vector"][::-1]
    target.upsert(other.namespace, pa.table(rows, schema=target.fetch(other.namespace, []).schema), fence=100)
    (_, right), (_, wrong) = world.project.verify_places("handbook")
    assert not any(one.blocks for one in right)
    assert [one.name for one in wrong if one.blocks] == ["index recall", "mirrors agree"]
    found = next(one for one in wrong if one.name == "mirrors agree")
    assert found.summary.startswith("other answers ")
    assert found.examples[0]["query"].startswith("a text of page")


@pytest.mark.slow
def test_in_place_is_refused(world: World) -> None:
    world.build()
    with pytest.raises(RefusedError, match="several targets cannot change together"):
        world.project.push("handbook", strategy="in-place")
    with pytest.raises(RefusedError, match="several targets cannot change together"):
        world.project.plan("handbook", strategy="in-place", target="other")


@pytest.mark.slow
def test_a_mirror_that_is_added_comes_in_without_moving_the_others(world: World) -> None:
    first = world.release()
    second = world.release()
    world.configure("local", "other", "third")
    with pytest.raises(RefusedError, match=r"was never pushed to third.*push handbook --version 2 --target third"):
        world.project.promote("handbook", by="test")
    before = world.project.registry().alias("handbook", "dev", "production")
    staged = world.build()
    assert world.project.push("handbook", version=second, target="third").plan.writes > 0
    assert world.names()["staging@third"] == ("third", second)
    world.verify(second)
    alias, moved = world.project.promote("handbook", by="test", version=second)
    assert (alias, moved) == (before, True)
    assert world.serves() == {"local": second, "other": second, "third": second}
    with pytest.raises(
        RefusedError, match=r"third does not hold version 1 of handbook whole: nothing was moved.*--target third"
    ):
        world.project.rollback("handbook", by="test")
    world.project.push("handbook", version=first, target="third")
    with pytest.raises(RefusedError, match="has not passed"):
        world.project.rollback("handbook", by="test")
    world.verify(first)
    world.project.rollback("handbook", by="test")
    assert set(world.serves().values()) == {first}
    assert staged == 3


@pytest.mark.slow
def test_a_mirror_that_was_removed_is_retired_and_collected(world: World) -> None:
    world.release()
    namespace = world.names() and world.project.target_named("other").namespaces()
    world.release()
    world.configure("local")
    status = world.project.status("handbook")
    assert [(one.target, one.place) for one in status.places] == [("local", True), ("other", False)]
    assert world.project.promote("handbook", by="test", reason="other is gone")[1]
    assert world.names() == {"production": ("local", 2), "staging": ("local", 2)}
    assert world.project.history("handbook", limit=1)[0].kind == "retire"
    assert world.project.status("handbook").places == ()
    # Nothing but the readers' grace keeps it.
    kept = world.project.collect("handbook", dry_run=True)
    assert all(one.empty for one in kept.collections)
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(
        text.replace("    gates: ", "    retention: {reader_grace_s: 0}\n    gates: "), encoding="utf-8"
    )
    world.configure("local")
    world.project.collect("handbook", dry_run=False)
    assert namespace
    assert world.project.target_named("other").namespaces() == []
    assert world.project.target_named("local").namespaces() == namespace
    world.project.rollback("handbook", by="test")
    assert world.serves() == {"local": 1}


@pytest.mark.slow
def test_places_are_swapped_without_a_moment_between(world: World) -> None:
    number = world.release()
    with (
        open_index("handbook", project=world.config, max_staleness_s=0) as plain,
        open_index("handbook", project=world.config, target="local", max_staleness_s=0) as local,
        open_index("handbook", project=world.config, target="other", max_staleness_s=0) as other,
    ):
        world.configure("other", "local")
        assert world.names()["production"] == ("local", number)
        for index in (plain, local, other):
            assert index.version == number
        assert world.project.promote("handbook", by="test")[1]
        assert world.names() == {
            "production": ("other", number), "production@local": ("local", number),
            "staging": ("other", number), "staging@local": ("local", number),
        }  # fmt: skip
        for index in (plain, local, other):
            assert index.version == number
            assert index.query("About page 1", top_k=1)[0].document == "page1.md"
        assert local._follower.current().alias.deployment.target == "local"
    second = world.release()
    world.project.rollback("handbook", by="test")
    assert world.serves() == {"local": number, "other": number}
    with pytest.raises(NotFoundError, match="no earlier version"):
        world.project.rollback("handbook", by="test")
    assert second == 2


@pytest.mark.slow
def test_a_place_that_is_away_is_taken_out_of_service_and_comes_back(world: World) -> None:
    first = world.release()
    back = world.away("other")
    second = world.build()
    with pytest.raises(UnavailableError):
        world.project.push("handbook")
    with pytest.raises(InputError, match="wants a reason"):
        world.project.promote("handbook", by="test", version=first, without=["other"])
    with pytest.raises(RefusedError, match="no place of handbook would be left"):
        world.project.promote("handbook", by="test", version=first, without=["other", "local"], reason="down")
    world.project.promote("handbook", by="test", version=first, without=["other"], reason="other is down")
    assert world.serves() == {"local": first}
    (out,) = world.project.registry().withdrawals("handbook", "dev")
    assert (out.target, out.by, out.reason, out.removed) == ("other", "test", "other is down", False)
    status = world.project.status("handbook")
    assert status.places[1].withdrawal == out
    assert "target other is out of service: left as it is" in world.project.repair("handbook").plan.notes
    assert "target other is out of service" in world.project.collect("handbook", dry_run=True).notes[0]
    with pytest.raises(NotFoundError, match=r"other is out of service for handbook since .* \(other is down\)"):
        open_index("handbook", project=world.config, target="other")
    assert world.project.push("handbook").mirrors == ()
    world.verify()
    world.project.promote("handbook", by="test")
    assert world.serves() == {"local": second}
    back()
    assert world.project.push("handbook", target="other").waits_for == ()
    assert world.project.withdrawn("handbook") == {}
    world.verify()
    world.project.promote("handbook", by="test")
    assert world.serves() == {"local": second, "other": second}


@pytest.mark.slow
def test_when_the_first_place_is_away_the_next_one_takes_over(world: World) -> None:
    number = world.release()
    with open_index("handbook", project=world.config, max_staleness_s=0) as index:
        back = world.away("local")
        alias, moved = world.project.promote("handbook", by="test", without=["local"], reason="local is down")
        assert (alias.name, alias.deployment.target, moved) == ("production", "other", True)
        assert index.query("About page 1", top_k=1)[0].document == "page1.md"
        second = world.build()
        world.project.push("handbook")
        world.verify()
        world.project.promote("handbook", by="test")
        assert world.names()["production"] == ("other", second)
        back()
        world.project.push("handbook", target="local")
        world.verify()
        world.project.promote("handbook", by="test")
        assert world.names()["production"] == ("local", second)
        assert world.serves() == {"local": second, "other": second}
        assert index.version == second
    world.project.rollback("handbook", by="test")
    assert world.serves() == {"local": number, "other": number}


@pytest.mark.slow
def test_a_failed_self_check_takes_every_place_back(world: World) -> None:
    first = world.release()
    second = world.stage()
    moved, _ = world.project.promote("handbook", by="test")
    target = world.project.target_named("other")
    deployment = world.project.deployment_of(world.project.version("handbook", second), "other")
    ids = next(iter(target.scan(deployment.namespace)))["id"].slice(0, 3)
    target.delete(deployment.namespace, ids, fence=100)
    checked = world.project.settle(moved, by="chain")
    assert checked.error is not None
    assert "coverage (other)" in checked.error.what
    assert checked.back is not None
    assert world.serves() == {"local": first, "other": first}
    assert {one.kind for one in world.project.history("handbook", limit=2)} == {"self-check"}
    with pytest.raises(ConflictError, match="has moved on"):
        world.project.roll_back_failed(moved, by="chain", reason="again")


@pytest.mark.slow
def test_a_mirror_that_fails_when_it_comes_in_goes_out_again(world: World) -> None:
    number = world.release()
    world.configure("local", "other", "third")
    world.project.push("handbook", target="third")
    world.verify()
    moved, _ = world.project.promote("handbook", by="test")
    assert set(world.serves()) == {"local", "other", "third"}
    nothing = world.project.roll_back_failed(moved, by="chain", reason="a run that moved nothing", run_id="another")
    assert nothing is None
    undone = world.project.roll_back_failed(moved, by="chain", reason="third answers nonsense")
    assert undone is not None
    assert undone[1]
    assert world.serves() == {"local": number, "other": number}


@pytest.mark.slow
def test_drift_and_repair_know_every_place(world: World) -> None:
    world.release()
    project = world.project
    reports = project.drift("handbook", "production")
    assert [(one.alias, one.target, one.drifted) for one in reports] == [
        ("production", "local", False), ("production@other", "other", False)
    ]  # fmt: skip
    other = project.deployment_of(project.version("handbook", 1), "other")
    target = project.target_named("other")
    target.delete(other.namespace, next(iter(target.scan(other.namespace)))["id"].slice(0, 2), fence=1)
    assert [one.alias for one in project.drift("handbook") if one.drifted] == ["production@other", "staging@other"]
    world.build()
    with pytest.raises(RefusedError, match=r"target other: somebody else has written to .*v2 is on local"):
        project.push("handbook")
    assert {one.version for one in project.registry().deployments("handbook") if one.target == "other"} == {1}
    repaired = project.repair("handbook")
    assert not repaired.drifted
    assert "mirrors agree" in {one.name for one in repaired.gates["production@other"]}
    assert all(one.status == DeploymentStatus.PUSHED for one in project.registry().deployments("handbook"))


def test_ties_count_as_the_same() -> None:
    first = {"a": 0.9, "b": 0.5}
    assert _overlap(first, {"a": 0.9, "c": 0.50004}, 2) == 1, "both cut a tie as they like"
    assert _overlap(first, {"a": 0.9, "c": 0.6}, 2) == 0.5, "a nearer one that the other did not find is no tie"
    assert _overlap({"a": 0.9}, {"b": 0.9}, 2) == 0, "there was room for both"
    assert _overlap({}, {}, 2) == 1
    assert _overlap({"a": 0.9, "b": 0.5}, {}, 2) == 0
