"""Previews in the registry, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.registry.conftest import begin as deploy
from tests.registry.conftest import postgres, postgres_url, record, registry, url  # noqa: F401 (fixtures)
from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.release.registry import Intent, NewFill, PushStatus, Registry, VerdictStatus
from vector_pipeline.release.registry.fills import FillStatus

# ruff: noqa: F811 (fixtures)
HOUR = 3600.0


def begin(registry: Registry, name: str = "pr-1", **named: object) -> int:
    return registry.begin_preview("handbook", "dev", name, ttl_s=HOUR, by="ann", **named)[0].id  # type: ignore[arg-type]


def test_whoever_begins_at_once_begins_one(registry: Registry) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: registry.begin_preview("handbook", "dev", "pr-1", ttl_s=HOUR, by="ann"), range(8))
        )
    assert sum(made for _, made in found) == 1
    assert len({one.held_as for one, _ in found}) == 1
    assert len(registry.previews("handbook", "dev")) == 1


def test_a_name_of_another_dataset_or_environment_is_another(registry: Registry) -> None:
    places = [("handbook", "dev"), ("handbook", "prod"), ("faq", "dev")]
    names = {registry.begin_preview(*place, "pr-1", ttl_s=HOUR, by="ann")[0].held_as for place in places}
    assert len(names) == 3
    with pytest.raises(NotFoundError, match="faq has no preview 'pr-2' in environment dev; it has: pr-1"):
        registry.preview("faq", "dev", "pr-2")


def test_more_than_may_stand_at_once_are_refused(registry: Registry) -> None:
    begin(registry, "pr-1", most=2)
    second = begin(registry, "pr-2", most=2)
    held_as = registry.preview("handbook", "dev", "pr-2").held_as
    with pytest.raises(RefusedError, match="handbook has 2 previews in environment dev"):
        begin(registry, "pr-3", most=2)
    assert begin(registry, "pr-1", most=2)
    registry.end_preview(second, held_as, by="bob", reason="")
    registry.forget_preview(second, held_as, [])
    begin(registry, "pr-3", most=2)


def test_nobody_goes_on_with_one_that_ends(registry: Registry) -> None:
    number = begin(registry)
    registry.require_preview(number)
    held_as = registry.preview("handbook", "dev", "pr-1").held_as
    registry.end_preview(number, held_as, by="bob", reason="closed")
    registry.end_preview(number, held_as, by="reaper", reason="its time was over")
    with pytest.raises(RefusedError, match="preview pr-1 of handbook was taken down by bob"):
        registry.require_preview(number)
    with pytest.raises(ConflictError, match="is being taken down"):
        begin(registry)
    assert [one.id for one in registry.overdue_previews()] == [number]
    gone = registry.forget_preview(number, held_as, [("local", "somewhere")])
    assert (gone.ended_by, gone.reason, gone.places) == ("bob", "closed", [("local", "somewhere")])
    assert registry.overdue_previews() == []
    assert [one.id for one in registry.previews(ended=True)] == [number]
    assert begin(registry) != number


def test_what_was_begun_anew_since_somebody_looked_lives_on(registry: Registry) -> None:
    registry.begin_preview("handbook", "dev", "pr-1", ttl_s=1e-6, by="ann")
    (over,) = registry.overdue_previews()
    registry.begin_preview("handbook", "dev", "pr-1", ttl_s=HOUR, by="ann")
    ended = registry.end_preview(over.id, over.held_as, by="reaper", reason="its time was over", overdue=True)
    assert (ended.lives, ended.reason) == (True, "")
    registry.require_preview(over.id)
    late = registry.begin_preview("handbook", "dev", "pr-2", ttl_s=1e-6, by="ann")[0]
    assert not registry.end_preview(late.id, late.held_as, by="reaper", reason="", overdue=True).lives


def test_its_time_is_the_databases(registry: Registry) -> None:
    over = registry.begin_preview("handbook", "dev", "pr-1", ttl_s=1e-6, by="ann")[0]
    begin(registry, "pr-2")
    assert [one.name for one in registry.overdue_previews()] == ["pr-1"]
    # Begun anew it lives on; a shorter time than it had takes none away.
    registry.begin_preview("handbook", "dev", "pr-1", ttl_s=HOUR, by="ann")
    assert registry.overdue_previews() == []
    registry.begin_preview("handbook", "dev", "pr-1", ttl_s=1e-6, by="ann")
    assert registry.overdue_previews() == []
    assert registry.preview("handbook", "dev", "pr-1").id == over.id


def test_all_of_it_is_forgotten_and_nothing_else(registry: Registry) -> None:
    number = begin(registry)
    held_as = registry.preview("handbook", "dev", "pr-1").held_as
    for dataset in ("handbook", held_as):
        version = record(registry, f"digest of {dataset}", dataset=dataset)
        one = deploy(registry, version, namespace=f"{dataset}--main")
        registry.record_verdict(one.id, "coverage", VerdictStatus.PASSED, digest="d")
        push = registry.open_push(one.id, {"plan": 1}, 1, None)
        registry.note(push, [Intent("upsert", {})], [])
        registry.close_push(push, PushStatus.ABANDONED)
        registry.record_namespace("dev", "local", f"{dataset}--main", dataset=dataset, mark="m", records=1)
        registry.record_fills(dataset, "tiny", "f", [NewFill(shard=0, status=FillStatus.DONE)])
        registry.acquire_lease(f"lake/{dataset}/documents", "me", 60)
        registry.acquire_lease(f"local/{dataset}--main", "me", 60)
    registry.note_preview(number, {"version": 1})
    registry.end_preview(number, held_as, by="ann", reason="")
    for _ in range(2):
        registry.forget_preview(number, held_as, [("local", f"{held_as}--main")])
    assert registry.datasets() == ["handbook"]
    assert registry.deployments(held_as) == []
    assert registry.namespace_record("dev", "local", f"{held_as}--main") is None
    assert registry.fills(held_as, "tiny", "f") == []
    for resource in (f"lake/{held_as}/documents", f"local/{held_as}--main"):
        assert registry.lease(resource) is None
    assert len(registry.deployments("handbook")) == 1
    assert registry.lease("lake/handbook/documents") is not None
    assert registry.lease("local/handbook--main") is not None
    assert registry.previews(ended=True)[0].detail["version"] == 1


def test_the_number_of_another_registrys_preview_ends_nobodys(registry: Registry) -> None:
    number = begin(registry)
    for work in (
        lambda: registry.end_preview(number, "handbook--pr-1--of-another", by="reaper", reason="over"),
        lambda: registry.forget_preview(number, "handbook--pr-1--of-another", []),
    ):
        with pytest.raises(NotFoundError, match="this registry has no preview handbook--pr-1--of-another"):
            work()
    found = registry.preview("handbook", "dev", "pr-1")
    assert (found.lives, found.ended_at) == (True, None)
