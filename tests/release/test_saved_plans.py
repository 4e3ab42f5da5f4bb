"""Saved plans: damaged ones, empty ones, and such whose push did not end."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from tests.release.world import World
from vector_pipeline.errors import InputError, RefusedError, VectorPipelineError
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.registry import DeploymentStatus

EIGHT = dict.fromkeys(range(8), 1)
_ODD: list[Any] = [None, 5, -1, 10**30, 1e400, True, "x", "--live", "a/../b", [], [[]], {}, {"a": 1}]


def saved(plan: Plan) -> Plan:
    """As it comes back from a file."""
    return Plan.from_json(json.loads(json.dumps(plan.to_json())))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys: Any = value if isinstance(value, dict) else range(min(1, len(value))) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from _paths(value[key], (*path, key))


def _read(data: Any) -> Plan | None:
    """The plan, or None where it is refused in one line. Nothing else may come of it."""
    try:
        return Plan.from_json(data)
    except InputError as error:
        if "\n" in str(error):
            raise
        return None


@pytest.mark.slow
def test_whatever_is_in_a_plan_file_it_is_applied_or_refused_in_words(world: World) -> None:
    world.push(world.version(EIGHT))
    second = world.version({**EIGHT, 9: 1})
    good = json.loads(json.dumps(world.plan(second).to_json()))
    unread = 0
    for path in list(_paths(good)):
        for odd in _ODD:
            data = copy.deepcopy(good)
            place = data
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = odd
            plan = _read(data)
            if plan is None:
                unread += 1
                continue
            assert saved(plan) == plan
            if path[0] in ("namespace", "version", "strategy", "goal"):
                with pytest.raises(VectorPipelineError):
                    world.push(second, saved=plan)
    assert unread > 200
    for damaged in ({**good, "more": 1}, {**good, "actions": {"add": 1}}, {**good, "documents": {}}):
        with pytest.raises(InputError, match="damaged"):
            Plan.from_json(damaged)


def test_an_empty_saved_plan_touches_nothing(world: World) -> None:
    version = world.version(EIGHT)
    world.push(version)
    pushes = len(world.registry.pushes(world.dataset))
    plan = saved(world.plan(version))
    assert plan.empty
    before = world.registry.deployments(world.dataset)
    again = world.push(version, saved=plan)
    assert (again.plan.empty, again.deployment.status) == (True, DeploymentStatus.PUSHED)
    assert world.registry.deployments(world.dataset) == before
    assert len(world.registry.pushes(world.dataset)) == pushes


def _killed(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_the_same_command_does_what_is_left_of_a_saved_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.push(world.version(EIGHT))
    second = world.version({**dict.fromkeys(range(2, 8), 1), 9: 1, 10: 1})
    plan = saved(world.plan(second, "versioned"))
    for step in ("upsert", "set_removed", "set_removed"):
        with monkeypatch.context() as patch:
            patch.setattr(world.target, step, _killed)
            with pytest.raises(KeyboardInterrupt):
                world.push(second, saved=plan)
    pushed = world.push(second, saved=plan)
    assert (pushed.applied.upserted, pushed.applied.closed) == (0, 2)
    assert world.visible(pushed.deployment) == world.wanted(2)
    with pytest.raises(RefusedError, match="the plan is stale"):
        world.push(second, saved=plan)


@pytest.mark.parametrize("whose", ["another hand", "another push"])
def test_nothing_is_left_of_a_saved_plan_once_somebody_else_wrote(
    world: World, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    world.push(world.version(EIGHT))
    second = world.version({**EIGHT, 9: 1})
    third = world.version({**EIGHT, 9: 1, 10: 1})
    plan = saved(world.plan(third, "versioned"))
    with monkeypatch.context() as patch:
        patch.setattr(world.target, "upsert", _killed)
        with pytest.raises(KeyboardInterrupt):
            world.push(third, saved=plan)
    if whose == "another push":
        world.push(world.version({**EIGHT, 11: 1}), "versioned")
    else:
        with world.fence(plan.namespace) as fence:
            world.target.delete(plan.namespace, pa.array([world.rows(plan.namespace)[0]["id"]]), fence=fence)
    before = world.mark(plan.namespace)
    with pytest.raises(RefusedError):
        world.push(third, saved=plan)
    assert (world.mark(plan.namespace), second.number) == (before, 2)
