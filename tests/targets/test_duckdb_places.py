"""Records of the DuckDB target are found by their place in a file; an HNSW index has room beside the target's memory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.errors import NotFoundError
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.duckdb import DuckDBTarget, files
from vector_pipeline.targets.duckdb.engine import View, bytes_in
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.duckdb.manifest import graph_bytes
from vector_pipeline.targets.duckdb.relations import Chosen, live
from vector_pipeline.testing.target_records import SPACE, make_records, unit_vectors

SPEC = NamespaceSpec("ns", 16, "cosine", SPACE)
COUNT = 30_000


def numbered(first: int, count: int) -> list[str]:
    return [f"d#{index:06d}" for index in range(first, first + count)]


def filled(target: DuckDBTarget, count: int, dimension: int = 16, step: int = 10_000) -> None:
    target.ensure_namespace(NamespaceSpec("ns", dimension, "cosine", SPACE))
    for first in range(0, count, step):
        ids = numbered(first, min(step, count - first))
        target.upsert("ns", make_records(ids, unit_vectors(len(ids), dimension=dimension, seed=first)))


def read_rows(target: DuckDBTarget, view: View, positions: list[int]) -> tuple[list[Any], int]:
    """Rows at positions of the first segment, and how many rows were read for them."""
    segment = view.manifest.segments[0]
    sql = live(view, ["id", "vector"], {segment.number: Chosen("SELECT unnest($p::BIGINT[])", len(positions))})
    with target._engine.cursor() as cursor:
        found = cursor.execute(sql, {"p": positions}).fetchall()
        told = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT json) {sql}", {"p": positions}).fetchall()[0][1]
    return found, _scanned(json.loads(told))


def _scanned(node: dict[str, Any]) -> int:
    own = int(node["operator_cardinality"]) if node.get("operator_type") == "TABLE_SCAN" else 0
    return own + sum(_scanned(child) for child in node.get("children", []))


def test_a_place_is_a_position_whatever_was_merged(tmp_path: Path) -> None:
    target = DuckDBTarget("local", tmp_path / "index")
    filled(target, COUNT)
    target.upsert("ns", make_records(numbered(500, 4_500), unit_vectors(4_500, dimension=16, seed=9)))
    target.delete("ns", pa.array(numbered(0, 300)))
    target.compact("ns")
    with target._engine.view(Folder(target.root / "ns")) as view, target._engine.cursor() as cursor:
        for segment in view.manifest.segments:
            table = view.table(segment.file, "records")
            wrong = cursor.execute(f"SELECT count(*) FROM {table} WHERE place IS DISTINCT FROM rowid").fetchall()
            assert wrong == [(0,)]
    target.close()


def test_few_records_are_found_and_many_are_read(tmp_path: Path) -> None:
    target = DuckDBTarget("local", tmp_path / "index")
    filled(target, COUNT)
    target.compact("ns")
    with target._engine.view(Folder(target.root / "ns")) as view:
        few = np.random.default_rng(3).choice(COUNT, 80, replace=False).tolist()
        found, read = read_rows(target, view, few)
        assert sorted(row[1] for row in found) == sorted(few)
        assert read == len(few)
        many = list(range(0, COUNT, 3))
        found, read = read_rows(target, view, many)
        assert sorted(row[1] for row in found) == many
        assert read >= len(many)
    target.close()


def test_an_hnsw_index_has_room_beside_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB ends the process where it has no room for an index: so it was with 100,000 × 384 and 154 MB."""
    monkeypatch.setattr(files, "INDEX_FROM_RECORDS", 500)
    target = DuckDBTarget("local", tmp_path / "index", memory_limit="200MB", hnsw=True)

    def limit() -> int:
        with target._engine.cursor() as cursor:
            ((told,),) = cursor.execute("SELECT current_setting('memory_limit')").fetchall()
        return bytes_in(told)

    filled(target, 3_000)
    target.close()
    target = DuckDBTarget("local", tmp_path / "index", memory_limit="200MB", hnsw=True)
    assert limit() == pytest.approx(200e6, rel=0.001)
    with target._engine.view(Folder(target.root / "ns")):
        assert limit() == pytest.approx(200e6 + graph_bytes(3_000, 16), rel=0.001)
    target.drop_namespace("ns")
    with pytest.raises(NotFoundError), target._engine.view(Folder(target.root / "ns")):
        pass
    assert limit() == pytest.approx(200e6, rel=0.001)
    target.close()
