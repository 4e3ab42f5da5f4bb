"""Several aliases move in one transaction or none does; what a withdrawal allows; saved plans of several places."""

import pytest

from tests.registry.conftest import postgres, postgres_url, pushed, record, registry, url
from vector_pipeline.errors import ConflictError, InputError, RefusedError
from vector_pipeline.release.mirrors import arranged, standing
from vector_pipeline.release.parts import plans_from_json, plans_to_json
from vector_pipeline.release.plan import FORMAT
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Move, Registry

__all__ = ["postgres", "postgres_url", "registry", "url"]
PLACE = ("handbook", "dev")
SAID = {"by": "ann", "reason": "why"}


def at(registry: Registry, target: str) -> Deployment:
    """Version 1, whole on a target."""
    version = record(registry, "d1")
    begun = registry.begin_deployment(
        dataset=version.dataset, environment="dev", target=target, namespace="main", version=version.number,
        space=version.space, fingerprint=version.fingerprint, records=version.records,
    )  # fmt: skip
    return registry.finish_deployment(begun.id, DeploymentStatus.PUSHED, version.digest)


def test_all_moves_or_none(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")
    names = ("production", "production@other")
    made = registry.move_aliases(*PLACE, [Move(name, first.id, None) for name in names], **SAID)
    assert [(one.name, one.generation) for one in made] == [("production", 1), ("production@other", 1)]
    with pytest.raises(ConflictError, match=r"alias production@other .* was expected at deployment 99"):
        registry.move_aliases(
            *PLACE, [Move(names[0], second.id, first.id), Move(names[1], second.id, 99)], **SAID, withdraw=["far"]
        )
    with pytest.raises(InputError, match="moved twice"):
        registry.move_aliases(*PLACE, [Move("a", first.id, None), Move("a", second.id, None)], **SAID)
    assert [one.deployment.id for one in registry.aliases(*PLACE)] == [first.id, first.id]
    assert registry.withdrawals(*PLACE) == []
    registry.move_aliases(*PLACE, [Move(names[0], second.id, first.id), Move(names[1], None, first.id)], **SAID)
    assert [one.name for one in registry.aliases(*PLACE)] == ["production"]
    given_up = registry.alias_moves(*PLACE, names[1], limit=1)[0]
    assert (given_up.kind, given_up.generation, given_up.from_deployment, given_up.to_deployment) == (
        "retire", 2, first.id, first.id
    )  # fmt: skip
    assert registry.recently_left(*PLACE, 60) == {first.id}, "its readers have their grace"
    (again,) = registry.move_aliases(*PLACE, [Move(names[1], second.id, None)], **SAID)
    assert again.generation == 3, "a name that comes back goes on counting"


def test_what_is_out_of_service_is_not_served(registry: Registry) -> None:
    first = pushed(registry, "d1")
    registry.move_aliases(*PLACE, [Move("production", first.id, None)], **SAID)
    registry.move_aliases(*PLACE, [Move("production", None, first.id)], **SAID, withdraw=[first.target])
    (out,) = registry.withdrawals(*PLACE)
    assert (out.target, out.removed, out.by, out.reason) == (first.target, False, "ann", "why")
    with pytest.raises(
        RefusedError, match=rf"target {first.target} is out of service for handbook since .* \(why, ann\)"
    ):
        registry.move_alias(*PLACE, "production", to=first.id, expected=None, **SAID)
    registry.move_aliases(*PLACE, [], **SAID, withdraw=[first.target])
    assert registry.withdrawals(*PLACE) == [out], "withdrawn once"
    assert registry.end_withdrawal(*PLACE, first.target, by="bob")
    assert not registry.end_withdrawal(*PLACE, first.target, by="bob")
    registry.move_alias(*PLACE, "production", to=first.id, expected=None, **SAID)
    registry.move_aliases(*PLACE, [Move("production", None, first.id)], **SAID, remove=[first.target])
    assert registry.withdrawals(*PLACE)[0].removed
    registry.move_alias(*PLACE, "production", to=first.id, expected=None, **SAID)
    assert registry.withdrawals(*PLACE) == [], "what is served is no more removed"
    assert [one.ended_by for one in registry.withdrawals(*PLACE, ended=True)] == ["bob", "ann"]


def test_names_follow_the_order_of_the_places(registry: Registry) -> None:
    here, there = at(registry, "here"), at(registry, "there")
    moves = arranged("production", [], [here, there])
    assert moves == [Move("production", here.id, None), Move("production@there", there.id, None)]
    registry.move_aliases(*PLACE, moves, **SAID)
    now = standing(registry, *PLACE, "production")
    assert arranged("production", now, [here, there]) == [
        Move("production", here.id, here.id), Move("production@there", there.id, there.id)
    ]  # fmt: skip
    swapped = arranged("production", now, [there, here])
    assert swapped == [
        Move("production", there.id, here.id), Move("production@here", here.id, None),
        Move("production@there", None, there.id),
    ]  # fmt: skip
    registry.move_aliases(*PLACE, swapped, **SAID)
    after = standing(registry, *PLACE, "production")
    assert [(one.name, one.deployment.target) for one in after] == [
        ("production", "there"),
        ("production@here", "here"),
    ]


@pytest.mark.parametrize("data", [{"format": FORMAT, "parts": []}, {"format": 1, "parts": [{}]}, {"parts": 3}, [], {}])
def test_what_is_no_plan_of_several_places_is_refused(data: object) -> None:
    with pytest.raises(InputError, match=r"not a plan file|damaged"):
        plans_from_json(data)


@pytest.mark.slow
def test_plans_of_different_versions_do_not_belong_together(world) -> None:  # type: ignore[no-untyped-def]
    world.build()
    plans = world.project.plans("handbook")
    assert plans_from_json(plans_to_json(plans)) == plans
    assert plans_from_json(plans_to_json(plans[:1])) == plans[:1]
    world.build()
    mixed = {"format": FORMAT, "parts": [plans[0].to_json(), world.project.plan("handbook", target="other").to_json()]}
    with pytest.raises(InputError, match="do not belong together"):
        plans_from_json(mixed)
