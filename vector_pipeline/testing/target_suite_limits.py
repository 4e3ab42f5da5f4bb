"""Laws of what is declared: it is taken to the last record, byte and hit, and refused beyond; and of what outlives a namespace."""

import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.errors import ConflictError, InputError
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

_AWKWARD: dict[str, Any] = {"tags": [f"tag {n}" for n in range(20)], "none": None, "deep": {"a": [1, None]}, "n": 2**60}
_MANY = 20_000
"""More than that is not worth a test's time."""


class LimitLaws:
    """Mixed into ``TargetConformance``."""

    def test_a_full_batch_is_taken(self, space: Namespace) -> None:
        limits = space.target.capabilities
        rows = min(limits.max_batch_records, _MANY)
        ids = [f"d#{index:06d}" for index in range(rows)]
        records = make_records(ids, metadata=[_AWKWARD] * rows)
        while records.nbytes > limits.max_batch_bytes:
            records = records.slice(0, records.num_rows // 2)
        receipt = space.upsert(records)
        assert receipt.records == records.num_rows
        state = space.target.describe(space.name)
        assert state is not None
        assert state.records == records.num_rows
        last = records["id"][-1].as_py()
        assert space.fetched([last])[last]["metadata"] == _AWKWARD

    def test_a_batch_of_too_many_bytes_is_refused_whole(self, space: Namespace) -> None:
        limits = space.target.capabilities
        if limits.max_batch_bytes > 64_000_000:
            pytest.skip("batches may be larger than a test should make")
        text = "x" * min(20_000, limits.max_batch_bytes // 4)
        rows = limits.max_batch_bytes // len(text) + 1
        if rows > limits.max_batch_records:
            pytest.skip("records are counted before bytes matter")
        with pytest.raises(InputError, match="bytes"):
            space.upsert(make_records([f"d#{index:06d}" for index in range(rows)], text=text))
        assert space.ids() == []

    def test_metadata_to_the_last_byte(self, space: Namespace) -> None:
        limit = space.target.capabilities.max_metadata_bytes
        if limit is None:
            pytest.skip("metadata may be as large as it is")
        frame = len('{"k": ""}')
        space.upsert(make_records(["a#1"], metadata=[{"k": "x" * (limit - frame)}]))
        with pytest.raises(InputError, match="bytes"):
            space.upsert(make_records(["b#1"], metadata=[{"k": "x" * (limit - frame + 1)}]))
        assert space.ids() == ["a#1"]

    def test_the_largest_top_k(self, space: Namespace) -> None:
        ids = [f"r#{index:03d}" for index in range(300)]
        space.upsert(make_records(ids))
        most = space.target.capabilities.max_top_k
        for exact in (True, False):
            for version in (None, 5) if space.target.capabilities.numeric_filters else (None,):
                assert sorted(space.hits(unit_vectors(1), top_k=most, exact=exact, version=version)) == ids

    def test_filters_come_before_any_over_fetch(self, space: Namespace) -> None:
        count, wanted = 1_500, 3
        near = unit_vectors(1)[0]
        vectors = np.tile(near, (count, 1)).astype(np.float32)
        vectors[-wanted:] = -near
        ids = [f"r#{index:04d}" for index in range(count)]
        step = min(space.target.capabilities.max_batch_records, 500)
        for begin in range(0, count, step):
            part = slice(begin, begin + step)
            rare = [{"rare": index >= count - wanted} for index in range(begin, min(begin + step, count))]
            space.upsert(make_records(ids[part], vectors[part], metadata=rare))
        for exact in (True, False):
            assert space.hits(near, top_k=wanted, filter={"rare": True}, exact=exact) == ids[-wanted:]

    def test_no_text_is_no_text(self, space: Namespace) -> None:
        records = make_records(["a#1", "b#1"])
        column = records.schema.get_field_index("text")
        space.upsert(records.set_column(column, "text", pa.array([None, ""], pa.string())))
        found = space.fetched(["a#1", "b#1"])
        assert (found["a#1"]["text"], found["b#1"]["text"]) == (None, "")

    def test_marks_are_never_used_again(self, space: Namespace) -> None:
        seen: list[str] = []
        for _ in range(3):
            seen.append(space.create().mark)
            for write in (make_records(["a#1"]), make_records(["b#1"])):
                space.upsert(write)
                seen.append(space.mark())
            space.target.drop_namespace(space.name)
        assert len(set(seen)) == len(seen)

    def test_a_fence_outlives_its_namespace(self, space: Namespace) -> None:
        if not space.target.capabilities.fencing:
            pytest.skip("no fencing")
        space.upsert(make_records(["a#1"]), fence=7)
        space.target.drop_namespace(space.name, fence=7)
        with pytest.raises(ConflictError):
            space.create(fence=6)
        space.create(fence=7)

    def test_nobody_sees_half_a_batch(self, space: Namespace) -> None:
        if not space.target.capabilities.atomic_batches:
            pytest.skip("a batch may be seen while it lands")
        rows = min(space.target.capabilities.max_batch_records, 200)
        counts: set[int] = set()
        done, looked = threading.Event(), threading.Event()

        def read() -> None:
            while not done.is_set():
                counts.add(len(space.ids()))
                looked.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert looked.wait(30)
            for part in range(5):
                space.upsert(make_records([f"p{part}#{index:04d}" for index in range(rows)]))
        finally:
            done.set()
            reader.join()
        assert counts <= {rows * part for part in range(6)}
