"""Projects with two versions: one in production, one that passed its gates."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from vector_pipeline.project import Project


def edited(project: Project, number: int, *, strategy: str | None = None, promote: bool = True) -> int:
    """Page 1 becomes another one; returns the version that says so, pushed, verified, and promoted on request."""
    (project.base / "documents" / "page1.md").write_text(page(number), encoding="utf-8")
    project.build("handbook")
    project.push("handbook", strategy=strategy)
    deployment, _ = project.verify("handbook")
    if promote:
        project.promote("handbook", by="test")
    return deployment.version


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 in production, version 2 pushed beside it in a namespace of its own, and verified. Only copied."""
    folder = tmp_path_factory.mktemp("template")
    with Project.load(write_project(folder, 4, shards=2)) as project:
        edited(project, 1)
        edited(project, 900, strategy="blue-green", promote=False)
    return folder


@pytest.fixture
def released(template: Path, tmp_path: Path) -> Iterator[Project]:
    """A copy of the template of one's own."""
    folder = shutil.copytree(template, tmp_path / "project")
    with Project.load(folder / "vector_pipeline.yaml") as project:
        yield project


def namespace_of(project: Project, version: int) -> str:
    """Where a version is."""
    return project.deployment_of(project.version("handbook", version)).namespace


def index_folder(project: Project) -> Path:
    """Where the embedded target keeps its namespaces."""
    return project.base / ".vector_pipeline" / "index"
