"""Routes: one at most, ended by every move of production, and nobody takes away what they name. On both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.registry.conftest import begin, pushed, record
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry import Deployment, Registry, Route

PLACE = ("handbook", "dev")


def served(registry: Registry, deployment: Deployment, expected: int | None = None, name: str = "production") -> None:
    registry.move_alias(*PLACE, name, to=deployment.id, expected=expected, by="ann", reason="good")


def route(registry: Registry, to: Deployment, beside: Deployment, share: float = 0.05) -> Route:
    return registry.begin_route(
        *PLACE, version=to.version, deployments=[to.id], share=share, beside=beside.id, by="ann", reason="try it", run_id="run-3"
    )  # fmt: skip


def test_one_is_in_force_at_most_and_all_are_kept(registry: Registry) -> None:
    one, two = pushed(registry, "a"), pushed(registry, "b")
    served(registry, one)
    assert registry.route(*PLACE) is None
    first = route(registry, two, one)
    assert registry.route(*PLACE) == first
    assert (first.version, first.share, first.by, first.reason, first.run_id, first.ended_at) == (
        2, 0.05, "ann", "try it", "run-3", None,
    )  # fmt: skip
    second = route(registry, two, one, 0.2)
    assert registry.route(*PLACE) == second
    assert registry.route("handbook", "prod") is None
    assert registry.end_route(*PLACE, by="bob") == second
    assert registry.end_route(*PLACE, by="bob") is None
    assert [(one.share, one.ended_by) for one in registry.routes("handbook")] == [(0.05, "ann"), (0.2, "bob")]
    assert registry.routes("handbook", "dev", grace_s=0) == []
    assert len(registry.routes("handbook", "dev", grace_s=3600)) == 2


def test_a_move_of_production_ends_it_and_other_moves_do_not(registry: Registry) -> None:
    one, two, three = (pushed(registry, digest) for digest in "abc")
    served(registry, one)
    route(registry, two, one)
    served(registry, three, name="staging")
    served(registry, one, expected=one.id)
    assert registry.route(*PLACE) is not None
    served(registry, two, expected=one.id)
    assert registry.route(*PLACE) is None
    with pytest.raises(ConflictError, match="moved meanwhile"):
        route(registry, three, one)
    route(registry, three, two)
    with pytest.raises(ConflictError):
        served(registry, one, expected=three.id)
    assert registry.route(*PLACE) is not None


def test_what_it_names_is_whole_and_stays(registry: Registry) -> None:
    one = pushed(registry, "a")
    with pytest.raises(ConflictError, match="moved meanwhile"):
        route(registry, one, one)
    served(registry, one)
    half = begin(registry, record(registry, "b"))
    with pytest.raises(RefusedError, match="not pushed whole in dev"):
        route(registry, half, one)
    for share in (0, -1, 1.01, float("nan")):
        with pytest.raises(InputError):
            route(registry, half, one, share)
    with pytest.raises(NotFoundError):
        registry.begin_route(*PLACE, version=99, deployments=[1], share=1, beside=one.id, by="ann", reason="")
    two = pushed(registry, "c")
    route(registry, two, one)
    with pytest.raises(RefusedError, match=f"routed to v{two.version}"):
        registry.mark_expired("handbook", [two.version])
    with pytest.raises(RefusedError, match=f"routed to v{two.version}"):
        registry.retire_deployments([half.id, two.id], grace_s=0)
    assert registry.retire_deployments([half.id], grace_s=0) == [half.id]
    registry.end_route(*PLACE, by="ann")
    with pytest.raises(RefusedError, match=f"routed to v{two.version}"):
        registry.retire_deployments([two.id], grace_s=3600)
    registry.mark_expired("handbook", [two.version])
    with pytest.raises(RefusedError, match="expired"):
        route(registry, two, one)
    assert registry.retire_deployments([two.id], grace_s=0) == [two.id]


def test_of_a_route_and_an_expiry_at_one_moment_one_is_refused(url: str) -> None:
    with Registry.open(url) as registry:
        one = pushed(registry, "first")
        served(registry, one)
        for number in range(8):
            two = pushed(registry, f"again {number}")
            start = threading.Barrier(2)

            def begin_it(two: Deployment = two, start: threading.Barrier = start) -> str:
                start.wait()
                return route(registry, two, one).dataset

            def expire(two: Deployment = two, start: threading.Barrier = start) -> str:
                start.wait()
                return str(registry.mark_expired("handbook", [two.version]))

            with ThreadPoolExecutor(2) as threads:
                ended = [threads.submit(begin_it), threads.submit(expire)]
            errors = [future.exception() for future in ended]
            assert [type(error) for error in errors if error is not None] == [RefusedError]
            held = registry.route(*PLACE)
            expired = registry.version("handbook", two.version).expired_at is not None
            assert expired == (held is None or held.version != two.version)
