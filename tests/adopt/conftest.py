"""An index that grew by hand beside a project that was never built, with everything in it that such indexes have."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adopt.grown import Content, Grown, contents, embed
from tests.conftest import write_project
from vector_pipeline.embedding.base import Vectors
from vector_pipeline.project import Project

PAGES = 6
CONTENTS = 18


@dataclass(frozen=True)
class Source:
    """The texts of the source, with the vectors of its own model and of another one."""

    contents: list[Content]
    right: Vectors
    other: Vectors


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("twins")
    found = contents(folder / "source", PAGES)
    assert len(found) == CONTENTS
    texts = [one.embedded for one in found]
    return Source(found, embed(folder / "right", texts), embed(folder / "other", texts, seed="another"))


def grow(source: Source) -> Grown:
    """18 records: 8 right, a copy, 3 of another model, one zero, one with other blanks, one too long, 2 foreign, one silent."""
    made = Grown()
    text = [one.embedded for one in source.contents]
    for n in range(8):
        about = {"source": "wiki", "n": n}
        made.add(f"doc-{n}", text[n], source.right[n], document=f"page {n // 3}", metadata=about)
    made.add("doc-0-copy-1", text[0], source.right[0], document="page 0", metadata={"source": "wiki", "n": 0})
    for n in range(8, 11):
        made.add(f"doc-{n}", text[n], source.other[n], metadata={"model": "old"})
    made.add("doc-11", text[11], 0 * source.right[11])
    made.add("doc-12", None, source.right[12], metadata={"page_content": text[12].replace("\n", "\r\n  ")})
    made.add("doc-13", text[13], 3 * source.right[13])
    made.add("about-us", "We are a company.", source.right[14])
    made.add("5f0c6bde-4f6b-4c4e-8a53-9f0f5f3d2a11", "Opening hours.", source.other[14])
    made.add("silent", None, source.other[15])
    return made


@pytest.fixture
def unbuilt(tmp_path: Path, source: Source) -> Path:
    """Configuration of a project that was never built, whose target holds the grown index."""
    config = write_project(tmp_path / "project", PAGES)
    grow(source).write(config.parent / ".vector_pipeline/index")
    return config


@pytest.fixture
def project(unbuilt: Path) -> Iterator[Project]:
    with Project.load(unbuilt) as opened:
        yield opened
