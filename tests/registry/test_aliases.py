"""Aliases: compare-and-swap and its history, against examples and against a model."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.registry.conftest import begin, pushed, record
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Registry


def test_moves_make_generations_and_history(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")
    assert registry.alias("handbook", "dev", "production") is None
    made = registry.move_alias(
        "handbook", "dev", "production", to=first.id, expected=None, by="ann", reason="first", run_id="r"
    )
    assert (made.deployment, made.generation, made.moved_by, made.reason) == (first, 1, "ann", "first")
    moved = registry.move_alias(
        "handbook", "dev", "production", to=second.id, expected=first.id, by="bob", reason="better"
    )
    back = registry.move_alias(
        "handbook", "dev", "production", to=first.id, expected=second.id, by="ann", reason="worse", kind="rollback"
    )
    assert (moved.deployment.version, moved.generation, back.deployment.version, back.generation) == (2, 2, 1, 3)
    assert registry.alias("handbook", "dev", "production") == back
    history = registry.alias_moves("handbook")
    assert [(one.generation, one.kind, one.from_version, one.to_version, one.by, one.run_id) for one in history] == [
        (3, "rollback", 2, 1, "ann", None),
        (2, "promote", 1, 2, "bob", None),
        (1, "promote", None, 1, "ann", "r"),
    ]
    assert registry.alias_moves("handbook", "dev", "production", limit=1) == history[:1]
    assert registry.alias_moves("handbook", "prod") == registry.alias_moves("handbook", name="staging") == []


def test_a_lost_swap_says_where_the_alias_points_and_writes_nothing(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")

    def move(to: int, expected: int | None) -> None:
        registry.move_alias("handbook", "dev", "production", to=to, expected=expected, by="ann", reason="")

    with pytest.raises(ConflictError, match="does not exist"):
        move(second.id, first.id)
    move(first.id, None)
    with pytest.raises(ConflictError, match=rf"points at deployment {first.id} \(v1, moved by ann\).*to be absent"):
        move(second.id, None)
    with pytest.raises(ConflictError, match="was expected at deployment"):
        move(second.id, second.id)
    before = registry.alias("handbook", "dev", "production")
    move(first.id, first.id)
    assert registry.alias("handbook", "dev", "production") == before
    assert len(registry.alias_moves("handbook")) == 1


def test_an_alias_points_only_at_what_is_pushed_and_its_own(registry: Registry) -> None:
    pushing = begin(registry, record(registry, "d1"))
    foreign = pushed(registry, "d1", environment="prod")

    def move(to: int, kind: str = "promote") -> None:
        registry.move_alias("handbook", "dev", "production", to=to, expected=None, by="", reason="", kind=kind)  # type: ignore[arg-type]

    with pytest.raises(RefusedError, match="is pushing, not pushed"):
        move(pushing.id)
    with pytest.raises(RefusedError, match="belongs to handbook in prod"):
        move(foreign.id)
    with pytest.raises(NotFoundError):
        move(99)
    with pytest.raises(InputError, match="cannot be moved by"):
        move(pushing.id, "magic")
    assert registry.aliases("handbook") == []
    registry.finish_deployment(pushing.id, DeploymentStatus.PUSHED, "d1")
    move(pushing.id, "push")
    # Pushing again what is served keeps the alias, and shows that it is being written.
    begin(registry, registry.version("handbook", 1))
    assert [one.deployment.status for one in registry.aliases("handbook", "dev")] == [DeploymentStatus.PUSHING]
    assert registry.aliases("handbook", "prod") == []


class AliasMachine(RuleBasedStateMachine):
    """The registry against a dictionary and a list, with two connections that know nothing of each other."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = f"sqlite:///{Path(self.folder.name) / 'registry.sqlite'}"
        self.registries = [Registry.open(path), Registry.open(path)]
        self.deployments: list[Deployment] = [pushed(self.registries[0], f"d{number}") for number in range(3)]
        self.points: dict[str, int] = {}
        self.history: list[tuple[str, int | None, int, int]] = []

    @rule(
        who=st.integers(0, 1),
        name=st.sampled_from(["staging", "production"]),
        to=st.integers(0, 2),
        expected=st.one_of(st.just("right"), st.none(), st.integers(0, 2)),
    )
    def move(self, who: int, name: str, to: int, expected: str | int | None) -> None:
        goal = self.deployments[to].id
        believed = self.points.get(name) if expected == "right" else None
        if isinstance(expected, int):
            believed = self.deployments[expected].id
        holds = believed == self.points.get(name)
        try:
            self.registries[who].move_alias("handbook", "dev", name, to=goal, expected=believed, by="x", reason="y")
        except ConflictError:
            assert not holds
            return
        assert holds
        if goal != believed:
            generation = sum(1 for line in self.history if line[0] == name) + 1
            self.history.append((name, believed, goal, generation))
            self.points[name] = goal

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "registries"):
            return
        for registry in self.registries:
            assert {one.name: one.deployment.id for one in registry.aliases("handbook")} == self.points
        moves = self.registries[1].alias_moves("handbook", limit=1000)
        found = [(one.name, one.from_deployment, one.to_deployment, one.generation) for one in reversed(moves)]
        assert found == self.history

    def teardown(self) -> None:
        if hasattr(self, "registries"):
            for registry in self.registries:
                registry.close()
            self.folder.cleanup()


TestAliasMachine = AliasMachine.TestCase
TestAliasMachine.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
