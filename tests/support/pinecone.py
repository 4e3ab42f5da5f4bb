"""The Pinecone-protocol server for tests: in this process, or as a process that can be killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer


@contextmanager
def pinecone_server(root: Path | None = None, **knobs: object) -> Iterator[PineconeServer]:
    """A started server: in memory, or durable below ``root``; keywords are knobs."""
    with PineconeServer(root, knobs=Knobs(**knobs)) as server:  # type: ignore[arg-type]
        yield server
