"""A released project beside which previews are made, and what there is of a preview anywhere."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from tests.conftest import page, write_project
from tests.registry.conftest import postgres, postgres_url, url  # noqa: F401 (fixtures)
from vector_pipeline.project import Project
from vector_pipeline.project.previewing import Previews
from vector_pipeline.release.registry.schema import leases, metadata

DATASET = "handbook"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve documents in production; the working tree has one more, one less and one other. Copy it."""
    folder = tmp_path_factory.mktemp("repository")
    with Project.load(write_project(folder, 12, shards=2)) as project:
        release(project)
        change(project)
    return folder


@pytest.fixture
def released(template: Path, tmp_path: Path) -> Iterator[Project]:
    """See ``template``."""
    folder = Path(shutil.copytree(template, tmp_path / "repository"))
    with Project.load(folder / "vector_pipeline.yaml") as project:
        yield project


def release(project: Project) -> None:
    """What the working tree has, to production."""
    project.build(DATASET)
    project.push(DATASET)
    project.verify(DATASET)
    project.promote(DATASET, by="ann")


def change(project: Project, number: int = 0) -> None:
    """Another document, one that is gone, and one that speaks of something else."""
    folder = project.base / "documents"
    (folder / f"page{90 + number}.md").write_text(page(90 + number), encoding="utf-8")
    (folder / f"page{3 + number}.md").unlink()
    (folder / f"page{6 + number}.md").write_text(page(6 + number) + "\nZebras are new here.\n", encoding="utf-8")


def traces(project: Project, held_as: str) -> dict[str, int]:
    """How much there is of a preview anywhere but in its own row: rows by table, tables of the lake, namespaces."""
    found: dict[str, int] = {}
    engine = create_engine(f"sqlite:///{project.base / '.vector_pipeline/registry.sqlite'}")
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if "dataset" in table.c:
                found[table.name] = len(connection.execute(select(table).where(table.c.dataset == held_as)).all())
        resources = connection.execute(select(leases.c.resource)).scalars().all()
    engine.dispose()
    found["leases"] = sum(held_as in one for one in resources)
    rows = project.lake(read_only=True).rows("SELECT schema_name FROM duckdb_schemas()")
    found["schemas"] = sum(held_as in str(one[0]) for one in rows)
    found["namespaces"] = sum(held_as in one for one in project.target_named("local", read_only=True).namespaces())
    return {name: count for name, count in found.items() if count}


@pytest.fixture
def previews(released: Project) -> Previews:
    return Previews(released)
