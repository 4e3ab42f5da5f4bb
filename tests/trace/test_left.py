"""Nothing of an erased document is left where no namespace says so: in files of imports, in what is remembered of lost lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.world import DATASET, Fuse, World
from tests.imports.conftest import files_below
from tests.support.pinecone import pinecone_server, pinecone_target
from vector_pipeline.errors import UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.release.remembering import FOLDER
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.files import Folder
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.testing.pinecone_server import PineconeServer
from vector_pipeline.trace.erased import Erased


@contextmanager
def opened(target: Target | None = None) -> Iterator[tuple[World, Project, Target]]:
    """A project of three documents; by default on a target whose listing has no marks."""
    world = World("memory")
    try:
        store = world.bare_target().store  # type: ignore[attr-defined]
        target = target or MemoryTarget("local", store, scans_marks=False, max_batch_records=2)
        with world.open(Fuse(), target) as project:
            for name in "abc":
                world.write(name, 0, 0)
            project.build(DATASET)
            yield world, project, target
    finally:
        world.close()


def erased(project: Project) -> Erased:
    return project.erase(DATASET, document="b.md", by="me", reason="asked for")


@pytest.mark.slow
def test_what_is_remembered_of_lines_that_are_gone_is_forgotten() -> None:
    with opened() as (world, project, target):
        lost = project.push(DATASET).deployment.namespace
        world.write("d", 0, 0)
        project.build(DATASET)
        project.push(DATASET, strategy="blue-green")
        target.drop_namespace(lost, fence=2**53)
        marks = Path(project.lake().data) / FOLDER
        elsewhere = marks / "a_target_of_before" / lost
        elsewhere.mkdir(parents=True)
        (elsewhere / "0.marks").write_bytes(next((marks / "local" / lost).glob("*.marks")).read_bytes())
        report = erased(project)
        assert report.gone, report.to_markdown()
        assert [one.before for one in report.places if one.where == "lake, remembered marks"] >= [3]
        names = f"SELECT DISTINCT document_id FROM read_parquet('{marks}/**/*.marks') ORDER BY 1"
        assert project.lake().rows(names) == [("a.md",), ("c.md",), ("d.md",)]


class Interrupt(BaseException):
    """As a person's."""


@pytest.fixture
def server() -> Iterator[PineconeServer]:
    with pinecone_server(imports_s=600) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "imports"


@pytest.fixture
def importing(
    server: PineconeServer, files: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Project, PineconeTarget]]:
    """A push was interrupted: its import goes on."""

    def interrupt(*_: Any) -> None:
        raise Interrupt

    target = pinecone_target(server, "local", import_uri=str(files))
    with opened(target) as (_, project, _):
        with monkeypatch.context() as patch:
            patch.setattr("vector_pipeline.release.importing.time.sleep", interrupt)
            with pytest.raises(Interrupt):
                project.push(DATASET, load="import")
        assert files_below(files)
        yield project, target
    target.close()


@pytest.mark.slow
def test_an_import_under_way_does_not_bring_it_back(
    importing: tuple[Project, PineconeTarget], server: PineconeServer, files: Path
) -> None:
    project, target = importing
    report = erased(project)
    assert report.gone, report.to_markdown()
    assert [(one.before, one.remaining) for one in report.places if one.what == "files of imports"] == [(1, 0)]
    assert files_below(files) == []
    server.knobs.imports_s = 0
    namespace = project.push(DATASET, load="import").deployment.namespace
    found = [row["document_id"] for row in target.fetch(namespace, ids_of(target, namespace)).to_pylist()]
    assert sorted(found) == ["a.md", "c.md"]


@pytest.mark.slow
def test_files_that_nobody_can_account_for_are_not_gone(importing: tuple[Project, PineconeTarget], files: Path) -> None:
    project, _ = importing
    stray = files / f"{DATASET}--other--01234567" / "content" / "part.parquet"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"whole texts, perhaps")
    report = erased(project)
    assert not report.gone
    assert [one.where for one in report.places if one.remaining] == [f"dev: local, {DATASET}--other--01234567"]
    assert files_below(files) == [str(stray.relative_to(files))]


@pytest.mark.slow
def test_where_files_cannot_be_listed_that_is_said(
    importing: tuple[Project, PineconeTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = importing

    def unreachable(*_: Any) -> dict[str, int]:
        raise UnavailableError("the bucket does not answer")

    monkeypatch.setattr(Folder, "counts", unreachable)
    report = erased(project)
    assert not report.gone
    (said,) = report.not_reached
    assert "files of imports of local (the bucket does not answer)" in said


def ids_of(target: Target, namespace: str) -> list[str]:
    return [one for batch in target.scan(namespace) for one in batch["id"].to_pylist()]
