"""A whole project on Pinecone: imported, verified, promoted, rolled back, collected; Pinecone's own names follow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.imports.conftest import files_below
from tests.support.pinecone import KEY, KEY_VARIABLE
from vector_pipeline.project import Project
from vector_pipeline.release.plan import StageKind
from vector_pipeline.testing.pinecone_server import PineconeServer

ENVIRONMENT = """
environments:
  dev:
    targets:
      local:
        kind: pinecone
        index: tests
        api_key: ${{env:{key}}}
        host: {url}
        deletion_protection: false
        import_uri: imports
"""


@pytest.fixture
def served(tmp_path: Path, server: PineconeServer) -> Iterator[Project]:
    """A project whose target is Pinecone; a folder beside it takes files for imports."""
    config = write_project(tmp_path, 6, shards=2)
    with config.open("a", encoding="utf-8") as file:
        file.write("    release: {load: import}\n    retention: {keep_versions: 1, reader_grace_s: 0}\n")
        file.write(ENVIRONMENT.format(key=KEY_VARIABLE, url=server.url))
    assert KEY not in config.read_text(encoding="utf-8")
    with Project.load(config) as project:
        yield project


def release(project: Project, strategy: str | None = None) -> str:
    """Build, push, verify and promote; the line that is served then."""
    project.build("handbook")
    pushed = project.push("handbook", strategy=strategy)
    project.verify("handbook")
    project.promote("handbook", by="test")
    return pushed.deployment.namespace


@pytest.mark.slow
def test_a_project_is_imported_and_its_names_follow(served: Project, tmp_path: Path) -> None:
    served.build("handbook")
    assert next(stage.kind for stage in served.plan("handbook").stages) is StageKind.IMPORT
    assert StageKind.IMPORT not in [stage.kind for stage in served.plan("handbook", load="upsert").stages]
    first = release(served)
    target = served.target("handbook", read_only=True)
    names = ("handbook--dev--production", "handbook--dev--staging")
    assert target.native_aliases() == dict.fromkeys(names, first)
    (tmp_path / "documents" / "page0.md").write_text(page(1_000), encoding="utf-8")
    second = release(served, "blue-green")
    assert second != first
    assert target.native_aliases() == dict.fromkeys(names, second)
    assert files_below(tmp_path / "imports") == []
    served.rollback("handbook", by="test")
    assert target.native_aliases() == {names[0]: first, names[1]: second}


@pytest.mark.slow
def test_a_collection_lets_names_go(served: Project, tmp_path: Path) -> None:
    first = release(served)
    for number in (1_000, 2_000):
        (tmp_path / "documents" / "page0.md").write_text(page(number), encoding="utf-8")
        latest = release(served, "blue-green")
    target = served.target("handbook")
    target.point_alias("handbook--dev--production", first)
    served.collect("handbook", dry_run=False)
    assert first not in target.namespaces()
    assert target.native_aliases()["handbook--dev--production"] == latest
