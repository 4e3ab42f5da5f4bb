"""Laws of writing: idempotence, replacement, intervals, deletion, fences, limits, namespaces."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.targets.base import LIVE, Target, WriteReceipt
from vector_pipeline.testing.target_records import (
    DIMENSION,
    NOT_STRICT,
    Namespace,
    make_records,
    unit_vectors,
    with_metadata,
)

IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]


class WriteLaws:
    """Mixed into ``TargetConformance``."""

    def reopen(self, target: Target) -> Target | None:
        raise NotImplementedError

    def raw(self, target: Target, namespace: str) -> list[str] | None:
        raise NotImplementedError

    @pytest.fixture
    def space(self, target: Target) -> Namespace:
        """A fresh cosine namespace."""
        namespace = Namespace(target)
        namespace.create()
        return namespace

    def test_upsert_is_idempotent(self, space: Namespace) -> None:
        records = make_records(IDS)
        space.upsert(records)
        once = (space.ids(), space.fetched(IDS))
        space.upsert(records)
        assert (space.ids(), space.fetched(IDS)) == once
        state = space.target.describe(space.name)
        assert state is not None
        assert state.records == len(IDS)

    def test_upsert_replaces_the_whole_record(self, space: Namespace) -> None:
        space.upsert(make_records(IDS, metadata=[{"old": 1, "n": 1}] * len(IDS)))
        vector = unit_vectors(1, seed=9)
        space.upsert(make_records(IDS[:1], vector, added_in=5, removed_in=7, metadata=[{"new": 2}], text="other"))
        found = space.fetched(IDS)
        assert len(found) == len(IDS)
        changed = found[IDS[0]]
        assert changed["metadata"] == {"new": 2}
        assert (changed["text"], changed["added_in"], changed["removed_in"]) == ("other", 5, 7)
        assert np.array_equal(np.array(changed["vector"], np.float32), vector[0])
        assert found[IDS[1]]["metadata"] == {"old": 1, "n": 1}

    def test_what_is_written_is_there(self, space: Namespace, target: Target) -> None:
        space.upsert(make_records(IDS))
        other = self.reopen(target)
        if other is not None:
            assert [row for batch in other.scan(space.name) for row in batch.column("id").to_pylist()] == sorted(IDS)
            other.close()
        raw = self.raw(target, space.name)
        if raw is not None:
            assert sorted(raw) == sorted(IDS)

    def test_set_removed_closes_and_reopens(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        space.set_removed([*IDS[:3], "unknown#1"], 4)
        assert {name: row["removed_in"] for name, row in space.fetched(IDS).items()} == {
            name: 4 if name in IDS[:3] else LIVE for name in IDS
        }
        space.set_removed(IDS[:2], LIVE)
        space.set_removed(IDS[2:3], 6)
        found = space.fetched(IDS[:3])
        assert [found[name]["removed_in"] for name in IDS[:3]] == [LIVE, LIVE, 6]
        assert found[IDS[0]]["text"] == f"text of {IDS[0]}"

    def test_an_upsert_after_a_closing_wins(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        space.set_removed(IDS[:1], 4)
        space.upsert(make_records(IDS[:1], added_in=8))
        assert space.fetched(IDS[:1])[IDS[0]]["removed_in"] == LIVE

    def test_delete(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        space.delete([*IDS[:4], "unknown#1"])
        space.delete(IDS[:4])
        assert space.ids() == sorted(IDS[4:])
        space.upsert(make_records(IDS[:1]))
        assert space.ids() == sorted([IDS[0], *IDS[4:]])

    def test_purge_changes_nothing_that_is_seen(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        space.delete(IDS[:4])

        def seen() -> object:
            state = space.target.describe(space.name)
            assert state is not None
            return state.mark, state.records, space.ids(), space.fetched(IDS), space.hits(unit_vectors(1))

        before = seen()
        for _ in range(2):
            space.target.purge(space.name)
            assert seen() == before
        space.upsert(make_records(IDS[:1]))
        assert space.ids() == sorted([IDS[0], *IDS[4:]])

    def test_empty_writes(self, space: Namespace) -> None:
        assert space.upsert(make_records([])).records == 0
        assert space.set_removed([], 4).records == 0
        assert space.delete([]).records == 0
        assert space.ids() == []

    def test_marks_follow_writes(self, space: Namespace) -> None:
        seen = []
        writes: list[Callable[[], WriteReceipt]] = [
            lambda: space.upsert(make_records(IDS)),
            lambda: space.set_removed(IDS[:1], 4),
            lambda: space.delete(IDS[1:2]),
        ]
        for write in writes:
            write()
            state = space.target.describe(space.name)
            assert state is not None
            again = space.target.describe(space.name)
            assert again is not None
            assert again.mark == state.mark
            seen.append(state.mark)
        assert len(set(seen)) == len(seen)

    def test_ensure_is_idempotent_and_refuses_a_difference(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        assert space.create().records == len(IDS)
        metric = next((name for name in sorted(space.target.capabilities.metrics) if name != space.spec.metric), None)
        changes: list[dict[str, object]] = [{"dimension": 16}, {"space": "f" * 16}]
        if metric is not None:
            changes.append({"metric": metric})
        for change in changes:
            with pytest.raises(RefusedError, match=next(iter(change))):
                space.target.ensure_namespace(replace(space.spec, **change))  # type: ignore[arg-type]
        assert len(space.ids()) == len(IDS)

    def test_drop(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        before = space.target.describe(space.name)
        assert before is not None
        assert space.name in space.target.namespaces()
        space.target.drop_namespace(space.name)
        space.target.drop_namespace(space.name)
        assert space.target.describe(space.name) is None
        assert space.name not in space.target.namespaces()
        after = space.create()
        assert after.records == 0
        assert after.mark != before.mark
        assert space.ids() == []

    def test_an_unknown_namespace(self, target: Target) -> None:
        ghost = Namespace(target)
        assert target.describe(ghost.name) is None
        calls = (
            lambda: ghost.upsert(make_records(IDS)),
            lambda: ghost.set_removed(IDS, 3),
            lambda: ghost.delete(IDS),
            lambda: ghost.ids(),
            lambda: ghost.fetched(IDS),
            lambda: ghost.hits(unit_vectors(1)),
        )
        for call in calls:
            with pytest.raises(NotFoundError, match=ghost.name):
                call()

    def test_an_old_fence_is_refused(self, space: Namespace) -> None:
        if not space.target.capabilities.fencing:
            pytest.skip("no fencing")
        space.upsert(make_records(IDS[:2]), fence=5)
        space.upsert(make_records(IDS[2:3]), fence=5)
        space.delete(["unknown#1"], fence=7)
        calls = (
            lambda: space.upsert(make_records(IDS), fence=6),
            lambda: space.set_removed(IDS, 3, fence=6),
            lambda: space.delete(IDS, fence=0),
            lambda: space.create(fence=6),
            lambda: space.target.drop_namespace(space.name, fence=6),
        )
        for call in calls:
            with pytest.raises(ConflictError):
                call()
        assert space.ids() == sorted(IDS[:3])
        space.delete(IDS[:1], fence=7)

    def test_limits(self, space: Namespace) -> None:
        limits = space.target.capabilities
        if limits.max_batch_records <= 200_000:
            with pytest.raises(InputError):
                space.upsert(make_records([f"d#{index}" for index in range(limits.max_batch_records + 1)]))
        longest = "i" * limits.max_id_bytes
        space.upsert(make_records([longest]))
        for bad in ("i" * (limits.max_id_bytes + 1), "", "naïve"):
            with pytest.raises(InputError):
                space.upsert(make_records([bad]))
        assert space.ids() == [longest]

    def test_bad_records(self, space: Namespace) -> None:
        poisoned = unit_vectors(2)
        poisoned[1, 3] = np.nan
        infinite = unit_vectors(2)
        infinite[0, 0] = np.inf
        records = make_records(IDS[:2])
        bad = (
            make_records(IDS[:2], unit_vectors(2, dimension=DIMENSION + 1)),
            make_records(IDS[:2], poisoned),
            make_records(IDS[:2], infinite),
            make_records([IDS[0], IDS[0]]),
            make_records(IDS[:1], metadata=[{"vp_added_in": 1}]),
            *(with_metadata(records, text) for text in NOT_STRICT),
            records.drop_columns(["text"]),
            records.append_column("more", pa.array([1, 2])),
        )
        for table in bad:
            with pytest.raises(InputError):
                space.upsert(table)
        with pytest.raises(RefusedError):
            space.upsert(records.set_column(5, "space", pa.array(["f" * 16] * 2)))
        assert space.ids() == []
