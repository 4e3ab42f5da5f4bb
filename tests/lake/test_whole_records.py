"""Whole records come as they stand in a version, however few or many of them are wanted."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.build.test_incremental import write
from tests.conftest import page
from vector_pipeline.lake import whole_records
from vector_pipeline.lake.tables import ROW_GROUP, at
from vector_pipeline.lake.whole_records import read_records, stream_records
from vector_pipeline.project import Project


def wanted(project: Project, snapshot: int, condition: str) -> pa.Table:
    chunks = at(project.tables("handbook").chunks, snapshot)
    return project.lake().table(
        f"""SELECT shard, record_id, 'as ' || record_id AS id, 3::BIGINT AS added_in, 9::BIGINT AS removed_in
            FROM {chunks} c WHERE {condition} ORDER BY shard"""
    )


def plainly(project: Project, snapshot: int, condition: str) -> list[tuple[object, ...]]:
    tables = project.tables("handbook")
    return sorted(
        project.lake().rows(
            f"""SELECT c.record_id, c.document_id, c.text, c.metadata_hash, e.vector FROM {at(tables.chunks, snapshot)} c
                JOIN {tables.embeddings} e USING (shard, content_hash) WHERE {condition}"""
        )
    )


def found(table: pa.Table | None) -> list[tuple[object, ...]]:
    columns = ("record_id", "document_id", "text", "metadata_hash", "vector")
    return [] if table is None else sorted(zip(*(table[name].to_pylist() for name in columns), strict=True))


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "document_id = 'page3.md'",
        "shard = 1",
        "document_id IN ('page3.md', 'page5.md') AND ordinal = 1",
        "false",
    ],
)
def test_what_is_wanted_comes(project: Project, condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project.build("handbook")
    old = project.lake().snapshot_id()
    write(project, "page3.md", page(30))
    project.build("handbook")
    new = project.lake().snapshot_id()
    lake, tables = project.lake(), project.tables("handbook")
    for snapshot in (old, new):
        asked, expected = wanted(project, snapshot, condition), plainly(project, snapshot, condition)
        assert len(expected) == asked.num_rows
        for group_rows in (1, 50_000):
            monkeypatch.setattr(whole_records, "_GROUP_ROWS", group_rows)
            assert found(read_records(lake, tables, snapshot, asked, 128)) == expected
    assert expected or condition == "false"


def test_it_comes_in_pieces_with_what_was_said_of_it(project: Project) -> None:
    project.build("handbook")
    snapshot = project.lake().snapshot_id()
    asked = wanted(project, snapshot, "true")
    pieces = list(stream_records(project.lake(), project.tables("handbook"), snapshot, asked, 128, rows=7))
    assert max(piece.num_rows for piece in pieces) <= 7
    whole = pa.concat_tables(pieces)
    assert sorted(whole["id"].to_pylist()) == sorted(asked["id"].to_pylist())
    assert set(whole["added_in"].to_pylist()) == {3}
    assert set(whole["removed_in"].to_pylist()) == {9}


def test_what_is_not_there_does_not_come(project: Project) -> None:
    project.build("handbook")
    snapshot = project.lake().snapshot_id()
    asked = wanted(project, snapshot, "document_id = 'page3.md'")
    strange = asked.set_column(1, "record_id", pa.array([f"{name}x" for name in asked["record_id"].to_pylist()]))
    assert read_records(project.lake(), project.tables("handbook"), snapshot, strange, 128) is None


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=300, unique=True))
def test_stretches_hold_every_place(places: list[int]) -> None:
    ordered = np.sort(np.array(places, np.int64))
    runs = whole_records._runs(ordered)
    assert len(runs) <= whole_records._MOST_STRETCHES
    assert all(any(first <= place <= last for first, last in runs) for place in places)
    assert all(later > last for (_, last), (later, _) in itertools.pairwise(runs))
    if len(runs) < whole_records._MOST_STRETCHES:
        holes = [later - last for (_, last), (later, _) in itertools.pairwise(runs)]
        assert all(hole > ROW_GROUP for hole in holes)
