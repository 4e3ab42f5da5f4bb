"""A server for each module, and targets on it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.pinecone import pinecone_server, pinecone_target
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer


@pytest.fixture(scope="module")
def shared_server() -> Iterator[PineconeServer]:
    with pinecone_server() as running:
        yield running


@pytest.fixture
def server(shared_server: PineconeServer) -> Iterator[PineconeServer]:
    """Without faults, until the test sets some; and again without afterwards."""
    yield shared_server
    shared_server.knobs.change(Knobs().as_dict())


@pytest.fixture
def open_target(server: PineconeServer) -> Iterator[Callable[..., PineconeTarget]]:
    """Targets that are closed at the end. Each has its own index prefix unless one is given."""
    opened: list[PineconeTarget] = []

    def opening(**config: Any) -> PineconeTarget:
        opened.append(pinecone_target(server, **config))
        return opened[-1]

    yield opening
    for target in opened:
        target.close()


@pytest.fixture
def target(open_target: Callable[..., PineconeTarget]) -> PineconeTarget:
    return open_target()
