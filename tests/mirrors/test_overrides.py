"""Several places: let past where a gate stops them, all of them or none; and the way back is not compared."""

import pytest

from tests.mirrors.conftest import World
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.project.gating import SETTINGS
from vector_pipeline.release.registry import VerdictStatus
from vector_pipeline.verify.context import AGAINST

WHY = {"by": "ann", "reason": "the mirror is rebuilt tonight"}


def say(world: World, target: str, gate: str, status: VerdictStatus, version: int, **detail: object) -> None:
    """Record what a gate said of a place."""
    project = world.project
    deployment = project.deployment_of(project.version("handbook", version), target)
    settings = {SETTINGS: project.gate_settings("handbook")}
    project.registry().record_verdict(
        deployment.id, gate, status, digest=str(deployment.digest), mark=project.mark_of(deployment),
        detail={**settings, "detail": detail},
    )  # fmt: skip


@pytest.mark.slow
def test_what_stops_one_place_is_let_past_there(world: World) -> None:
    number = world.stage()
    say(world, "other", "canary retrieval", VerdictStatus.FAILED, number)
    with pytest.raises(RefusedError, match="has not passed: canary retrieval"):
        world.project.promote("handbook", by="ann")
    with pytest.raises(InputError, match="version 1 is not stopped by coverage"):
        world.project.promote("handbook", overrides=["coverage", "canary_retrieval"], **WHY)
    assert world.serves() == {}, "none, or all"
    world.project.promote("handbook", overrides=["canary_retrieval"], **WHY)
    assert world.serves() == {"local": number, "other": number}
    (one,) = world.project.registry().overrides("handbook")
    assert world.project.registry().deployment(one.deployment_id).target == "other"
    moves = {move.id: move.name for move in world.project.history("handbook")}
    assert moves[one.move_id] == "production@other"
    assert world.project.status("handbook").overridden == (one,)


@pytest.mark.slow
def test_what_stops_all_places_is_recorded_for_each(world: World) -> None:
    number = world.stage()
    for target in ("local", "other"):
        say(world, target, "documents expectations", VerdictStatus.FAILED, number)
    say(world, "other", "mirrors agree", VerdictStatus.FAILED, number)
    world.project.promote("handbook", overrides=["documents_expectations", "mirrors_agree"], **WHY)
    found = [(one.check, one.deployment_id) for one in world.project.registry().overrides("handbook")]
    assert len(found) == len(set(found)) == 3


@pytest.mark.slow
def test_going_back_is_not_compared_with_what_it_goes_back_from(world: World) -> None:
    world.project = world.configure("local")
    first, second = world.release(), world.release()
    world.project = world.configure("local", "other")
    world.project.push("handbook", version=first, target="other")
    world.verify(first)
    say(
        world,
        "other",
        "chunks expectations",
        VerdictStatus.PASSED,
        first,
        **{AGAINST: {"version": second, "digest": "x"}},
    )
    world.release()
    world.verify(first)
    say(
        world,
        "other",
        "chunks expectations",
        VerdictStatus.PASSED,
        first,
        **{AGAINST: {"version": second, "digest": "x"}},
    )
    with pytest.raises(RefusedError, match="was compared with version 2"):
        world.project.promote("handbook", version=first, by="ann")
    world.project.rollback("handbook", to=first, by="ann")
    assert world.serves() == {"local": first, "other": first}
