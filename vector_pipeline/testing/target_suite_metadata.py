"""Laws of ``set_metadata``: metadata replaced in place, and nothing else."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from vector_pipeline.errors import ConflictError, InputError, NotFoundError
from vector_pipeline.targets.base import LIVE, Target
from vector_pipeline.testing.target_records import (
    NOT_STRICT,
    Namespace,
    make_metadata,
    make_records,
    unit_vectors,
    with_metadata,
)

IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]


class MetadataLaws:
    """Mixed into ``TargetConformance``."""

    @pytest.fixture
    def updating(self, target: Target) -> Namespace:
        if not target.capabilities.updates_metadata:
            pytest.skip("metadata is not updated in place")
        namespace = Namespace(target)
        namespace.create()
        namespace.upsert(make_records(IDS, added_in=2, metadata=[{"old": 1, "lang": "en"}] * len(IDS)))
        return namespace

    def test_metadata_is_replaced_and_nothing_else(self, updating: Namespace) -> None:
        updating.set_removed(IDS[:1], 6)
        before = updating.fetched(IDS)
        changed: dict[str, dict[str, Any]] = {IDS[0]: {"new": [True, "x"]}, IDS[4]: {}, "unknown#1": {"a": 1}}
        updating.set_metadata(make_metadata(changed))
        found = updating.fetched([*IDS, "unknown#1"])
        assert found == {
            name: {**row, "metadata": changed[name], "metadata_hash": "changed"} if name in changed else row
            for name, row in before.items()
        }
        assert updating.ids() == sorted(IDS)

    def test_set_metadata_is_idempotent(self, updating: Namespace) -> None:
        table = make_metadata({name: {"n": index} for index, name in enumerate(IDS)})
        updating.set_metadata(table)
        once = updating.fetched(IDS)
        updating.set_metadata(table)
        assert updating.fetched(IDS) == once
        state = updating.target.describe(updating.name)
        assert state is not None
        assert state.records == len(IDS)

    def test_readers_see_the_new_metadata(self, updating: Namespace) -> None:
        updating.set_metadata(make_metadata({IDS[3]: {"lang": "de"}, IDS[4]: {"lang": "de", "n": 3}}))
        assert updating.hits(unit_vectors(1), top_k=100, filter={"old": 1}).count(IDS[3]) == 0
        assert sorted(updating.hits(unit_vectors(1), top_k=100, filter={"lang": "de"})) == sorted(IDS[3:5])
        hits = updating.target.query(updating.name, unit_vectors(1), top_k=100)[0]
        assert {hit.id: hit.metadata for hit in hits}[IDS[4]] == {"lang": "de", "n": 3}
        if updating.target.capabilities.scans_marks:
            assert {row["id"]: row["metadata_hash"] for row in updating.marks()}[IDS[3]] == "changed"

    def test_marks_change_with_metadata_alone(self, updating: Namespace) -> None:
        first = updating.mark()
        updating.set_metadata(make_metadata({IDS[0]: {"n": 1}}))
        second = updating.mark()
        assert first != second
        before = updating.fetched(IDS)
        assert updating.set_metadata(make_metadata({"unknown#1": {}})).records == 0
        assert updating.set_metadata(make_metadata({})).records == 0
        assert updating.fetched(IDS) == before

    def test_later_writes_win(self, updating: Namespace) -> None:
        updating.set_metadata(make_metadata({name: {"n": 1} for name in IDS}))
        updating.set_removed(IDS[:1], 5)
        updating.upsert(make_records(IDS[1:2], metadata=[{"n": 2}]))
        updating.delete(IDS[2:3])
        updating.set_metadata(make_metadata({IDS[2]: {"n": 3}}))
        found = updating.fetched(IDS[:4])
        assert {name: (row["removed_in"], row["metadata"]) for name, row in found.items()} == {
            IDS[0]: (5, {"n": 1}),
            IDS[1]: (LIVE, {"n": 2}),
            IDS[3]: (LIVE, {"n": 1}),
        }

    def test_bad_metadata(self, updating: Namespace) -> None:
        good = make_metadata({IDS[0]: {"a": 1}, IDS[1]: {"a": 2}})
        calls: list[Callable[[], object]] = [
            lambda: updating.set_metadata(pa.concat_tables([good, good])),
            lambda: updating.set_metadata(good.drop_columns(["metadata"])),
            lambda: updating.set_metadata(good.append_column("text", pa.array(["a", "b"]))),
        ]
        before = updating.fetched(IDS)
        for call in calls:
            with pytest.raises(InputError):
                call()
        for text, why in NOT_STRICT.items():
            with pytest.raises(InputError):
                updating.set_metadata(with_metadata(good, text))
            assert updating.fetched(IDS) == before, why

    def test_set_metadata_keeps_the_fence(self, updating: Namespace) -> None:
        with pytest.raises(NotFoundError):
            Namespace(updating.target).set_metadata(make_metadata({IDS[0]: {}}))
        if updating.target.capabilities.fencing:
            updating.set_metadata(make_metadata({"unknown#1": {}}), fence=4)
            with pytest.raises(ConflictError):
                updating.set_metadata(make_metadata({IDS[0]: {}}), fence=3)
            with pytest.raises(ConflictError):
                updating.delete(IDS, fence=3)
            assert updating.fetched(IDS[:1])[IDS[0]]["metadata"] == {"old": 1, "lang": "en"}
