"""A dataset, a Pinecone-protocol server, and a target on it that imports files from a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.release.world import Store, World
from tests.support.pinecone import pinecone_server, pinecone_target
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.testing.pinecone_server import PineconeServer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[PineconeServer]:
    with pinecone_server() as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Where files for imports are written."""
    return tmp_path / "imports"


@pytest.fixture
def target(server: PineconeServer, files: Path) -> Iterator[PineconeTarget]:
    made = pinecone_target(server, import_uri=str(files))
    yield made
    made.close()


@pytest.fixture
def world(store: Store, target: PineconeTarget) -> World:
    return World(store, target)


def files_below(folder: Path) -> list[str]:
    """Every file, relative."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
