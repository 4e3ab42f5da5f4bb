"""Log sequence numbers, and reads that lag behind writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pinecone_server.data_world import Plane, data_plane
from vector_pipeline.testing.pinecone_server.filters import read_filter
from vector_pipeline.testing.pinecone_server.index_store import IndexStore
from vector_pipeline.testing.pinecone_server.namespace import Namespace
from vector_pipeline.testing.pinecone_server.records import VectorShape, read_records
from vector_pipeline.testing.pinecone_server.store import Store

FOREVER = 3600.0


@pytest.fixture
def plane() -> Iterator[Plane]:
    with data_plane() as found:
        yield found


def test_reads_are_stale_until_the_lag_is_over(plane: Plane) -> None:
    plane.put("n", ["a", "b"], [{"k": 1}, {"k": 2}])
    plane.server.knobs.freshness_lag_s = FOREVER
    assert plane.put("n", ["c"]) == 2
    plane.index.update(id="a", set_metadata={"k": 9}, namespace="n")
    plane.index.update(filter={"k": 9}, set_metadata={"seen": True}, namespace="n")
    plane.index.delete(ids=["b"], namespace="n")
    plane.index.upsert(vectors=[("x", [1, 1, 1, 1])], namespace="new")
    assert plane.lsn("n") == 1
    assert plane.ids("n") == ["a", "b"]
    assert plane.index.fetch(ids=["a", "c"], namespace="n").vectors["a"].metadata == {"k": 1.0}
    assert plane.matching("n", {"k": {"$exists": True}}) == ["a", "b"]
    assert list(plane.index.describe_index_stats().namespaces) == ["n"]
    plane.server.knobs.freshness_lag_s = 0
    assert plane.lsn("n") == 5
    assert plane.ids("n") == ["a", "c"]
    assert plane.index.fetch(ids=["a"], namespace="n").vectors["a"].metadata == {"k": 9.0, "seen": True}
    assert plane.index.describe_index_stats().namespaces["new"].vector_count == 1


def test_writes_by_filter_see_what_is_committed(plane: Plane) -> None:
    plane.server.knobs.freshness_lag_s = FOREVER
    plane.put("n", ["a", "b", "c"], [{"k": 1}, {"k": 1}, {"k": 2}])
    assert plane.index.update(filter={"k": 1}, set_metadata={"k": 2}, namespace="n").matched_records == 2
    plane.index.delete(filter={"k": 2}, namespace="n")
    plane.put("n", ["d"])
    assert plane.ids("n") == []
    plane.server.knobs.freshness_lag_s = 0
    assert plane.ids("n") == ["d"]


def test_writes_by_filter_may_be_told_to_see_what_is_indexed(plane: Plane) -> None:
    plane.put("n", ["a", "b", "c"], [{"k": 1}, {"k": 1}, {"k": 1}])
    plane.server.knobs.change({"freshness_lag_s": FOREVER, "filters_see_indexed_only": True})
    plane.put("n", ["a", "late"], [{"k": 2}, {"k": 1}])
    plane.index.delete(ids=["c"], namespace="n")
    # Of the three that reads see, one is gone by now; what is merged into is what is committed.
    assert plane.index.update(filter={"k": 1}, set_metadata={"hit": True}, namespace="n").matched_records == 2
    plane.server.knobs.freshness_lag_s = 0
    found = plane.index.fetch(ids=["a", "b", "c", "late"], namespace="n").vectors
    assert {name: one.metadata for name, one in found.items()} == {
        "a": {"k": 2, "hit": True}, "b": {"k": 1, "hit": True}, "late": {"k": 1},
    }  # fmt: skip
    plane.server.knobs.freshness_lag_s = FOREVER
    plane.put("n", ["later"], [{"hit": True}])
    plane.index.delete(filter={"hit": True}, namespace="n")
    plane.server.knobs.freshness_lag_s = 0
    assert plane.ids("n") == ["late", "later"]


def test_lsns_are_never_used_again(tmp_path: Path) -> None:
    with data_plane(tmp_path) as plane:
        assert [plane.put("n", ["a"]), plane.put("n", ["b"]), plane.put("other", ["a"])] == [1, 2, 1]
        plane.index.delete_namespace(name="n")
        assert plane.lsn("n") == 3
        assert plane.put("n", ["c"]) == 4
        plane.index.delete(delete_all=True, namespace="n")
        plane.index.delete_namespace(name="n")
    with data_plane(tmp_path) as plane:
        assert plane.ids("n") == []
        assert "n" not in plane.index.describe_index_stats().namespaces
        assert plane.put("n", ["d"]) == 7
        assert plane.ids("n") == ["d"]


def test_what_was_not_visible_yet_is_there_after_a_restart(tmp_path: Path) -> None:
    with data_plane(tmp_path, freshness_lag_s=FOREVER) as plane:
        plane.put("n", ["a"])
        assert plane.ids("n") == []
    with data_plane(tmp_path, freshness_lag_s=FOREVER) as plane:
        assert plane.ids("n") == ["a"]
        assert plane.lsn("n") == 1


class Clocked:
    """One namespace of a store whose time is set by hand, and what it must hold after each of its writes."""

    def __init__(self) -> None:
        self.now, self.lag = 0.0, 2.0
        self.store = Store(lag=lambda: self.lag, clock=lambda: self.now)
        self.shape = VectorShape(2, "dotproduct")
        self.index: IndexStore = self.store.create_index("i", {}, self.shape)
        self.namespace: Namespace = self.index.namespace("n")
        self.history: list[tuple[float, dict[str, Any]]] = [(-1.0, {})]

    def write(self, what: str, ids: list[str], value: int) -> None:
        before = dict(self.history[-1][1])
        condition = read_filter({"k": value})
        if what == "upsert":
            rows = [{"id": name, "values": [1.0, value + 1.0], "metadata": {"k": value}} for name in ids]
            lsn = self.namespace.upsert(read_records(rows, self.shape))
            after = before | {name: {"k": value} for name in ids}
        elif what == "delete":
            lsn = self.namespace.delete(ids)
            after = {name: kept for name, kept in before.items() if name not in ids}
        elif what == "delete where":
            lsn = self.namespace.delete_where(condition)
            after = {name: kept for name, kept in before.items() if kept["k"] != value}
        elif what == "update":
            lsn = self.namespace.update(ids[0], np.ones(2, np.float32), {"more": value})
            after = {name: kept | ({"more": value} if name == ids[0] else {}) for name, kept in before.items()}
        elif what == "update where":
            matched, lsn = self.namespace.update_where(condition, {"k": value + 1.0})
            after = {name: {**kept, "k": value + 1} if kept["k"] == value else kept for name, kept in before.items()}
            assert matched == sum(kept["k"] == value for kept in before.values())
        else:
            lsn, after = self.namespace.wipe(), {}
        self.history.append((self.now, after))
        assert lsn == len(self.history) - 1

    def check(self) -> None:
        """Reads see the state as of the newest write that is older than the lag."""
        due = [number for number, (at, _) in enumerate(self.history) if at <= self.now - self.lag]
        seen = max(due, default=0)
        found = {match.id: match.metadata for match in self.namespace.fetch(list("abcd"))}
        assert found == self.history[seen][1]
        assert self.namespace.page("", None, 10) == sorted(found)
        matches, lsn = self.namespace.query(np.ones(2, np.float32), 10, None)
        assert (lsn, {match.id for match in matches}) == (seen, set(found))


WRITES = st.sampled_from(["upsert", "upsert", "delete", "delete where", "update", "update where", "wipe"])
STEPS = st.tuples(
    WRITES, st.lists(st.sampled_from("abcd"), min_size=1, unique=True), st.integers(0, 2), st.sampled_from([0, 0.5, 3])
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_every_read_is_a_state_that_once_was(steps: list[tuple[str, list[str], int, float]]) -> None:
    world = Clocked()
    for what, ids, value, pause in steps:
        world.write(what, ids, value)
        world.check()
        world.now += pause
        world.check()
    world.lag = 0
    world.check()
    world.store.close()
