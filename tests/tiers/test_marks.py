"""The data of a lake say whose they are: marked by whoever comes first, taken by the catalog that knows them, never collected."""

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.shared.conftest import Bucket, bucket, endpoint, moto
from tests.tiers.conftest import Open, tier, write
from vector_pipeline.config import LakeConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.marking import MARK, Mark, make_mark, read_mark
from vector_pipeline.lake.retention import collect_files

__all__ = ["bucket", "endpoint", "moto"]
PROD, DEV = Mark("a" * 16 + "/prod", "1" * 32), Mark("b" * 16 + "/dev", "2" * 32)


def lake_at(folder: Path, data: str, name: str = "catalog") -> Lake:
    return Lake.open(LakeConfig(catalog=SecretTemplate(f"sqlite:///{folder}/{name}.sqlite"), data=data), folder)


def fill(lake: Lake, schema: str = "main") -> None:
    def work() -> None:
        lake.run(f"CREATE SCHEMA IF NOT EXISTS lake.{schema}")
        lake.run(f"CREATE TABLE lake.{schema}.t AS SELECT range AS i FROM range(5000)")

    lake.transaction(work, "fill")


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"{tmp_path}/data"
    bucket: Bucket = request.getfixturevalue("bucket")
    return f"s3://{bucket.name}/team/data"


def test_the_first_one_wins(tmp_path: Path, data: str) -> None:
    with lake_at(tmp_path, data) as lake, lake_at(tmp_path, data, "other") as other:
        assert read_mark(lake) is None
        assert make_mark(lake, PROD) == PROD
        assert make_mark(other, DEV) == PROD
        assert read_mark(other) == PROD


def test_no_lake_within_another(tmp_path: Path, data: str) -> None:
    with lake_at(tmp_path, data) as lake:
        make_mark(lake, PROD)
    above = data.rpartition("/")[0]
    with (
        lake_at(tmp_path, f"{data}/a/b", "below") as below,
        pytest.raises(RefusedError, match="lies within the data of"),
    ):
        make_mark(below, DEV)
    with lake_at(tmp_path, above, "above") as over, pytest.raises(RefusedError, match="holds the data of another lake"):
        make_mark(over, DEV)
    # A name that only begins alike is no folder of it.
    with lake_at(tmp_path, f"{data}2", "beside") as beside:
        assert make_mark(beside, DEV) == DEV


def test_data_without_a_mark_are_taken_by_the_catalog_that_knows_them(tmp_path: Path, data: str) -> None:
    with lake_at(tmp_path, data) as lake, lake_at(tmp_path, data, "other") as other:
        fill(lake)
        with pytest.raises(RefusedError, match="1 data files that this catalog does not know"):
            make_mark(other, DEV)
        assert read_mark(lake) is None
        assert make_mark(lake, PROD) == PROD


@pytest.mark.parametrize("name", ["a [1]", "a*", "a?"])
def test_a_folder_whose_name_is_a_pattern(tmp_path: Path, name: str) -> None:
    data = f"{tmp_path}/{name}/data"
    with lake_at(tmp_path, data) as lake, lake_at(tmp_path, data, "other") as other:
        fill(lake)
        with pytest.raises(RefusedError, match="1 data files that this catalog does not know"):
            make_mark(other, DEV)
        assert make_mark(lake, PROD) == PROD
    with (
        lake_at(tmp_path, f"{tmp_path}/{name}", "above") as over,
        pytest.raises(RefusedError, match="holds the data of another lake"),
    ):
        make_mark(over, DEV)
    # What the pattern would find too is beside it.
    with lake_at(tmp_path, f"{tmp_path}/ab/data", "beside") as beside, lake_at(tmp_path, f"{tmp_path}/a*/x", "x") as x:
        make_mark(beside, DEV)
        assert make_mark(x, PROD) == PROD


def test_of_two_catalogs_that_have_shared_a_folder_none_takes_it(tmp_path: Path) -> None:
    with lake_at(tmp_path, "data") as lake, lake_at(tmp_path, "data", "other") as other:
        fill(lake)
        fill(other)
        then = time.time() - 40 * 86_400
        for one in (tmp_path / "data").rglob("*.parquet"):
            os.utime(one, (then, then))
        for each, mark in ((lake, PROD), (other, DEV)):
            with pytest.raises(RefusedError, match="may be another catalog's"):
                make_mark(each, mark)


def test_orphans_are_deleted_below_the_schemas_of_this_catalog_alone(tmp_path: Path) -> None:
    with lake_at(tmp_path, "data") as lake:
        fill(lake, "handbook")
        make_mark(lake, PROD)
        ours = [tmp_path / "data" / one / "t" / "left.parquet" for one in ("handbook", "handbook--pr-1-ab", "main")]
        theirs = [tmp_path / "data" / one for one in ("other/t/x.parquet", "handbook2/t/x.parquet", "x.parquet")]
        for one in (*ours, *theirs):
            one.parent.mkdir(parents=True, exist_ok=True)
            one.write_bytes(b"")
        then = time.time() - 40 * 86_400
        for one in (tmp_path / "data").rglob("*"):
            os.utime(one, (then, then))
        told = collect_files(lake, dry_run=True, grace_s=0)
        assert set(told.files) == {str(one) for one in ours}
        assert set(told.strange) == {str(one) for one in theirs}
        assert collect_files(lake, dry_run=False, grace_s=0).files == told.files
        assert not any(one.exists() for one in ours)
        assert all(one.exists() for one in theirs)
        assert read_mark(lake) == PROD
        assert lake.row("SELECT count(*) FROM lake.handbook.t")[0] == 5000


@pytest.mark.slow
def test_it_survives_collecting_and_is_no_document(tmp_path: Path, opened: Open) -> None:
    settings = tier("dev", lake={"catalog": "sqlite:///dev/catalog.sqlite", "data": "documents/lake"})
    project = opened(write(tmp_path, {"dev": settings}, source={"root": "documents", "include": ["**/*"]}), "dev")
    project.build("handbook")
    mark = tmp_path / "documents" / "lake" / MARK
    then = time.time() - 40 * 86_400
    os.utime(mark, (then, then))
    text = mark.read_text()
    project.collect("handbook", dry_run=False, grace_s=0)
    assert mark.read_text() == text
    assert text.startswith(project.registry().id + "/dev\n")
    documents = project.lake().rows("SELECT document_id FROM lake.handbook.documents")
    assert not [one for (one,) in documents if MARK in one]


def _take(folder: str, number: int, start: Barrier, told: "multiprocessing.Queue[str]") -> None:
    with lake_at(Path(folder), "data", f"catalog{number}") as lake:
        start.wait(60)
        told.put(make_mark(lake, Mark(f"{number:016x}/dev", f"{number:032x}")).owner)


@pytest.mark.slow
def test_of_several_processes_one_wins(tmp_path: Path) -> None:
    forked = multiprocessing.get_context("spawn")
    start, told = forked.Barrier(4), forked.Queue()
    ones = [forked.Process(target=_take, args=(str(tmp_path), n, start, told)) for n in range(4)]
    for one in ones:
        one.start()
    owners = {told.get(timeout=90) for _ in ones}
    for one in ones:
        one.join(60)
    assert len(owners) == 1
    assert {one.name for one in (tmp_path / "data").iterdir()} == {MARK}
