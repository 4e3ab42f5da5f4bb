"""The law of collection, over histories nobody thought of: nothing visible at a kept version goes, and everything else does."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.retention.conftest import DATASET, LINE, MakeWorld, World
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.garbage import garbage_of
from vector_pipeline.release.registry import DeploymentStatus
from vector_pipeline.release.retention import expire_versions, kept
from vector_pipeline.targets.base import LIVE, MARK_SCHEMA
from vector_pipeline.testing.target_records import SPACE

MARKS = st.tuples(
    st.sampled_from([SPACE, "another"]),
    st.one_of(st.none(), st.integers(-1, 9)),
    st.one_of(st.none(), st.just(LIVE), st.integers(0, 10)),
)
FAST = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@FAST
@given(st.lists(MARKS, max_size=30), st.sets(st.integers(1, 8), min_size=1), st.integers(1, 9))
def test_garbage_is_what_no_kept_version_sees(
    lake: Lake, marks: list[tuple[str, int | None, int | None]], versions: set[int], newest: int
) -> None:
    rows = [
        {"id": f"{n:03}", "document_id": f"d{n}", "content_hash": "c", "metadata_hash": "m", "space": space,
         "added_in": added, "removed_in": removed}
        for n, (space, added, removed) in enumerate(marks)
    ]  # fmt: skip
    with lake.registered("marks", pa.Table.from_pylist(rows, schema=MARK_SCHEMA)):
        found = set(garbage_of(lake, "marks", space=SPACE, kept=versions, newest=newest).ids.to_pylist())
    for row in rows:
        added, removed = row["added_in"], row["removed_in"]
        marked = added is not None and removed is not None
        seen = marked and any(added <= version < removed for version in versions)
        ours = marked and row["space"] == SPACE and added <= newest
        closed = marked and removed <= min(versions)
        assert (row["id"] in found) == ((ours or closed) and not seen), row


WORDS = st.sets(st.sampled_from("abcdefgh"), min_size=1).map(lambda words: "".join(sorted(words)))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), WORDS),
        st.tuples(st.just("push"), WORDS),
        st.tuples(st.just("kill"), WORDS, st.integers(0, 4)),
        st.tuples(st.just("new line"), WORDS),
        st.tuples(st.just("point"), st.sampled_from(["staging", "production"]), st.integers(0, 9)),
        st.tuples(st.just("pin"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("expire")),
        st.tuples(st.just("collect")),
    ),
    min_size=4,
    max_size=18,
)


@pytest.mark.slow
@settings(FAST, max_examples=12)
@given(st.integers(1, 3), STEPS)
def test_every_kept_version_reads_back_whatever_was_collected(
    make_world: MakeWorld, keep: int, steps: list[tuple[Any, ...]]
) -> None:
    world = make_world(keep=keep)
    history = History(world)
    for name, *arguments in [*steps, ("collect",), ("push", "abc"), ("collect",)]:
        history.steps[name](*arguments)
        history.check()


class History:
    """What may happen to a world, and what must hold after every step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.line = LINE
        self.steps: dict[str, Callable[..., object]] = {
            "push": lambda words: world.push(words, self.line),
            "kill": lambda words, after: world.push(words, self.line, killed_after=after),
            "new line": self.new_line, "point": self.point, "pin": self.pin, "expire": self.expire,
            "collect": self.collect,
        }  # fmt: skip

    def new_line(self, words: str) -> None:
        self.line = f"{LINE}--v{len(self.world.contents) + 1}"
        self.world.push(words, self.line, strategy="blue-green")

    def point(self, alias: str, which: int) -> None:
        whole = [
            one
            for one in self.world.registry.deployments(DATASET, "dev")
            if one.status == DeploymentStatus.PUSHED
            and self.world.registry.version(DATASET, one.version).expired_at is None
        ]
        if whole:
            self.world.point(whole[which % len(whole)], alias)

    def pin(self, which: int, on: bool) -> None:
        versions = [one for one in self.world.registry.versions(DATASET) if one.expired_at is None]
        if versions:
            self.world.registry.pin(DATASET, versions[which % len(versions)].number, on)

    def expire(self) -> None:
        world = self.world
        before = kept(world.registry, DATASET, None, keep_versions=world.keep, grace_s=0)
        done = expire_versions(world.registry, DATASET, keep_versions=world.keep, grace_s=0)
        assert not set(done.expired) & before.versions
        after = kept(world.registry, DATASET, None, keep_versions=world.keep, grace_s=0)
        assert after.versions == before.versions, "what is kept does not depend on what expired"

    def collect(self) -> None:
        world = self.world
        before = kept(world.registry, DATASET, "dev", keep_versions=world.keep, grace_s=0)
        world.collect()
        after = kept(world.registry, DATASET, "dev", keep_versions=world.keep, grace_s=0)
        assert after.deployments == before.deployments
        assert world.plan().empty, "one run collects all of it"
        for one in world.registry.deployments(DATASET, "dev"):
            if one.id not in before.deployments:
                assert one.status == DeploymentStatus.RETIRED

    def check(self) -> None:
        """Every version that may still be read reads back, with its vectors, each word once; every alias serves."""
        world = self.world
        held = kept(world.registry, DATASET, "dev", keep_versions=world.keep, grace_s=0).deployments
        for one in world.registry.deployments(DATASET, "dev"):
            if one.id in held and one.status == DeploymentStatus.PUSHED:
                assert world.read(one.version, one.namespace) == sorted(world.contents[one.version])
        for alias in world.registry.aliases(DATASET):
            assert alias.deployment.status == DeploymentStatus.PUSHED


class Life:
    """Of a process that is killed at its n-th breath: from then on nothing that it does reaches anybody."""

    def __init__(self, breaths: int) -> None:
        self.left = breaths

    def breathe(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def of(self, part: object) -> Any:
        life = self

        class Mortal:
            def __getattr__(self, name: str) -> Any:
                value = getattr(part, name)
                if not callable(value) or name == "scan":
                    return value

                def breathing(*arguments: Any, **named: Any) -> Any:
                    life.breathe()
                    answer = value(*arguments, **named)
                    life.breathe()
                    return answer

                return breathing

        return Mortal()


class Killed(BaseException):
    """As SIGKILL: nobody handles it."""


def _history(world: World) -> None:
    """A line to shorten, with an alias, a push that died and one that superseded it; a line to drop; a line that stays."""
    world.push("xyz", f"{LINE}--v1", strategy="blue-green")
    first = world.push("abcdefg")
    world.push("bcdefg")
    world.push("hi", killed_after=3)
    world.point(world.push("efgk"))
    world.push("fgkl")
    assert world.registry.deployment(first.id).status == DeploymentStatus.PUSHED


def _end(world: World) -> object:
    statuses = [(one.namespace, one.version, one.status.value) for one in world.registry.deployments(DATASET)]
    rows = {name: world.rows(name) for name in world.target.namespaces()}
    return statuses, rows, world.registry.pushes(DATASET, status="open")  # type: ignore[arg-type]


@pytest.mark.slow
def test_killed_at_every_breath_and_run_again_it_ends_as_undisturbed(make_world: MakeWorld) -> None:
    before = make_world()
    _history(before)
    undisturbed = make_world(like=before)
    undisturbed.collect()
    wanted, breaths = _end(undisturbed), 0
    while True:
        world = make_world(like=before)
        life = Life(breaths)
        doomed = World(life.of(world.registry), world.lake, life.of(world.target), keep=1, grace=0)
        try:
            doomed.collect()
            break
        except Killed:
            pass
        assert world.read(5) == list("efgk")
        assert world.read(6) == list("fgkl")
        world.collect()
        assert _end(world) == wanted, f"killed at breath {breaths}"
        breaths += 1
    assert breaths > 60, "it did much less than it should have had to"
