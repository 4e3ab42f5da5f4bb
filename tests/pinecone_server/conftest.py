"""A server in memory, Pinecone's SDK on it, and an index of three dimensions."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pinecone import Index, Pinecone, ServerlessSpec

from vector_pipeline.testing.pinecone_server import PineconeServer

SERVERLESS = ServerlessSpec(cloud="aws", region="us-east-1")


@pytest.fixture
def server() -> Iterator[PineconeServer]:
    with PineconeServer() as started:
        yield started


@pytest.fixture
def pc(server: PineconeServer) -> Iterator[Pinecone]:
    with Pinecone(api_key=server.api_key, host=server.url) as client:
        yield client


@pytest.fixture
def index(pc: Pinecone) -> Iterator[Index]:
    pc.create_index(name="movies", dimension=3, metric="cosine", spec=SERVERLESS)
    with pc.Index("movies") as opened:
        yield opened


@pytest.fixture
def http(server: PineconeServer, index: Index) -> Iterator[httpx.Client]:
    """Plain HTTP to the index's host."""
    headers = {"Api-Key": server.api_key, "X-Pinecone-Api-Version": "2026-07"}
    with httpx.Client(base_url=index.host, headers=headers) as client:
        yield client


@pytest.fixture
def parquet_folder(tmp_path: Path) -> Path:
    """Files of an import: 2,500 records for ``imported``, 3 for ``few``."""
    from tests.pinecone_server.files import write_records

    write_records(tmp_path / "files" / "imported" / "a.parquet", 2_000)
    write_records(tmp_path / "files" / "imported" / "b.parquet", 500, start=2_000)
    write_records(tmp_path / "files" / "few" / "a.parquet", 3)
    return tmp_path / "files"
