"""Collection deletes what nothing reaches, and nothing else."""

from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pytest

from tests.retention.conftest import DATASET, LINE, MakeWorld, World, records
from vector_pipeline.errors import ConflictError, RefusedError
from vector_pipeline.release.dropping import drop_line
from vector_pipeline.release.journalling import writer
from vector_pipeline.release.promote import rollback_target
from vector_pipeline.release.registry import DeploymentStatus, PushStatus
from vector_pipeline.release.remembering import remembered
from vector_pipeline.release.retention import kept
from vector_pipeline.targets.base import LIVE, WriteReceipt
from vector_pipeline.testing.memory_target import MemoryTarget


def test_what_closed_before_the_oldest_kept_version_goes(world: World) -> None:
    first, second, third = world.push("abc"), world.push("bcd"), world.push("cde")
    world.point(second)
    planned = world.plan()
    (line,) = planned.lines
    assert (line.retire, line.kept, line.records, line.closed, line.drop) == ((first.id,), (2, 3), 1, 1, False)
    assert line.examples == ("a",)
    assert len(world.rows()) == 5, "a plan deletes nothing"
    done = world.collect()
    assert done.records == 1
    assert [world.status(one) for one in (first, second, third)] == ["retired", "pushed", "pushed"]
    assert (world.read(2), world.read(3)) == (list("bcd"), list("cde"))
    assert world.plan().empty
    assert world.collect().empty


def test_what_lived_only_between_kept_versions_goes(world: World) -> None:
    first = world.push("ab")
    world.push("abx")
    world.push("aby")
    world.push("abz")
    world.point(first)
    (line,) = world.collect().lines
    assert (line.kept, line.records, line.closed) == ((1, 4), 2, 0)
    assert (world.read(1), world.read(4)) == (list("ab"), list("abz"))


def test_what_was_abandoned_and_superseded_goes_and_what_can_be_continued_stays(world: World) -> None:
    world.push("ab")
    half = world.push("cdef", killed_after=2)
    assert len(world.rows()) == 4
    assert world.plan().records == 0, "the push can still be continued"
    world.push("abg")
    (line,) = world.collect().lines
    assert half.id in line.retire
    assert world.read(3) == list("abg")
    assert sorted(str(row["id"]) for row in world.rows()) == list("abg")


def test_content_that_was_collected_returns_as_new(world: World) -> None:
    world.push("ab")
    world.push("b")
    world.collect()
    assert [row["id"] for row in world.rows()] == ["b"]
    world.push("ab")
    assert world.read(3) == list("ab")
    assert sorted(str(row["id"]) for row in world.rows()) == ["a", "b"]


def test_a_line_without_anything_reachable_is_dropped_and_forgotten(world: World) -> None:
    first = world.push("ab")
    second = world.push("bc", f"{LINE}--v2", strategy="blue-green")
    world.point(second)
    dropped, stays = world.collect().lines
    assert (dropped.namespace, dropped.drop, dropped.records) == (LINE, True, 2)
    assert stays.empty
    assert world.target.namespaces() == [f"{LINE}--v2"]
    assert world.status(first) == "retired"
    assert world.registry.namespace_record("dev", world.target.name, LINE) is None
    assert [line.namespace for line in world.plan().lines] == [f"{LINE}--v2"]
    (push,) = world.registry.pushes(DATASET)
    assert (push.status, push.plan["goal"]) == (PushStatus.DONE, "collect")


def test_a_dropped_line_can_be_begun_again(world: World) -> None:
    world.push("ab")
    world.push("bc", f"{LINE}--v2", strategy="blue-green")
    world.collect()
    again = world.push("cd")
    assert world.read(3) == list("cd")
    assert world.status(again) == "pushed"


def test_in_place_lines_are_only_ever_dropped_whole(world: World) -> None:
    live = f"{LINE}--live"
    first = world.push("ab", live, strategy="in-place")
    second = world.push("bc", live, strategy="in-place")
    assert world.status(first) == "replaced"
    (line,) = world.collect().lines
    assert line.empty
    assert len(world.rows(live)) == 3
    world.push("cd", f"{LINE}--v3", strategy="blue-green")
    world.point(second)
    assert not any(line.drop for line in world.collect().lines), "an alias serves it"


def test_pins_aliases_and_the_grace_of_readers_keep(make_world: MakeWorld) -> None:
    world = make_world(keep=1, grace=3600)
    ones = [world.push(words) for words in ("ab", "bc", "cd", "de", "ef")]
    world.registry.pin(DATASET, 1)
    world.point(ones[1])
    world.point(ones[2])
    (line,) = world.collect().lines
    assert (line.kept, line.versions) == ((1, 2, 3, 5), (4,))
    for number in line.kept:
        assert world.read(number) == sorted(world.contents[number])
    world.grace = 0
    world.registry.pin(DATASET, 1, False)
    (line,) = world.collect().lines
    assert line.kept == (2, 3, 5), "a plain rollback goes to 2"
    world.point(ones[1])
    assert rollback_target(world.registry, DATASET, "dev", None)[1].version == 3
    told = kept(world.registry, DATASET, "dev", keep_versions=1, grace_s=0).why
    assert told[3] == ["a rollback of production in dev goes back to it"]


def test_what_another_environment_has_not_retired_stays(world: World) -> None:
    ours = world.push("ab")
    theirs = world.begin(1, environment="other")
    world.registry.finish_deployment(theirs.id, DeploymentStatus.PUSHED, "digest1")
    world.push("bc")
    world.point(theirs, environment="other")
    (line,) = world.collect().lines
    assert (world.status(ours), world.status(theirs), line.kept) == ("retired", "pushed", (1, 2))
    assert world.read(1) == list("ab")


def test_a_line_that_somebody_writes_is_skipped(world: World) -> None:
    first = world.push("ab")
    world.push("bc")
    held = world.registry.acquire_lease(f"{world.target.name}/{LINE}", "elsewhere/1", 60)
    (line,) = world.collect().lines
    assert line.skipped is not None
    assert "elsewhere/1" in line.skipped
    assert (world.status(first), len(world.rows()), world.collect().records) == ("pushed", 3, 0)
    world.registry.release_lease(held)
    assert world.collect().records == 1


def test_an_alias_that_moves_between_the_look_and_the_deed_wins(world: World) -> None:
    first = world.push("ab")
    world.push("bc")

    class Late:
        """The registry, and somebody who promotes at the last moment."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.registry, name)

        def retire_deployments(self, ids: list[int], *, grace_s: float) -> list[int]:
            world.point(first)
            return registry.retire_deployments(ids, grace_s=grace_s)

    registry, late = world.registry, Late()
    planned = World(late, world.lake, world.target, keep=1, grace=0)  # type: ignore[arg-type]
    (line,) = planned.collect().lines
    assert line.skipped is not None
    assert "alias production points at" in line.skipped
    assert world.read(1) == list("ab")


def test_what_no_version_explains_is_left_to_drift(world: World) -> None:
    world.push("ab")
    world.push("bc")
    world.target.upsert(LINE, records({"later": "l"}, 99, LIVE), fence=world.next_fence())
    world.target.upsert(LINE, records({"visible": "v"}, 0, LIVE), fence=world.next_fence())
    world.target.upsert(LINE, records({"between": "w"}, 0, 1), fence=world.next_fence())
    assert world.collect().records == 2, "what was closed by us, and what nobody can see"
    assert {row["id"] for row in world.rows()} == {"b", "c", "later", "visible"}


def test_the_state_is_recorded_as_ours_only_where_it_was(world: World) -> None:
    name = world.target.name
    world.push("ab")
    world.push("bc")
    world.collect()
    state, known = world.target.describe(LINE), world.registry.namespace_record("dev", name, LINE)
    assert state is not None
    assert known is not None
    assert (known.mark, known.records) == (state.mark, state.records)
    world.push("cd")
    world.target.upsert(LINE, records({"hand": "h"}, 1, LIVE), fence=world.next_fence())
    before = world.registry.namespace_record("dev", name, LINE)
    assert world.collect().records > 0
    assert world.registry.namespace_record("dev", name, LINE) == before, "a foreign hand must not be hidden"


def test_the_only_way_to_drop_a_namespace_refuses(make_world: MakeWorld) -> None:
    world = make_world(keep=1, grace=3600)
    first, second = world.push("ab"), world.push("bc")
    registry, target = world.registry, world.target
    with writer(registry, target, LINE) as held:
        with pytest.raises(RefusedError, match="not in the registry: nobody knows who reads it"):
            drop_line(registry, target, "strange", [], held=held, grace_s=0)
        with pytest.raises(RefusedError, match=r"holds v1 of words for dev, which is pushed and not retired"):
            drop_line(registry, target, LINE, [second.id], held=held, grace_s=0)
        world.point(first)
        world.point(second)
        with pytest.raises(
            RefusedError, match=r"alias production of words in dev points into \(v2\): it is not dropped"
        ):
            drop_line(registry, target, LINE, [first.id, second.id], held=held, grace_s=0)
    third = world.push("cd", f"{LINE}--v3", strategy="blue-green")
    world.point(third)
    with writer(registry, target, LINE) as held, pytest.raises(RefusedError, match="left deployment"):
        drop_line(registry, target, LINE, [first.id, second.id], held=held, grace_s=3600)
    assert [world.status(one) for one in (first, second)] == ["pushed", "pushed"]
    assert world.read(2) == list("bc")


def test_the_alias_of_another_environment_holds_a_namespace(world: World) -> None:
    ours = world.push("ab")
    theirs = world.begin(1, environment="other")
    world.registry.finish_deployment(theirs.id, DeploymentStatus.PUSHED, "digest1")
    world.point(theirs, environment="other")
    with (
        writer(world.registry, world.target, LINE) as held,
        pytest.raises(RefusedError, match="of words in other points"),
    ):
        drop_line(world.registry, world.target, LINE, [ours.id, theirs.id], held=held, grace_s=0)
    assert world.read(1) == list("ab")


def test_a_line_taken_over_meanwhile_is_not_dropped(world: World) -> None:
    first = world.push("ab")
    world.push("bc", f"{LINE}--v2", strategy="blue-green")
    with writer(world.registry, world.target, LINE) as held:
        world.registry.acquire_lease(f"{world.target.name}/{LINE}", "elsewhere/1", 60, instead_of=_holder(world))
        world.target.ensure_namespace(world.target.describe(LINE).spec, fence=held.fence + 1)  # type: ignore[union-attr]
        with pytest.raises(ConflictError):
            drop_line(world.registry, world.target, LINE, [first.id], held=held, grace_s=0)
    assert world.target.describe(LINE) is not None


def _holder(world: World) -> str:
    lease = world.registry.lease(f"{world.target.name}/{LINE}")
    assert lease is not None
    return lease.holder


def test_what_was_killed_while_it_was_pushed_is_kept_only_while_its_version_is(world: World) -> None:
    beside = f"{LINE}--v1"
    dead = world.push("ab", beside, strategy="blue-green", killed_after=1)
    assert not any(line.retire for line in world.collect().lines), "it can be finished"
    world.push("bc")
    held = world.registry.acquire_lease(f"{world.target.name}/{beside}", "elsewhere/1", 60)
    assert not any(line.retire for line in world.plan().lines), "somebody is at it"
    world.registry.release_lease(held)
    assert [line.namespace for line in world.collect().lines if line.drop] == [beside]
    assert (world.status(dead), beside in world.target.namespaces()) == ("retired", False)


class Meddled(MemoryTarget):
    """``meddle`` happens once, when something was deleted."""

    meddle: Callable[[], object] | None = None

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        done = super().delete(namespace, ids, fence=fence)
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return done


@pytest.mark.parametrize("scans_marks", [True, False])
@pytest.mark.parametrize("meddled", [True, False])
def test_a_hand_that_writes_behind_a_collection_is_not_recorded_as_ours(
    world: World, scans_marks: bool, meddled: bool
) -> None:
    world.push("abc")
    world.point(world.push("bcd"))
    target = Meddled(store=world.target.store, scans_marks=scans_marks)
    hand = MemoryTarget(store=target.store, fencing=False)
    target.meddle = partial(hand.set_removed, LINE, pa.array(["d"]), 1) if meddled else None
    world.target = target
    assert world.collect().records == 1
    known, state = world.registry.namespace_record("dev", target.name, LINE), target.describe(LINE)
    assert known is not None
    assert state is not None
    assert (known.mark == state.mark) is not meddled
    assert (remembered(world.lake, target, LINE, state) is not None) is (not meddled and not scans_marks)


def test_what_a_killed_collection_left_is_ours(world: World) -> None:
    world.push("abcdefg")
    world.point(world.push("g"))
    target = Meddled(store=world.target.store, max_batch_records=2)

    def kill() -> None:
        raise KeyboardInterrupt

    world.target, target.meddle = target, kill
    with pytest.raises(KeyboardInterrupt):
        world.collect()
    assert world.collect().records == 4
    known, state = world.registry.namespace_record("dev", target.name, LINE), target.describe(LINE)
    assert known is not None
    assert state is not None
    assert known.mark == state.mark
