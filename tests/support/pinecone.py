"""The Pinecone-protocol server in this process, and targets on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer

KEY_VARIABLE = "PINECONE_TEST_KEY"
KEY = "pc-key-that-nobody-may-see"


@contextmanager
def pinecone_server(root: Path | None = None, **knobs: Any) -> Iterator[PineconeServer]:
    """A server in memory, or durable below ``root``; its key is in the environment as ``KEY_VARIABLE``."""
    os.environ[KEY_VARIABLE] = KEY
    with PineconeServer(root, api_keys=(KEY,), knobs=Knobs(**knobs)) as server:
        yield server


def pinecone_config(server: PineconeServer | None = None, **config: Any) -> PineconeTargetConfig:
    """Configuration of a target on a server, with what tests want: short waits, and limits that they do not meet."""
    found: dict[str, Any] = {
        "kind": "pinecone",
        "index": "tests",
        "api_key": f"${{env:{KEY_VARIABLE}}}",
        "deletion_protection": False,
        "retry_s": 10,
        "freshness_s": 20,
        "limits": {"requests": 10_000, "upsert_mb": 5_000, "updates": 10_000, "deletes": 500_000, "by_metadata": 1_000},
        **({"host": server.url} if server is not None else {}),
        **config,
    }
    return PineconeTargetConfig.model_validate(found)


def pinecone_target(
    server: PineconeServer, name: str = "pinecone", *, read_only: bool = False, base: Path = Path(), **config: Any
) -> PineconeTarget:
    """A target on a server."""
    return PineconeTarget(name, pinecone_config(server, **config), base, read_only=read_only)
