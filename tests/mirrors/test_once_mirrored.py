"""A dataset that had a mirror once and has one place now goes on as one that never had any."""

import pytest

from tests.mirrors.conftest import World
from tests.registry.conftest import postgres, postgres_url, pushed, registry, url
from vector_pipeline.errors import NotFoundError
from vector_pipeline.release.mirrors import goes_back_apart
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry import Move, MoveKind, Registry
from vector_pipeline.release.retention import kept

__all__ = ["postgres", "postgres_url", "registry", "url"]
PLACE = ("handbook", "dev")


def rolled_back(world: World) -> int:
    """Version that production serves after one step back."""
    return world.project.rollback("handbook", by="test")[0].deployment.version


@pytest.mark.slow
def test_what_was_written_in_place_since_is_written_back(world: World) -> None:
    assert world.release() == 1
    world.configure("local")
    assert world.release() == 2
    for number in (3, 4):
        assert world.stage(strategy="in-place") == number
        world.project.promote("handbook", by="test")
    registry = world.project.registry()
    held = kept(registry, "handbook", "dev", keep_versions=1, grace_s=0)
    assert "a rollback of production in dev goes back to it" in held.why[3]
    live = registry.alias("handbook", "dev", "production")
    assert live is not None
    assert live.deployment.strategy is Strategy.IN_PLACE
    assert rolled_back(world) == 3
    assert world.project.rollback("handbook", by="test", to=4)[0].deployment.version == 4
    assert world.project.rollback("handbook", by="test", to=3)[0].deployment.version == 3
    assert rolled_back(world) == 2
    assert goes_back_apart(registry, "handbook", "dev"), "the step from 1 to 2 took the mirror out"
    assert rolled_back(world) == 1
    with pytest.raises(NotFoundError, match="no earlier version"):
        world.project.rollback("handbook", by="test")


@pytest.mark.slow
def test_a_step_made_with_a_mirror_leads_back_to_what_was_served_in_place_before(make_world) -> None:  # type: ignore[no-untyped-def]
    world: World = make_world("local")
    first = world.stage(strategy="in-place")
    world.project.promote("handbook", by="test")
    world.configure("local", "other")
    world.release()
    world.configure("local")
    world.project.promote("handbook", by="test", reason="other is gone")
    assert world.serves() == {"local": first + 1}
    assert rolled_back(world) == first


def test_which_steps_are_taken_back_by_version(registry: Registry) -> None:
    ones = [pushed(registry, f"d{number}") for number in range(5)]

    def moved(kind: MoveKind, *names: str, to: int | None) -> None:
        held = {one.name: one.deployment.id for one in registry.aliases(*PLACE)}
        goal = ones[to].id if to is not None else None
        registry.move_aliases(
            *PLACE, [Move(one, goal, held.get(one)) for one in names], by="ann", reason="", kind=kind
        )  # fmt: skip

    def apart(to: int | None = None) -> bool:
        return goes_back_apart(registry, *PLACE, to=None if to is None else ones[to].version)

    assert not apart()
    moved("promote", "production", to=0)
    moved("promote", "production", to=1)
    assert not apart()
    moved("promote", "production@other", to=1)
    assert apart(), "there are two now"
    moved("retire", "production@other", to=None)
    assert not apart(), "the step from the first to the second was made with one"
    moved("promote", "production@other", to=1)
    moved("promote", "production", "production@other", to=2)
    moved("retire", "production@other", to=None)
    assert apart(), "the step to the third was made with two"
    moved("promote", "production", to=3)
    moved("promote", "production", to=4)
    assert not apart()
    assert [apart(to) for to in range(5)] == [True, True, False, False, False]
    moved("rollback", "production", to=3)
    assert not apart()
    moved("rollback", "production", to=2)
    assert apart(), "what is left to take back was made with two"
