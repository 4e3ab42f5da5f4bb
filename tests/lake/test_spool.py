"""A query's result beside memory: what was spooled, in its order, in groups of whole shards."""

from pathlib import Path

import pyarrow as pa
import pytest

from vector_pipeline.config import LakeConfig
from vector_pipeline.errors import InputError, VectorPipelineError
from vector_pipeline.lake import spool
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.spool import spooled


@pytest.mark.parametrize("sizes", [[], [1], [5, 1, 1, 9, 2, 3], [40], [3, 40, 3], [10, 10, 10]])
def test_groups_hold_whole_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    monkeypatch.setattr(spool, "GROUP_ROWS", 10)
    monkeypatch.setattr(spool, "_READ_ROWS", 4)
    rows = [shard for shard, size in enumerate(sizes) for _ in range(size)]
    with Lake.open(LakeConfig(), tmp_path) as lake:
        with lake.registered(
            "given", pa.table({"shard": pa.array(rows, pa.int32()), "n": pa.array(range(len(rows)), pa.int64())})
        ):
            lake.run("CREATE TEMP TABLE seen AS FROM given")
        with spooled(lake, "SELECT * FROM seen ORDER BY n") as found:
            groups = list(found)
            again = list(found)
            place = found.path
    assert [n for group in groups for n in group["n"].to_pylist()] == list(range(len(rows)))
    assert [group.num_rows for group in again] == [group.num_rows for group in groups]
    shards = [set(group["shard"].to_pylist()) for group in groups]
    assert sum(map(len, shards)) == len({*rows}), "a shard is in one group"
    assert all(group.num_rows >= 10 for group in groups[:-1])
    assert max((group.num_rows for group in groups), default=0) <= 10 + 4 + max([0, *sizes])
    assert not place.exists()


def test_what_cannot_be_asked_is_an_error_of_ours(tmp_path: Path) -> None:
    with (
        Lake.open(LakeConfig(), tmp_path) as lake,
        pytest.raises(VectorPipelineError),
        spooled(lake, "SELECT * FROM nowhere"),
    ):
        raise InputError("not reached")
