"""A project in one space, whose configuration may get another one of another dimension."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import page
from tests.registry.conftest import postgres, postgres_url, registry, url
from tests.support.gates import verify_index
from vector_pipeline.project import Project

__all__ = ["postgres", "postgres_url", "registry", "url"]

CONFIG = """
datasets:
  handbook:
    source: {{root: documents, include: ["**/*.md"]}}
    shards: 4
    serving: {serving}
    spaces:
      old:
        embedder: {{kind: deterministic, model: old, dimension: 64}}
        chunker: {{max_tokens: 60, overlap_tokens: 5, min_tokens: 10}}
      new:
        embedder: {{kind: deterministic, model: {model}, dimension: 96}}
        chunker: {{max_tokens: 60, overlap_tokens: 5, min_tokens: 10}}
    target: local
    gates: {{max_removed_share: 1{gates}}}
{bridge}
"""
ALLOWED = "    bridge: {min_recall: 0.3}"


def write(
    folder: Path, *, serving: str = "old", model: str = "new", bridge: str = ALLOWED, gates: str = "", pages: int = 40
) -> Path:
    """The configuration, and its documents where there are none yet."""
    documents = folder / "documents"
    if not documents.exists():
        documents.mkdir(parents=True)
        for number in range(pages):
            (documents / f"page{number}.md").write_text(page(number), encoding="utf-8")
    config = folder / "vector_pipeline.yaml"
    config.write_text(CONFIG.format(serving=serving, model=model, bridge=bridge, gates=gates), encoding="utf-8")
    return config


def release(project: Project) -> None:
    """The serving space's newest state goes into production."""
    project.build("handbook")
    project.push("handbook")
    verify_index(project)
    project.promote("handbook", by="test")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project that serves its old space. Tests take copies."""
    config = write(tmp_path_factory.mktemp("released") / "project")
    with Project.load(config) as project:
        release(project)
    return config.parent


@pytest.fixture(scope="session")
def turned_on(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a bridge that is on."""
    folder = Path(shutil.copytree(released, tmp_path_factory.mktemp("bridged") / "project"))
    with Project.load(folder / "vector_pipeline.yaml") as project:
        project.fit_bridge("handbook", "new", by="ann")
        project.bridge_on("handbook", by="ann")
    return folder


@pytest.fixture
def served(released: Path, tmp_path: Path) -> Path:
    """A project of one's own that serves its old space."""
    return Path(shutil.copytree(released, tmp_path / "served"))


@pytest.fixture
def bridged(turned_on: Path, tmp_path: Path) -> Path:
    """A project of one's own whose bridge is on."""
    return Path(shutil.copytree(turned_on, tmp_path / "bridged"))
