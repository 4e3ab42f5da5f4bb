"""A small line of versions in a real DuckDB target, and a hand that meddles with it past the pipeline."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import page, write_project
from tests.support.gates import verify_index
from vector_pipeline.drift import audit
from vector_pipeline.drift.report import DriftReport
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Deployment
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.duckdb import DuckDBTarget
from vector_pipeline.targets.duckdb.folder import Folder


@dataclass
class Hand:
    """Somebody else, with a target object of their own and a fence that nobody refuses."""

    project: Project
    target: Target
    namespace: str

    @property
    def fence(self) -> int:
        """The one that the namespace saw last: a hand that goes past the leases."""
        folder = Folder(self.root / self.namespace)
        pointer = folder.pointer()
        return 0 if pointer is None else folder.load(pointer).fence

    @property
    def root(self) -> Path:
        return self.project.base / ".vector_pipeline/index"

    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.target.scan(self.namespace) for row in batch.to_pylist()]

    def visible(self, version: int) -> list[dict[str, Any]]:
        return [row for row in self.rows() if row["added_in"] <= version < row["removed_in"]]

    def whole(self) -> dict[str, dict[str, Any]]:
        """Every record with its values, by id."""
        ids = [row["id"] for row in self.rows()]
        return {row["id"]: row for row in self.target.fetch(self.namespace, ids).to_pylist()}

    def delete(self, *ids: str) -> None:
        self.target.delete(self.namespace, pa.array(ids, pa.string()), fence=self.fence)

    def drop(self) -> None:
        self.target.drop_namespace(self.namespace, fence=self.fence)

    def mark(self, removed_in: int, *ids: str) -> None:
        self.target.set_removed(self.namespace, pa.array(ids, pa.string()), removed_in, fence=self.fence)

    def put(self, source: str, **changes: Any) -> None:
        """Write a record like another one, but for ``changes``."""
        table = self.target.fetch(self.namespace, [source])
        for name, value in changes.items():
            index = table.schema.get_field_index(name)
            if name == "vector":
                width = table.schema.field("vector").type.list_size
                column: Any = pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(value, np.float32)), width)
            else:
                column = pa.array([value], table.schema.field(name).type)
            table = table.set_column(index, table.schema.field(name), column)
        self.target.upsert(self.namespace, table, fence=self.fence)


def edit(project: Project, name: str, text: str | None) -> None:
    path = project.base / "documents" / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")


def release(project: Project) -> int:
    project.build("handbook")
    project.push("handbook")
    verify_index(project)
    return project.promote("handbook", by="test")[0].deployment.version


def deployments(project: Project) -> list[Deployment]:
    return project.registry().deployments("handbook")


def look(project: Project, version: int | None = None, **options: Any) -> DriftReport:
    """Audit of a version (default: the newest deployed)."""
    one = max((one for one in deployments(project) if version in (None, one.version)), key=lambda one: one.version)
    return audit(
        project.lake(), project.registry(), project.target("handbook"), one,
        project.version("handbook", one.version), **options,
    )  # fmt: skip


def snapshot(project: Project, version: int) -> dict[str, dict[str, Any]]:
    """What a version is in the lake: text, metadata and vector by record id."""
    one = project.version("handbook", version)
    tables = tables_of(one)
    rows = (
        project.lake()
        .table(
            f"""SELECT c.record_id, c.document_id, c.content_hash, c.metadata_hash, c.text, c.metadata, e.vector
            FROM (FROM {tables.chunks} AT (VERSION => {one.lake_snapshot})) c
            JOIN {tables.embeddings} e USING (shard, content_hash)"""
        )
        .to_pylist()
    )
    return {row.pop("record_id"): row for row in rows}


def read_back(hand: Hand, version: int) -> dict[str, dict[str, Any]]:
    """What a reader of a version finds in the target, as ``snapshot`` has it."""
    whole = hand.whole()
    seen = [row["id"] for row in hand.visible(version)]
    assert len({one.partition("~")[0] for one in seen}) == len(seen)
    names = ("document_id", "content_hash", "metadata_hash", "text", "metadata", "vector")
    return {one.partition("~")[0]: {name: whole[one][name] for name in names} for one in seen}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions in one namespace: a page changed, one went, one came back. Made once, copied for each test."""
    config = write_project(tmp_path_factory.mktemp("line"), 6)
    config.write_text(config.read_text() + "    release: {strategy: versioned}\n")
    with Project.load(config) as project:
        release(project)
        edit(project, "page1.md", page(500))
        edit(project, "page2.md", None)
        release(project)
        edit(project, "page2.md", page(2))
        edit(project, "page3.md", page(600))
        release(project)
    return config


@pytest.fixture
def line(template: Path, tmp_path: Path) -> Iterator[Hand]:
    """A copy of ``template``, opened, and somebody else's hand."""
    shutil.copytree(template.parent, tmp_path / "line")
    with Project.load(tmp_path / "line" / template.name) as project:
        (namespace,) = {one.namespace for one in deployments(project)}
        target = DuckDBTarget("other", project.base / ".vector_pipeline/index")
        yield Hand(project, target, namespace)
        target.close()
