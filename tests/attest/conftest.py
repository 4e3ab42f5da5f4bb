"""Projects whose model can become another one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.changing import MODEL_NOW, ChangingEmbedder
from vector_pipeline.embedding import factory
from vector_pipeline.lake.golden import GoldenTables
from vector_pipeline.project import Project

Become = Callable[[str], None]


@pytest.fixture(autouse=True)
def changing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny embedder of these tests is one that can change; none that another test opened is used."""
    monkeypatch.setattr(factory, "DeterministicEmbedder", ChangingEmbedder)
    monkeypatch.setattr(factory, "_open", {})
    monkeypatch.setenv(MODEL_NOW, "")


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Become:
    """From here on the model is another one under its name."""
    return lambda what: monkeypatch.setenv(MODEL_NOW, what)


def add(project: Project, name: str, text: str) -> None:
    (project.base / "documents" / name).write_text(text, encoding="utf-8")


def configure(project: Project, before: str, after: str) -> Project:
    """The same project with another configuration."""
    path = Path(project.base) / "vector_pipeline.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    project.close()
    return Project.load(path)


def attestations(project: Project) -> list[tuple[str, bool]]:
    """What was looked at, and whether it passed, oldest first."""
    names = GoldenTables.of(project.tables("handbook"))
    rows = project.lake().rows(f"SELECT looked_at, passed FROM {names.attestations} ORDER BY attested_at")
    return [(str(looked), bool(passed)) for looked, passed in rows]


def vectors(project: Project) -> dict[tuple[int, str], tuple[float, ...]]:
    rows = project.lake().rows(f"SELECT shard, content_hash, vector FROM {project.tables('handbook').embeddings}")
    return {(shard, content): tuple(vector) for shard, content, vector in rows}
