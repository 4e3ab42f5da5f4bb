"""Projects of two teams: small, real, with the tiny embedder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.automation.conftest import receiver  # noqa: F401 (fixture)
from tests.cli.conftest import vp  # noqa: F401 (fixture)

DATASET = """
  {name}:
    owners: ["team:{name}"]
    tags: {{domain: {name}}}
    source: {{root: {root}}}
    shards: 2
    spaces: {{tiny: {{embedder: {{kind: deterministic, model: {name}, dimension: 64}}}}}}
    target: {target}
    gates: {{max_removed_share: 1, canaries: {canaries}}}
"""
ENVIRONMENTS = """
environments:
  dev:
    targets: {answers: {path: .vector_pipeline/answers}, products: {path: .vector_pipeline/products}}
"""


def dataset(name: str, **changes: str) -> str:
    """A dataset's part of a file; keywords replace what stands in it."""
    values = {"name": name, "root": f"{name}/documents", "target": name, "canaries": f"{name}/canaries.yaml"}
    return DATASET.format(**{**values, **changes})


def write_files(folder: Path, *names: str) -> None:
    """Documents and canaries of datasets, below ``folder``."""
    for name in names:
        documents = folder / name / "documents"
        documents.mkdir(parents=True)
        for n in range(4):
            (documents / f"page{n}.md").write_text(f"# Page {n}\n\nWhat {name} says of item{n} is this.\n")
        (folder / name / "canaries.yaml").write_text(
            'canaries:\n  - {query: "item2", expect: [page2.md], k: 3}\n', encoding="utf-8"
        )


def write_teams(folder: Path, answers: str | None = None, products: str | None = None) -> Path:
    """Two datasets in one file; returns it."""
    write_files(folder, "answers", "products")
    parts = [answers or dataset("answers"), products or dataset("products")]
    path = folder / "vector_pipeline.yaml"
    path.write_text(f"datasets:\n{''.join(parts)}\n{ENVIRONMENTS}", encoding="utf-8")
    return path


WriteTeams = Callable[..., Path]


@contextmanager
def closed_projects() -> Iterator[None]:
    """What Dagster's steps opened in this process is closed afterwards."""
    from vector_pipeline.resources.project import close_projects

    try:
        yield
    finally:
        close_projects()


@pytest.fixture
def teams(tmp_path: Path) -> Path:
    """The configuration of two teams that nothing is wrong with."""
    return write_teams(tmp_path)
