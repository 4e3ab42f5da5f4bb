"""Retiring: never what an alias or one of its readers needs, whoever moves aliases at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.registry.conftest import begin, pushed, record
from tests.registry.processes import retire_and_move, together
from vector_pipeline.errors import InputError, NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.release.registry import DeploymentStatus, Registry


def _move(registry: Registry, to: int, expected: int | None) -> None:
    registry.move_alias("handbook", "dev", "production", to=to, expected=expected, by="me", reason="")


def test_what_is_served_or_was_just_left_is_not_retired_and_nothing_with_it(registry: Registry) -> None:
    first, second, third = (pushed(registry, f"d{number}") for number in range(3))
    _move(registry, first.id, None)
    with pytest.raises(
        RefusedError, match=rf"alias production points at deployment {first.id} \(v1 of handbook in dev"
    ):
        registry.retire_deployments([third.id, first.id], grace_s=0)
    _move(registry, second.id, first.id)
    with pytest.raises(RefusedError, match=rf"alias production left deployment {first.id} .*a reader may still"):
        registry.retire_deployments([first.id, third.id], grace_s=3600)
    assert {one.status for one in registry.deployments("handbook")} == {DeploymentStatus.PUSHED}
    assert registry.recently_left("handbook", "dev", 3600) == {first.id}
    assert registry.recently_left("handbook", None, 3600) == {first.id}
    assert registry.recently_left("handbook", "prod", 3600) == registry.recently_left("handbook", "dev", 0) == set()
    assert registry.retire_deployments([third.id, first.id, first.id], grace_s=0) == [first.id, third.id]
    assert registry.retire_deployments([first.id, third.id], grace_s=3600) == []
    with pytest.raises(RefusedError, match="is retired, not pushed"):
        _move(registry, first.id, second.id)


def test_what_cannot_be_asked_is_refused(registry: Registry) -> None:
    one = pushed(registry, "d1")
    assert registry.retire_deployments([], grace_s=0) == []
    with pytest.raises(NotFoundError, match="no deployment 99"):
        registry.retire_deployments([one.id, 99], grace_s=0)
    for grace in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="grace"):
            registry.retire_deployments([one.id], grace_s=grace)
    assert registry.deployment(one.id).status is DeploymentStatus.PUSHED


def test_a_push_cannot_finish_what_was_retired_meanwhile(registry: Registry) -> None:
    version = record(registry, "d1")
    pushing = begin(registry, version)
    assert registry.retire_deployments([pushing.id], grace_s=0) == [pushing.id]
    for status in (DeploymentStatus.PUSHED, DeploymentStatus.FAILED):
        with pytest.raises(RefusedError, match="was retired meanwhile"):
            registry.finish_deployment(pushing.id, status, "d1")
    assert begin(registry, version).id == pushing.id
    assert registry.finish_deployment(pushing.id, DeploymentStatus.PUSHED, "d1").status is DeploymentStatus.PUSHED


@pytest.mark.slow
def test_an_alias_never_points_at_what_was_retired(url: str) -> None:
    with Registry.open(url) as registry:
        for number in range(12):
            pushed(registry, f"d{number}")
        together(url, retire_and_move, processes=2)
        states = {one.id: one.status for one in registry.deployments("handbook")}
        now = registry.aliases("handbook")
        left = registry.recently_left("handbook", "dev", 3600)
    assert all(one.deployment.status is DeploymentStatus.PUSHED for one in now)
    # With a grace, not even what an alias was at for a moment went.
    assert all(states[one] is DeploymentStatus.PUSHED for one in left)
    assert [states[one] for one in sorted(states)[-4:]] == [DeploymentStatus.RETIRED] * 4


def test_of_a_move_and_a_retirement_at_one_moment_one_is_refused(registry: Registry) -> None:
    for number in range(8):
        goal = pushed(registry, f"d{number}")
        start = threading.Barrier(2)

        def attempt(work: object, start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                work()  # type: ignore[operator]
            except VectorPipelineError:
                return False
            return True

        name = f"alias-{number}"
        deeds = (
            lambda goal=goal, name=name: registry.move_alias(
                "handbook", "dev", name, to=goal.id, expected=None, by="", reason=""
            ),
            lambda goal=goal: registry.retire_deployments([goal.id], grace_s=0),
        )
        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(attempt, deeds)) == 1
        status = registry.deployment(goal.id).status
        assert (registry.alias("handbook", "dev", name) is None) == (status is DeploymentStatus.RETIRED)


def test_in_place_replaces_all_others_of_its_namespace(registry: Registry) -> None:
    versions = [record(registry, f"d{number}") for number in range(3)]
    served, failed, elsewhere = (
        begin(registry, versions[0]),
        begin(registry, versions[1]),
        begin(registry, versions[0], namespace="other"),
    )
    registry.finish_deployment(served.id, DeploymentStatus.PUSHED, "d0")
    registry.finish_deployment(failed.id, DeploymentStatus.FAILED)
    _move(registry, served.id, None)
    made = begin(registry, versions[2], strategy="in-place")
    assert (made.strategy, made.status) == ("in-place", DeploymentStatus.PUSHING)
    states = {one.id: one.status for one in registry.deployments("handbook")}
    assert states[served.id] is states[failed.id] is DeploymentStatus.REPLACED
    assert states[elsewhere.id] is DeploymentStatus.PUSHING
    with pytest.raises(RefusedError, match="was replaced meanwhile"):
        registry.finish_deployment(failed.id, DeploymentStatus.PUSHED, "d1")
    registry.finish_deployment(made.id, DeploymentStatus.PUSHED, "d2")
    _move(registry, made.id, served.id)
    with pytest.raises(RefusedError, match="is replaced, not pushed"):
        _move(registry, served.id, made.id)
    # Back in place: a push of the former version, which replaces this one.
    again = begin(registry, versions[0], strategy="in-place")
    assert (again.id, again.status) == (served.id, DeploymentStatus.PUSHING)
    assert registry.deployment(made.id).status is DeploymentStatus.REPLACED
    assert registry.alias("handbook", "dev", "production").deployment.status is DeploymentStatus.REPLACED  # type: ignore[union-attr]
    with pytest.raises(InputError, match="no strategy 'magic'"):
        begin(registry, versions[0], strategy="magic")
    assert registry.retire_deployments([failed.id], grace_s=0) == [failed.id]
