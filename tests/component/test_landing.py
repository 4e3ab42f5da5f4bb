"""What an upstream asset returned becomes one file: every kind of rows, and nothing else."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vector_pipeline.config import FileSourceConfig, RecordSourceConfig
from vector_pipeline.dagster.landing import land, landing_file
from vector_pipeline.errors import ConfigError, InputError

ROWS: list[dict[str, Any]] = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]
SOURCE = RecordSourceConfig(kind="parquet", path="upstream/a.parquet")


def values(folder: Path) -> dict[str, Any]:
    frame = pd.DataFrame(ROWS)
    folder.mkdir()
    frame.to_parquet(folder / "rows.parquet")
    frame.to_csv(folder / "rows.csv", index=False)
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    (folder / "many").mkdir()
    for number, row in enumerate(ROWS):
        pd.DataFrame([row]).to_parquet(folder / "many" / f"{number}.parquet")
    return {
        "pandas": frame,
        "pandas with a named index": frame.set_index("id"),
        "arrow": pa.Table.from_pylist(ROWS),
        "reader": pa.Table.from_pylist(ROWS).to_reader(),
        "duckdb": duckdb.from_arrow(pa.Table.from_pylist(ROWS)),
        "mappings": ROWS,
        "a generator of mappings": (row for row in ROWS),
        "partitions": {"2026-01-01": frame[:1], "2026-01-02": frame[1:]},
        "path": str(folder / "rows.parquet"),
        "csv": folder / "rows.csv",
        "json lines": folder / "rows.jsonl",
        "folder": folder / "many",
        "paths": [folder / "many" / "0.parquet", folder / "many" / "1.parquet"],
    }


def test_every_kind_of_rows_is_landed(tmp_path: Path) -> None:
    path = tmp_path / "upstream" / "a.parquet"
    for kind, value in values(tmp_path / "given").items():
        done = land(value, SOURCE, path, asset="articles")
        held = pq.read_table(path).select(["id", "text"]).to_pylist()
        assert (kind, done["rows"], held) == (kind, 2, ROWS)
    assert [one.name for one in path.parent.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("quiet", [[], pd.DataFrame(columns=["id", "text"])], ids=["a list", "a frame"])
def test_a_quiet_day_is_a_partition_without_rows(tmp_path: Path, quiet: Any) -> None:
    path = tmp_path / "a.parquet"
    done = land({"monday": [{"id": 1, "text": "x"}], "sunday": quiet}, SOURCE, path, asset="articles")
    assert (done["rows"], pq.read_table(path).column("id").to_pylist()) == (1, [1])
    assert land({"sunday": quiet}, SOURCE, path, asset="articles")["rows"] == 0


def test_equal_rows_leave_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    first = land(ROWS, SOURCE, path, asset="articles")
    stamp = path.stat().st_mtime_ns
    again = land(ROWS, SOURCE, path, asset="articles")
    assert (first["changed"], again["changed"], path.stat().st_mtime_ns) == (True, False, stamp)
    other = land(ROWS[:1], SOURCE, path, asset="articles")
    assert other["changed"]
    assert other["digest"] != first["digest"]


def test_rows_whose_keys_differ_keep_every_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    land([{"id": "a", "text": "one"}, {"id": "b", "text": "two", "title": "Two"}], SOURCE, path, asset="articles")
    assert pq.read_table(path)["title"].to_pylist() == [None, "Two"]


def test_no_rows_are_the_sources_to_judge(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert land([], SOURCE, path, asset="articles")["rows"] == 0
    assert pq.read_table(path).column_names == ["id", "text"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([{"id": "a", "body": "one"}], "articles has no column text; it has: id, body. Correct id, text"),
        (3, "articles made a int. It may return a DataFrame"),
        (SimpleNamespace(), "articles made a types.SimpleNamespace"),
        ({}, "articles made no partitions. Materialise one"),
        ("rows.xlsx", "articles names rows.xlsx, whose format is not known"),
        ("nowhere.parquet", "the rows of articles cannot be read"),
    ],
)
def test_what_holds_no_documents_is_one_line_and_writes_nothing(tmp_path: Path, value: Any, says: str) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(InputError) as caught:
        land(value, SOURCE, path, asset="articles")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_source_that_reads_no_single_file_is_refused(tmp_path: Path) -> None:
    for source in (FileSourceConfig(root=Path("a")), RecordSourceConfig(kind="parquet", path="a/*.parquet")):
        with pytest.raises(ConfigError, match=r"\.vector_pipeline/upstream/articles\.parquet"):
            landing_file("articles", source, tmp_path)
