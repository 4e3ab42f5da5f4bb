"""Which line takes a version, what it costs, and what a saved plan is worth."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from tests.release.conftest import MakeWorld
from tests.release.world import World, prices
from vector_pipeline.errors import ConflictError, InputError, RefusedError, UnavailableError, UnknownOutcomeError
from vector_pipeline.release.plan import Action, Plan, StageKind
from vector_pipeline.release.planning import require_place
from vector_pipeline.release.registry import Outcome, PushStatus
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.testing.memory_target import MemoryTarget

EIGHT = dict.fromkeys(range(8), 1)


def kinds(plan: Plan) -> list[str]:
    return [stage.kind.value for stage in plan.stages]


def test_a_small_change_goes_on_and_a_large_one_begins_a_line(world: World) -> None:
    first = world.push(world.version(EIGHT)).plan
    assert (first.strategy, first.why) == ("blue-green", "nothing of this space was pushed here before")
    small = world.plan(world.version({**EIGHT, 20: 1}))
    assert (small.strategy, small.namespace) == ("versioned", first.namespace)
    assert [one.strategy for one in small.alternatives] == ["versioned", "blue-green"]
    assert small.why.startswith("cheaper: 1 records")
    large = world.plan(world.version(dict.fromkeys(range(30, 38), 1)))
    assert (large.strategy, large.namespace) == ("blue-green", f"{first.namespace}--v3")
    assert "go on with" in large.why


def test_prices_decide_where_there_are_any(world: World) -> None:
    world.push(world.version(EIGHT))
    changed = world.version({**EIGHT, 0: 2, 1: 2})
    kept = prices(per_gb_month=1)
    assert world.plan(changed, prices=kept).cost.currency == "USD"
    assert world.plan(changed, prices=kept).strategy == "versioned"


def test_pennies_begin_no_line(world: World) -> None:
    """Where closing costs more than writing all anew, but hardly anything: what is reviewed is what changed."""
    first = world.push(world.version(EIGHT)).plan
    changed = world.version({**EIGHT, 0: 2, 1: 2, 2: 2, 3: 2, 4: 2})
    for money, strategy in ((1.0, "versioned"), (1_000_000.0, "blue-green")):
        plan = world.plan(changed, prices=prices(per_million_records=money))
        assert plan.strategy == strategy, plan.why
    assert "less than 1.00 USD" in world.plan(changed, prices=prices(per_million_records=1.0)).why
    assert world.plan(changed, prices=prices(per_million_records=1.0)).namespace == first.namespace


@pytest.mark.slow
def test_a_line_of_mostly_closed_records_is_not_continued(world: World) -> None:
    for begin in range(5):
        plan = world.push(world.version(dict.fromkeys(range(begin * 3, begin * 3 + 8), 1)), "versioned").plan
    chosen = world.plan(world.version(dict.fromkeys(range(15, 23), 1)))
    assert chosen.strategy == "blue-green"
    assert chosen.why == f"65% of {plan.namespace} would be closed records"


@pytest.mark.slow
def test_metadata_and_what_returns_send_no_vector_where_the_target_derives(make_world: MakeWorld) -> None:
    for derives in (True, False):
        world = make_world(derives=derives)
        world.push(world.version({0: 1, 1: 1, 2: 1}))
        world.push(world.version({0: 1, 1: 1}), "versioned")
        plan = world.push(world.version({0: 2, 1: 1, 2: 1}), "versioned").plan
        assert {action: count for action, count in plan.actions.items() if count} == {
            Action.METADATA: 1, Action.RESTORE: 1, Action.UNCHANGED: 1,
        }  # fmt: skip
        assert (plan.vectors == 0) is derives
        assert kinds(plan) == ["ensure-namespace", "derive" if derives else "upsert", "close"]


@pytest.mark.slow
def test_in_place_writes_over_and_deletes(make_world: MakeWorld) -> None:
    for updates in (True, False):
        world = make_world(updates_metadata=updates)
        world.push(world.version({0: 1, 1: 1, 2: 1}), "in-place")
        pushed = world.push(world.version({0: 2, 1: 1, 3: 1}), "in-place")
        assert kinds(pushed.plan)[1:] == ["upsert", *(["set-metadata"] if updates else []), "delete"]
        assert len(world.rows(pushed.deployment.namespace)) == 3
        back = world.push(world.registry.version(world.dataset, 1), "in-place")
        assert world.visible(back.deployment) == world.wanted(1)


def test_what_was_begun_in_a_line_is_finished_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.push(world.version(EIGHT))
    second = world.version({**EIGHT, 9: 1})
    upsert = world.target.upsert

    def lost(*args: object, **options: object) -> object:
        upsert(*args, **options)  # type: ignore[arg-type]
        raise UnknownOutcomeError("no answer")

    def away(*args: object, **options: object) -> object:
        raise UnavailableError("no connection")

    monkeypatch.setattr(world.target, "upsert", lost)
    monkeypatch.setattr(world.target, "fetch", away)
    with pytest.raises(UnknownOutcomeError, match="no answer, and cannot be read back: no connection"):
        world.push(second, "blue-green")
    monkeypatch.undo()
    plan = world.plan(second)
    assert (plan.namespace.rpartition("--")[2], plan.strategy) == ("v2", "blue-green")
    assert plan.why == "it was begun in this line and not finished"
    assert plan.writes == 0, "what landed without an answer is seen"
    pushed = world.push(second)
    assert world.visible(pushed.deployment) == world.wanted(2)


def test_a_push_that_was_killed_is_called_abandoned(world: World) -> None:
    version = world.version(EIGHT)
    namespace = world.plan(version).namespace
    deployment = world.registry.begin_deployment(
        dataset=world.dataset, environment="dev", target="local", namespace=namespace, version=1, space="tiny",
        fingerprint=version.fingerprint, records=8,
    )  # fmt: skip
    killed = world.registry.open_push(deployment.id, {}, 1)
    world.push(version)
    assert world.registry.push(killed).status is PushStatus.ABANDONED


def test_a_stale_plan_says_what_differs(world: World) -> None:
    world.push(world.version(EIGHT))
    second = world.version({**EIGHT, 9: 1})
    saved = Plan.from_json(world.plan(second).to_json())
    with world.fence(saved.namespace) as fence:
        world.target.delete(saved.namespace, pa.array([world.rows(saved.namespace)[0]["id"]]), fence=fence)
    mark = world.mark(saved.namespace)
    with pytest.raises(RefusedError, match=r"^the plan is stale: .*was written to since .*\. Plan again"):
        world.push(second, saved=saved)
    assert world.mark(saved.namespace) == mark
    again = world.plan(second)
    assert world.push(second, saved=again).applied.records == again.writes
    with pytest.raises(RefusedError, match="the plan is stale"):
        world.push(second, saved=again)


def test_a_plan_for_another_place_is_refused_before_anything(world: World) -> None:
    version = world.version(EIGHT)
    saved = world.plan(version)
    others: list[dict[str, Any]] = [
        {"target": "other"}, {"environment": "prod"}, {"dataset": "other"}, {"fingerprint": "f" * 16},
    ]  # fmt: skip
    for other in others:
        (field,) = other
        with pytest.raises(RefusedError, match=f"the plan is for {field} "):
            world.push(version, saved=replace(saved, **other))
    require_place(saved, dataset=world.dataset, environment="dev", target="local")
    with pytest.raises(InputError):
        Plan.from_json({**saved.to_json(), "removal": None})


def test_what_cannot_be_pushed_is_refused_in_one_line(world: World) -> None:
    version = world.version(EIGHT)
    namespace = world.plan(version).namespace
    with world.fence(namespace) as fence:
        world.target.ensure_namespace(NamespaceSpec(namespace, 99, "cosine", version.fingerprint), fence=fence)
    with pytest.raises(RefusedError, match="holds vectors of 99 dimensions"):
        world.push(version)
    second = world.version({0: 1})
    world.registry.mark_expired(world.dataset, [1])
    with pytest.raises(RefusedError, match="was expired"):
        world.push(world.registry.version(world.dataset, 1))
    assert world.registry.deployments(world.dataset) == []
    assert second.number == 2


def test_the_versioned_strategy_needs_a_target_that_filters(make_world: MakeWorld) -> None:
    world = make_world(numeric_filters=False)
    world.push(world.version(EIGHT))
    with pytest.raises(RefusedError, match="cannot filter by number"):
        world.push(world.version({0: 1}), "versioned")
    plan = world.plan(world.version({0: 1, 1: 1}))
    assert (plan.strategy, plan.alternatives[1].possible) == ("blue-green", False)


def test_what_readers_would_lose_is_counted_against_what_they_have(world: World) -> None:
    from vector_pipeline.release.promote import point_staging

    first = world.push(world.version(EIGHT))
    point_staging(world.registry, first.deployment, by="test")
    second = world.version({0: 1})
    with pytest.raises(RefusedError, match=r"would remove 7 of 8 of what is served \(2 whole documents\)"):
        world.push(second, "blue-green", share=0.5, stages=True)
    assert [one.version for one in world.registry.deployments(world.dataset)] == [1]


def test_the_first_failure_stops_the_sending_and_every_outcome_is_known(make_world: MakeWorld) -> None:
    target = MemoryTarget("local", max_batch_records=1, parallel_writes=3)
    world = make_world(target)
    upsert, sent = target.upsert, []

    def fails(namespace: str, records: pa.Table, *, fence: int = 0) -> object:
        sent.append(records["id"][0].as_py())
        if len(sent) == 3:
            raise UnavailableError("the line is down")
        return upsert(namespace, records, fence=fence)

    target.upsert = fails  # type: ignore[assignment,method-assign]
    version = world.version(dict.fromkeys(range(40), 1))
    with pytest.raises(UnavailableError):
        world.push(version, parallel=3)
    (push,) = world.registry.pushes(world.dataset)
    outcomes = [entry.outcome for entry in world.registry.journal(push.id) if entry.step == StageKind.UPSERT]
    assert None not in outcomes
    assert outcomes.count(Outcome.NOT_LANDED) == 1
    assert len(outcomes) < 40
    target.upsert = upsert  # type: ignore[method-assign]
    pushed = world.push(version, parallel=3)
    assert world.visible(pushed.deployment) == world.wanted(1)
    assert pushed.applied.upserted == 40 - outcomes.count(Outcome.LANDED)


def test_an_interrupt_says_how_far_it_came(make_world: MakeWorld) -> None:
    from vector_pipeline.release.push import push_version
    from vector_pipeline.release.wishes import Wish

    world = make_world(max_batch_records=2)
    version = world.version(EIGHT)

    def stop(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        push_version(world.lake, world.registry, version, world.target, Wish("dev", stages=False), on_write=stop)
    (note,) = caught.value.__notes__
    assert note.endswith("of 8 records; what landed stays: run the same command to continue")
    assert world.push(version).plan.why == "it was begun in this line and not finished"


def test_nobody_else_can_write_meanwhile(world: World) -> None:
    version = world.version(EIGHT)
    lease = world.registry.acquire_lease(f"local/{world.plan(version).namespace}", "elsewhere/1", 60)
    with pytest.raises(ConflictError, match="elsewhere/1"):
        world.push(version)
    world.registry.release_lease(lease)


def test_a_push_that_writes_no_vector_goes_on_with_its_line(world: World) -> None:
    world.push(world.version(EIGHT))
    changed = world.version({**EIGHT, **dict.fromkeys(range(6), 2)})
    plan = world.plan(changed)
    assert (plan.strategy, plan.vectors, plan.actions[Action.METADATA]) == ("versioned", 0, 6)
    assert plan.why.startswith("no vector is written: ")
