"""A query's result beside memory: what was spooled, in its order, in groups of whole shards."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from vector_pipeline.config import LakeConfig
from vector_pipeline.errors import InputError, UnavailableError, VectorPipelineError
from vector_pipeline.lake import spool
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.spool import Spool, spooled
from vector_pipeline.processes import machine
from vector_pipeline.targets.pinecone.files import SCHEMA, Folder


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


def test_what_a_killed_process_left_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = (
        "import os\n"
        "from pathlib import Path\n"
        "from vector_pipeline.config import LakeConfig\n"
        "from vector_pipeline.lake.connection import Lake\n"
        "from vector_pipeline.lake.spool import spooled\n"
        "with Lake.open(LakeConfig(), Path('lake')) as lake, spooled(lake, 'SELECT 1 AS shard') as spool:\n"
        "    print(spool.path.parent)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    held = tmp_path / "tmp"
    held.mkdir()
    ended = subprocess.run(
        [sys.executable, "-uc", killed], cwd=tmp_path, env={**os.environ, "TMPDIR": str(held)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    left = Path(ended.stdout.strip())
    assert ended.returncode == -9
    assert (left / "rows.parquet").is_file()
    others = [left.with_name(left.name.replace(machine(), name)) for name in ("elsewhere:1", machine() + "0")]
    for other in others:
        other.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(held))
    with Lake.open(LakeConfig(), tmp_path / "lake") as lake, spooled(lake, NUMBERS) as first:
        assert not left.exists()
        with spooled(lake, NUMBERS):
            assert first.path.is_file(), "of a living one"
    assert all(other.exists() for other in others), "of processes of other machines nothing is known"


NUMBERS = "SELECT i AS shard FROM range(100) r(i)"


def names_the_folder(raised: pytest.ExceptionInfo[UnavailableError], folder: Path) -> bool:
    return str(folder) in raised.value.what and "TMPDIR" in str(raised.value.fix)


def test_a_folder_for_files_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    with Lake.open(LakeConfig(), tmp_path) as lake:
        monkeypatch.setattr(tempfile, "tempdir", str(gone))
        with pytest.raises(UnavailableError) as raised, spooled(lake, NUMBERS):
            raise InputError("not reached")
    assert names_the_folder(raised, gone)


def test_a_full_disk_is_that_of_the_files_and_not_the_lakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(prefix: str) -> str:
        folder = tmp_path / "vector-pipeline-spool-"
        assert prefix.startswith(folder.name)
        folder.mkdir()
        # DuckDB writes under the second name, then moves.
        for name in ("rows.parquet", "tmp_rows.parquet"):
            (folder / name).symlink_to("/dev/full")
        return str(folder)

    with Lake.open(LakeConfig(), tmp_path / "lake") as lake:
        monkeypatch.setattr(tempfile, "mkdtemp", full)
        with pytest.raises(UnavailableError) as raised, spooled(lake, NUMBERS):
            raise InputError("not reached")
        assert names_the_folder(raised, tmp_path / "vector-pipeline-spool-")
        assert lake.where not in raised.value.what


@pytest.mark.parametrize("broken", [lambda file: shutil.rmtree(file.parent), lambda file: file.write_bytes(b"PAR1")])
@pytest.mark.parametrize("imports", [False, True])
def test_a_file_that_somebody_cleaned_away_is_named(
    tmp_path: Path, broken: Callable[[Path], object], imports: bool
) -> None:
    def read(spool: Spool) -> object:
        return Folder("out", tmp_path).write("some", spool) if imports else list(spool)

    with Lake.open(LakeConfig(), tmp_path) as lake, spooled(lake, NUMBERS) as found:
        broken(found.path)
        with pytest.raises(UnavailableError) as raised:
            read(found)
        assert names_the_folder(raised, found.path.parent)
        assert "import" not in raised.value.what


def test_rows_that_cannot_be_read_are_no_fault_of_the_files_they_go_to(tmp_path: Path) -> None:
    rows = "SELECT i::VARCHAR AS id, [1]::FLOAT[] AS values, if(i < 600_000, '{}', error('gone')) AS metadata"
    with Lake.open(LakeConfig(), tmp_path) as lake:
        batches = lake.stream(f"{rows} FROM range(700_000) t(i)")
        with pytest.raises(UnavailableError, match="gone") as raised:
            Folder("out", tmp_path).write("some", (pa.Table.from_batches([one]).cast(SCHEMA) for one in batches))
    assert raised.value.what.startswith(lake.where)
