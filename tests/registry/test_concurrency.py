"""Many processes and threads at once, on both databases: nothing is made twice, nothing is lost."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.registry.conftest import new_version, pushed
from tests.registry.processes import fences, move_many, open_and_record, together
from vector_pipeline.errors import ConflictError
from vector_pipeline.release.registry import Registry


@pytest.mark.slow
def test_processes_that_make_the_registry_and_record_at_once_leave_no_gap(url: str) -> None:
    made = [result for results in together(url, open_and_record) for result in results]
    with Registry.open(url, migrate=False) as registry:
        found = registry.versions("handbook")
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    assert sorted(number for number, is_new in made if is_new) == [one.number for one in found]
    assert [one.parent for one in found] == [None, *range(1, len(found))]
    # Two versions in a row never have the same content.
    assert all(one.digest != other.digest for one, other in pairwise(found))


@pytest.mark.slow
def test_one_move_wins_each_generation(url: str) -> None:
    with Registry.open(url) as registry:
        pushed(registry, "d1")
        pushed(registry, "d2")
        counts = together(url, move_many, processes=2)
        moves = registry.alias_moves("handbook", limit=1000)[::-1]
        now = registry.alias("handbook", "dev", "production")
    assert sum(won + lost for won, lost in counts) == 64
    assert [one.generation for one in moves] == list(range(1, sum(won for won, _ in counts) + 1))
    assert [one.from_deployment for one in moves] == [None, *(one.to_deployment for one in moves[:-1])]
    assert now is not None
    assert (now.generation, now.deployment.id) == (len(moves), moves[-1].to_deployment)


def test_of_many_swaps_with_one_expectation_one_wins(registry: Registry) -> None:
    goals = [pushed(registry, f"d{number}") for number in range(12)]

    def move(to: int) -> bool:
        try:
            registry.move_alias("handbook", "dev", "production", to=to, expected=None, by=str(to), reason="")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(len(goals)) as pool:
        assert sum(pool.map(move, [goal.id for goal in goals])) == 1
    assert len(registry.alias_moves("handbook")) == 1


@pytest.mark.slow
def test_fences_never_repeat(url: str) -> None:
    Registry.open(url).close()
    every = together(url, fences, processes=2)
    assert all(got == sorted(got) for got in every)
    assert sorted(fence for got in every for fence in got) == list(range(1, 5 * 8 + 1))


def test_a_forked_child_goes_on_with_connections_of_its_own(registry: Registry) -> None:
    registry.record_version(new_version("d0"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            registry.record_version(new_version("child"))
            code = 0
        finally:
            os._exit(code)
    registry.record_version(new_version("parent"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {one.digest for one in registry.versions("handbook")} == {"d0", "child", "parent"}
