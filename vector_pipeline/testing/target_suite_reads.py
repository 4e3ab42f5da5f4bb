"""Laws of reading without a query: scan order, prefixes, fetch, exact round trips."""

from typing import Any

import numpy as np
import pytest

from vector_pipeline.targets.base import LIVE, MARK_SCHEMA
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

AWKWARD: list[dict[str, Any]] = [
    {},
    {"ü": "naïve ☃ 🙂", "q'\"": 'it\'s "x"', "a.b": "\\n\n\t"},
    {"list": ["a", "b"], "yes": True, "no": False, "int": 7, "negative": -2, "real": 0.5},
]


class ReadLaws:
    """Mixed into ``TargetConformance``."""

    def test_scan_is_ascending_and_complete(self, space: Namespace) -> None:
        ids = [f"{index * 7919 % 1000:03d}#{index}" for index in range(500)]
        space.upsert(make_records(ids[:300]))
        space.upsert(make_records(ids[300:]))
        assert space.ids() == sorted(ids)
        batches = list(space.target.scan(space.name, batch_records=100))
        assert len(batches) >= 5
        assert max(batch.num_rows for batch in batches) <= 100
        assert [name for batch in batches for name in batch.column("id").to_pylist()] == sorted(ids)

    def test_scan_tells_marks(self, space: Namespace) -> None:
        if not space.target.capabilities.scans_marks:
            pytest.skip("scan lists ids alone")
        space.upsert(make_records(["b#1", "a#1"], added_in=3))
        space.set_removed(["b#1"], 5)
        for batch in space.target.scan(space.name):
            assert batch.schema.equals(MARK_SCHEMA)
        marks = space.marks()
        assert [(row["id"], row["added_in"], row["removed_in"]) for row in marks] == [("a#1", 3, LIVE), ("b#1", 3, 5)]
        assert marks[0]["document_id"] == "doc a"
        assert marks[0]["content_hash"] == "c-a#1"
        assert marks[0]["metadata_hash"] == "m-a#1"
        assert marks[0]["space"] == space.spec.space

    def test_scan_by_prefix(self, space: Namespace) -> None:
        ids = ["a#1", "a#2", "ab#1", "b#1", "a%#1", "A#1", "a_#1"]
        space.upsert(make_records(ids))
        for prefix in ("a", "a#", "a#2", "a%", "a_", "b", "zz", "a#22"):
            assert space.ids(prefix) == sorted(name for name in ids if name.startswith(prefix)), prefix

    def test_fetch(self, space: Namespace) -> None:
        space.upsert(make_records(["a#1", "b#1", "c#1"]))
        assert set(space.fetched(["a#1", "c#1", "nope", "a#1"])) == {"a#1", "c#1"}
        assert space.fetched([]) == {}
        without = space.fetched(["a#1"], vectors=False)["a#1"]
        assert "vector" not in without
        assert without["text"] == "text of a#1"

    def test_vectors_survive_to_the_last_bit(self, space: Namespace) -> None:
        vectors = unit_vectors(50, seed=3)
        vectors[0, :4] = [1e-38, -1e-30, 0.1, np.nextafter(np.float32(1), np.float32(2))]
        ids = [f"v#{index:02d}" for index in range(50)]
        space.upsert(make_records(ids, vectors))
        found = space.fetched(ids)
        assert np.array_equal(np.array([found[name]["vector"] for name in ids], np.float32), vectors)

    def test_text_and_metadata_survive(self, space: Namespace) -> None:
        ids = ["a#1", "b#1", "c#1"]
        text = "line\nnaïve 日本 🙂 'quoted' \"twice\" %s {{}} \\"
        space.upsert(make_records(ids, metadata=AWKWARD, text=text))
        found = space.fetched(ids)
        assert [found[name]["metadata"] for name in ids] == AWKWARD
        assert {row["text"] for row in found.values()} == {text.format()}
        hits = space.target.query(space.name, unit_vectors(1), top_k=3)[0]
        assert {hit.id: hit.metadata for hit in hits} == dict(zip(ids, AWKWARD, strict=True))
        assert {hit.text for hit in hits} == {text.format()}

    def test_an_empty_namespace_reads_as_empty(self, space: Namespace) -> None:
        assert space.ids() == []
        assert space.fetched(["a#1"]) == {}
        assert space.hits(unit_vectors(1)) == []
        state = space.target.describe(space.name)
        assert state is not None
        assert (state.records, state.spec) == (0, space.spec)
