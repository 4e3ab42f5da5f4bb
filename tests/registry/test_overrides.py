"""Overrides are written with the move that they are for, or not at all."""

import pytest

from tests.registry.conftest import pushed
from vector_pipeline.errors import ConflictError, InputError
from vector_pipeline.release.registry import Deployment, Move, NewOverride, Registry, VerdictStatus

PLACE = ("handbook", "dev")


def let_past(deployment: Deployment, check: str = "coverage") -> NewOverride:
    return NewOverride(
        deployment.id, check, VerdictStatus.FAILED, "2 of page1.md are gone", str(deployment.digest), "m1"
    )


def test_an_override_stands_with_its_move(registry: Registry) -> None:
    first = pushed(registry, "d1")
    alias = registry.move_alias(
        *PLACE, "production", to=first.id, expected=None, by="ann", reason="known gap", run_id="r", overrides=[let_past(first)]
    )  # fmt: skip
    (found,) = registry.overrides(*PLACE)
    (move,) = registry.alias_moves(*PLACE)
    assert (found.move_id, found.deployment_id, found.check, found.status) == (move.id, first.id, "coverage", "failed")
    assert (found.by, found.reason, found.run_id, found.at) == ("ann", "known gap", "r", move.at)
    assert (found.summary, found.digest, found.mark) == ("2 of page1.md are gone", "d1", "m1")
    assert registry.overrides("handbook", "prod") == registry.overrides("other") == []
    assert registry.overrides("handbook", deployment_id=first.id + 1) == []
    assert alias.generation == 1


def test_no_override_without_a_reason_or_without_a_move(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")
    said = {"by": "ann", "run_id": None}
    with pytest.raises(InputError, match="coverage wants a reason"):
        registry.move_alias(
            *PLACE, "production", to=first.id, expected=None, reason=" ", overrides=[let_past(first)], **said
        )  # type: ignore[arg-type]
    with pytest.raises(ConflictError):
        registry.move_alias(
            *PLACE, "production", to=first.id, expected=second.id, reason="why", overrides=[let_past(first)], **said  # type: ignore[arg-type]
        )  # fmt: skip
    assert registry.aliases(*PLACE) == registry.overrides(*PLACE) == []
    registry.move_alias(*PLACE, "production", to=first.id, expected=None, reason="", **said)  # type: ignore[arg-type]
    registry.move_alias(
        *PLACE, "production", to=first.id, expected=first.id, reason="why", overrides=[let_past(first)], **said  # type: ignore[arg-type]
    )  # fmt: skip
    assert registry.overrides(*PLACE) == [], "it is there already: nothing moved"


def test_of_several_moves_each_has_its_own(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")
    registry.move_aliases(
        *PLACE, [Move("production", first.id, None), Move("production@b", second.id, None)], by="ann", reason="why",
        overrides=[let_past(first), let_past(second, "answers")],
    )  # fmt: skip
    moves = {move.name: move.id for move in registry.alias_moves(*PLACE)}
    found = {(one.check, one.move_id) for one in registry.overrides(*PLACE)}
    assert found == {("coverage", moves["production"]), ("answers", moves["production@b"])}


def test_an_erasure_reaches_what_an_override_says(registry: Registry) -> None:
    first = pushed(registry, "d1")
    registry.move_alias(
        *PLACE, "production", to=first.id, expected=None, by="ann", reason="page1.md is a draft", overrides=[let_past(first)]
    )  # fmt: skip
    scrubbed = registry.scrub("handbook", "page1.md", "k" * 24)
    assert scrubbed["vp_overrides.summary"] == scrubbed["vp_overrides.reason"] == 1
    (found,) = registry.overrides(*PLACE)
    assert (found.summary, found.reason) == ("2 of erased are gone", "erased is a draft")
    assert registry.traces("handbook", "page1.md", "k" * 24) == {}
