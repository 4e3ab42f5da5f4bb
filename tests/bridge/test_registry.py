"""What the registry keeps of bridges, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import pytest

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.release.registry import Bridge, NewBridge, Registry


def new(name: str = "f1", *, passed: bool = True, recall: float = 0.9, **changes: object) -> NewBridge:
    values: dict[str, object] = {
        "dataset": "handbook", "environment": "dev", "from_embedder": "e2", "to_embedder": "e1", "kind": "affine",
        "fingerprint": name, "map": b"\x00map\xff", "recall": recall, "by": "ann",
        "detail": {"passed": passed, "low": recall - 0.02, "min_recall": 0.8},
    }  # fmt: skip
    return NewBridge(**{**values, **changes})  # type: ignore[arg-type]


def in_force(registry: Registry) -> Bridge | None:
    return registry.bridge_in_force("handbook", "dev", "e2", "e1")


def test_a_fit_is_kept_and_not_in_force(registry: Registry) -> None:
    made = registry.record_bridge(new())
    assert (made.fit, made.in_force, made.passed, made.recall) == (None, False, True, 0.9)
    assert made.at.tzinfo == UTC
    assert registry.bridges("handbook", "dev") == [made]
    assert registry.bridge_map(made) == b"\x00map\xff"
    assert in_force(registry) is None


def test_on_and_off_and_on_again(registry: Registry) -> None:
    fit = registry.record_bridge(new())
    on = registry.turn_bridge_on(fit.id, by="bob")
    assert (on.fit, on.in_force, on.by, on.fingerprint) == (fit.id, True, "bob", "f1")
    assert in_force(registry) == on
    assert registry.bridge_map(on) == registry.bridge_map(fit)
    assert registry.turn_bridge_on(fit.id, by="eve") == on, "it is on already"
    assert registry.turn_bridges_off("handbook", "dev", by="cyd") == 1
    assert registry.turn_bridges_off("handbook", "dev", by="cyd") == 0
    assert in_force(registry) is None
    ended = registry.bridges("handbook", "dev")[-1]
    assert (ended.id, ended.ended_by) == (on.id, "cyd")
    again = registry.turn_bridge_on(fit.id, by="bob")
    assert again.id != on.id, "rows are only added"
    assert [one.fit for one in registry.bridges("handbook", "dev")] == [None, fit.id, fit.id]


def test_another_fit_takes_the_place_of_the_one_in_force(registry: Registry) -> None:
    first = registry.turn_bridge_on(registry.record_bridge(new("f1")).id, by="bob")
    second = registry.turn_bridge_on(registry.record_bridge(new("f2")).id, by="cyd")
    assert in_force(registry) == second
    assert {one.id: one.ended_by for one in registry.bridges("handbook", "dev") if one.fit}[first.id] == "cyd"


def test_what_did_not_pass_cannot_be_turned_on(registry: Registry) -> None:
    fit = registry.record_bridge(new(passed=False, recall=0.614))
    with pytest.raises(RefusedError, match=r"f1 keeps 61\.4% of the answers, surely 59\.4%, and 80% were wanted"):
        registry.turn_bridge_on(fit.id, by="bob")
    assert in_force(registry) is None
    assert len(registry.bridges("handbook", "dev")) == 1


def test_what_is_demanded_besides_is_asked_first(registry: Registry) -> None:
    def no(_: Bridge) -> None:
        raise RefusedError("not now")

    fit = registry.record_bridge(new())
    with pytest.raises(RefusedError, match="not now"):
        registry.turn_bridge_on(fit.id, by="bob", demand=no)
    assert in_force(registry) is None


def test_a_bridge_is_of_one_pair_in_one_place(registry: Registry) -> None:
    registry.turn_bridge_on(registry.record_bridge(new()).id, by="bob")
    other = registry.turn_bridge_on(registry.record_bridge(new("f3", from_embedder="e3")).id, by="bob")
    assert registry.bridge_in_force("handbook", "dev", "e1", "e2") is None
    assert registry.bridge_in_force("handbook", "prod", "e2", "e1") is None
    assert registry.bridge_in_force("other", "dev", "e2", "e1") is None
    assert registry.bridge_in_force("handbook", "dev", "e3", "e1") == other
    assert registry.turn_bridges_off("handbook", "dev", by="bob", from_embedder="e2") == 1
    assert registry.bridge_in_force("handbook", "dev", "e3", "e1") == other


def test_what_is_not_there_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match="no bridge 7"):
        registry.turn_bridge_on(7, by="bob")
    made = registry.record_bridge(new())
    gone = Bridge(**{**{name: getattr(made, name) for name in made.__slots__}, "id": 99})
    with pytest.raises(NotFoundError, match="no bridge 99"):
        registry.bridge_map(gone)


def test_many_at_once_leave_one_in_force(registry: Registry) -> None:
    fits = [registry.record_bridge(new(f"f{number}")).id for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda fit: registry.turn_bridge_on(fit, by="bob"), fits))
    assert sum(one.in_force for one in registry.bridges("handbook", "dev")) == 1
    assert in_force(registry) is not None
