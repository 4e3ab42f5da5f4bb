"""Files beside the tables: found, read and deleted wherever the lake's data are."""

from pathlib import Path

import pytest

from tests.shared.conftest import Bucket, bucket, endpoint, moto
from vector_pipeline.config import LakeConfig
from vector_pipeline.lake.beside import delete_beside, labels_beside, list_beside, readable, reading, write_beside
from vector_pipeline.lake.connection import Lake

__all__ = ["bucket", "endpoint", "moto"]
FILE = "_observed/local/a--b/0.marks"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def above(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path)
    bucket: Bucket = request.getfixturevalue("bucket")
    return f"s3://{bucket.name}"


@pytest.mark.parametrize("name", ["a1", "a[1]", "a*", "a?", "it's [ours]"])
def test_a_folder_of_any_name_is_that_folder_alone(tmp_path: Path, above: str, name: str) -> None:
    if "://" in above and "?" in name:
        pytest.skip("DuckDB takes what follows a question mark for its own options")
    with Lake.open(LakeConfig(data=f"{above}/{name}"), tmp_path / "own") as lake:
        write_beside(lake, FILE, "SELECT 1 AS mine", {"whose": "mine"})
        with Lake.open(LakeConfig(data=f"{above}/a1b"), tmp_path / "sibling") as sibling:
            write_beside(sibling, FILE, "SELECT 2 AS mine", {"whose": "a sibling's"})
        assert list_beside(lake, "_observed/**") == [FILE]
        assert labels_beside(lake, [FILE])[FILE]["whose"] == "mine"
        assert readable(lake, FILE, ["mine"])
        assert lake.rows(f"SELECT mine FROM {reading(lake, FILE)}") == [(1,)]
        delete_beside(lake, list_beside(lake, "_observed/local/a--b/*"))
        assert list_beside(lake, "_observed/**") == []
        assert labels_beside(lake, [FILE]) == {}
        assert not readable(lake, FILE, ["mine"])
