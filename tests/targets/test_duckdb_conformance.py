"""The DuckDB target keeps the laws of a target."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from vector_pipeline.config import DuckDBTargetConfig
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.duckdb import DuckDBTarget, files
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.factory import open_target
from vector_pipeline.testing.target_suite import TargetConformance


class TestDuckDB(TargetConformance):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Target]:
        target = open_target("local", DuckDBTargetConfig(path=Path("index")), tmp_path)
        yield target
        target.close()

    def reopen(self, target: Target) -> Target:
        assert isinstance(target, DuckDBTarget)
        return DuckDBTarget("again", target.root, read_only=True)

    def read_only(self, target: Target) -> Target:
        return self.reopen(target)

    def raw(self, target: Target, namespace: str) -> list[str]:
        assert isinstance(target, DuckDBTarget)
        folder = Folder(target.root / namespace)
        pointer = folder.pointer()
        assert pointer is not None
        ids: list[str] = []
        for segment in folder.load(pointer).segments:
            with duckdb.connect(str(folder.path / segment.file), read_only=True) as con:
                ids += [row[0] for row in con.execute("SELECT id FROM records").fetchall()]
        return ids


class TestDuckDBWithHNSW(TestDuckDB):
    @pytest.fixture
    def target(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
        monkeypatch.setattr(files, "INDEX_FROM_RECORDS", 2)
        target = open_target("local", DuckDBTargetConfig(path=Path("index"), hnsw=True), tmp_path)
        yield target
        target.close()
