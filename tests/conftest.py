"""Shared fixtures: small real projects. Everything lives in the test's own folder."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DAGSTER_TELEMETRY_DISABLED"] = "1"
# The tiny embedder that makes tests fast is refused outside them.
os.environ["VECTOR_PIPELINE_ALLOW_DETERMINISTIC"] = "1"
# Workers of pytest-xdist share the cores. DuckDB knows no variable of its own for how many it may take, but heeds a scheduler's;
# two threads on small tables cost half as much again as one.
os.environ["SLURM_CPUS_ON_NODE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
for _name in ("VECTOR_PIPELINE_CONFIG", "VECTOR_PIPELINE_ENV", "DAGSTER_HOME", "COLUMNS"):
    os.environ.pop(_name, None)

from vector_pipeline.project import Project  # noqa: E402  after the environment, which its libraries read at import

CONFIG = """
datasets:
  handbook:
    source: {{root: documents, include: ["**/*.md"]}}
    shards: {shards}
    spaces:
      tiny:
        embedder: {{kind: deterministic, model: {seed}, dimension: 128}}
        chunker: {{max_tokens: 60, overlap_tokens: 5, min_tokens: 10}}
    target: local
    gates: {{{gates}}}
    promotion: {{policy: {policy}}}
"""

MakeProject = Callable[..., Project]


def page(number: int, paragraphs: int = 6) -> str:
    """A document with headings, whose every paragraph is its own."""
    body = "\n\n".join(
        f"Paragraph {n} of page {number} speaks of item{number}x{n} and more." for n in range(paragraphs)
    )
    return f"# Page {number}\n\nAbout page {number}.\n\n## Details\n\n{body}\n"


def write_project(
    folder: Path,
    documents: dict[str, str] | int = 12,
    *,
    shards: int = 4,
    seed: str = "seed",
    gates: str = "max_removed_share: 1",
    policy: str = "manual",
) -> Path:
    """A project on disk; returns its configuration file."""
    pages = {f"page{n}.md": page(n) for n in range(documents)} if isinstance(documents, int) else documents
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        path = folder / "documents" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    config = folder / "vector_pipeline.yaml"
    config.write_text(CONFIG.format(shards=shards, seed=seed, gates=gates, policy=policy), encoding="utf-8")
    return config


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[MakeProject]:
    """Make a project (see ``write_project``) and open it; closed after the test."""
    with ExitStack() as stack:
        made = iter(range(1000))

        def make(documents: dict[str, str] | int = 12, **options: object) -> Project:
            config = write_project(tmp_path / f"project{next(made)}", documents, **options)  # type: ignore[arg-type]
            return stack.enter_context(Project.load(config))

        yield make


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A project of twelve small documents in four shards."""
    return make_project()
