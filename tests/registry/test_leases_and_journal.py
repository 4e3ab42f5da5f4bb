"""Leases and their fences; the journal of pushes."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.registry.conftest import pushed
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry import Intent, Lease, Outcome, OutcomeRecord, PushStatus, Registry


def acquire_when_free(registry: Registry, holder: str) -> Lease:
    """Asks until the clock has passed the other's lease: no sleep, the conflict is the signal."""
    while True:
        try:
            return registry.acquire_lease("local/main", holder, 60)
        except ConflictError:
            continue


def test_a_held_lease_names_its_holder_and_its_end(registry: Registry) -> None:
    lease = registry.acquire_lease("local/main", "ann", 60)
    assert (lease.fence, lease.holder) == (1, "ann")
    assert timedelta(seconds=50) < lease.expires_at - datetime.now(UTC) < timedelta(seconds=70)
    assert registry.lease("local/main") == lease
    with pytest.raises(ConflictError, match="local/main is being written by ann, until 2"):
        registry.acquire_lease("local/main", "bob", 60)
    assert registry.acquire_lease("other", "bob", 60).fence == 1


def test_a_fence_only_grows(registry: Registry) -> None:
    first = registry.acquire_lease("local/main", "ann", 60)
    again = registry.acquire_lease("local/main", "ann", 60)
    registry.release_lease(first)  # lost already: leaves the newer one alone
    with pytest.raises(ConflictError):
        registry.acquire_lease("local/main", "bob", 60)
    registry.release_lease(again)
    assert registry.lease("local/main") is None
    released = registry.acquire_lease("local/main", "bob", 0.001)
    expired = acquire_when_free(registry, "ann")
    assert [first.fence, again.fence, released.fence, expired.fence] == [1, 2, 3, 4]


def test_a_lost_lease_is_not_renewed(registry: Registry) -> None:
    lease = registry.acquire_lease("local/main", "ann", 60)
    renewed = registry.renew_lease(lease, 120)
    assert renewed.fence == lease.fence
    assert renewed.expires_at > lease.expires_at
    brief = registry.renew_lease(renewed, 0.001)
    # Expired, but nobody took it: its fence is still the largest.
    assert registry.renew_lease(brief, 0.001).fence == lease.fence
    taken = acquire_when_free(registry, "bob")
    with pytest.raises(ConflictError, match="taken by bob"):
        registry.renew_lease(lease, 60)
    registry.release_lease(taken)
    with pytest.raises(ConflictError, match="released"):
        registry.renew_lease(taken, 60)


@pytest.mark.parametrize("mine", ["lake/x", "lake/x/3"], ids=["the whole", "a part"])
def test_what_expired_is_not_renewed_beside_who_took_the_whole_or_a_part(registry: Registry, mine: str) -> None:
    other = {"lake/x": "lake/x/3", "lake/x/3": "lake/x"}[mine]
    lease = registry.acquire_lease(mine, "ann", 0.001)
    registry.acquire_lease("lake/x2", "cid", 60)
    registry.acquire_lease("lake/x/33", "ann", 60)
    acquire_when_free(registry, "dot")  # nobody of these stands in its way
    taken = registry.acquire_lease(other, "bob", 60)
    with pytest.raises(ConflictError, match=rf"the lease on {mine} was lost: it had run out, and bob took {other}\."):
        registry.renew_lease(lease, 60)
    registry.release_lease(taken)
    assert registry.renew_lease(lease, 60).fence == lease.fence
    # One in force is kept: whoever wants the whole waits for its parts, and parts give way to the whole.
    registry.acquire_lease(other, "bob", 60)
    assert registry.renew_lease(lease, 60).fence == lease.fence


def test_a_lease_is_taken_only_from_the_holder_known_to_be_dead(registry: Registry) -> None:
    registry.acquire_lease("local/main", "ann", 60)
    with pytest.raises(ConflictError, match="by ann"):
        registry.acquire_lease("local/main", "bob", 60, instead_of="cid")
    assert registry.acquire_lease("local/main", "bob", 60, instead_of="ann").fence == 2


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf")])
def test_a_lease_needs_a_lifetime(registry: Registry, ttl: float) -> None:
    with pytest.raises(InputError):
        registry.acquire_lease("local/main", "ann", ttl)


def test_the_journal_holds_every_intent_with_its_latest_outcome(registry: Registry) -> None:
    deployment = pushed(registry, "d1")
    push = registry.open_push(deployment.id, {"stages": [1]}, fence=3, run_id="r")
    first = registry.intent(push, "upsert", {"ids": ["a"]})
    second, third = registry.intents(push, [Intent("upsert", {"ids": ["b"]}), Intent("close")])
    assert first < second < third
    registry.outcome(push, first, Outcome.LANDED, {"records": 1})
    registry.outcome(push, second, Outcome.UNKNOWN)
    entries = registry.journal(push)
    assert [(one.intent_id, one.step, one.payload, one.outcome) for one in entries] == [
        (first, "upsert", {"ids": ["a"]}, Outcome.LANDED),
        (second, "upsert", {"ids": ["b"]}, Outcome.UNKNOWN),
        (third, "close", {}, None),
    ]
    assert entries[0].outcome_payload == {"records": 1}
    assert [one.intent_id for one in registry.unsettled(push)] == [second, third]
    with pytest.raises(RefusedError, match="2 unsettled"):
        registry.close_push(push, PushStatus.DONE)
    registry.outcomes(push, [OutcomeRecord(second, Outcome.LANDED), OutcomeRecord(third, Outcome.NOT_LANDED)])
    registry.outcome(push, third, Outcome.LANDED)
    assert registry.unsettled(push) == []
    closed = registry.close_push(push, "done")
    assert (closed.status, closed.plan, closed.fence, closed.run_id) == (PushStatus.DONE, {"stages": [1]}, 3, "r")
    assert closed.closed_at is not None
    assert registry.push(push) == closed


def test_what_landed_is_final_and_a_closed_push_takes_no_more_intents(registry: Registry) -> None:
    deployment = pushed(registry, "d1")
    push, other = (registry.open_push(deployment.id, {}, fence=1) for _ in range(2))
    first, second = registry.intents(push, [Intent("a"), Intent("b")])
    registry.outcome(push, first, Outcome.LANDED, {"n": 1})
    registry.outcome(push, first, Outcome.LANDED, {"n": 2})
    with pytest.raises(ConflictError, match="has landed"):
        registry.outcomes(push, [OutcomeRecord(second, Outcome.LANDED), OutcomeRecord(first, Outcome.UNKNOWN)])
    assert [one.outcome for one in registry.journal(push)] == [Outcome.LANDED, None]
    assert registry.journal(push)[0].outcome_payload == {"n": 1}
    with pytest.raises(NotFoundError, match=f"push {other} has no intent {first}"):
        registry.outcome(other, first, Outcome.LANDED)
    with pytest.raises(InputError, match="two outcomes"):
        registry.outcomes(push, [OutcomeRecord(second, Outcome.LANDED)] * 2)
    registry.close_push(push, PushStatus.FAILED)
    with pytest.raises(RefusedError, match="is closed"):
        registry.intent(push, "c")
    registry.outcome(push, second, Outcome.NOT_LANDED)
    with pytest.raises(InputError):
        registry.close_push(push, PushStatus.OPEN)


def test_pushes_are_listed_newest_first(registry: Registry) -> None:
    dev, prod = pushed(registry, "d1"), pushed(registry, "d1", environment="prod")
    pushes = [registry.open_push(place.id, {}, fence=1) for place in (dev, prod, dev)]
    registry.close_push(pushes[2], PushStatus.ABANDONED)

    def ids(*args: object, **kwargs: object) -> list[int]:
        return [one.id for one in registry.pushes("handbook", *args, **kwargs)]  # type: ignore[arg-type]

    assert ids() == pushes[::-1]
    assert ids("dev") == [pushes[2], pushes[0]]
    assert ids("dev", 1) == [pushes[2]]
    assert ids(status=PushStatus.OPEN) == [pushes[1], pushes[0]]
    assert ids(deployment_id=prod.id) == [pushes[1]]
    for unknown in (registry.push, registry.close_push):
        with pytest.raises(NotFoundError, match="no push 99"):
            unknown(99, *([PushStatus.DONE] if unknown == registry.close_push else []))
    with pytest.raises(NotFoundError):
        registry.open_push(99, {}, fence=1)


def test_a_large_push_costs_few_transactions(registry: Registry) -> None:
    push = registry.open_push(pushed(registry, "d1").id, {}, fence=1)
    ids = registry.intents(push, [Intent("upsert", {"batch": number}) for number in range(2_345)])
    assert [one.payload["batch"] for one in registry.journal(push)] == list(range(2_345))
    assert ids == sorted(ids)
    registry.outcomes(push, [OutcomeRecord(intent, Outcome.LANDED) for intent in reversed(ids)])
    assert registry.unsettled(push) == []
    assert registry.intents(push, []) == []
