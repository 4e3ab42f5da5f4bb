"""The command line: an import that is interrupted goes on, and what becomes of it is said."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.conftest import write_project
from tests.imports.test_project import ENVIRONMENT
from tests.support.pinecone import KEY, KEY_VARIABLE
from vector_pipeline.release.clearing import within
from vector_pipeline.testing.pinecone_server import PineconeServer

COMMAND = [sys.executable, "-m", "vector_pipeline.cli"]


@pytest.mark.slow
def test_interrupted_then_cancelled(tmp_path: Path, server: PineconeServer) -> None:
    server.knobs.imports_s = 600
    config = write_project(tmp_path, 6, shards=2)
    with config.open("a", encoding="utf-8") as file:
        file.write(ENVIRONMENT.format(key=KEY_VARIABLE, url=server.url))

    def run(*words: str, until: Callable[[], bool] | None = None) -> tuple[int, str]:
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=tmp_path, env=dict(os.environ), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if until is not None:
            assert within(60, until)
            process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=120)
        assert KEY not in said
        return process.returncode, said

    assert run("build", "handbook")[0] == 0
    code, said = run("push", "handbook", "--load", "import", until=lambda: watched(server))
    assert code == 130, said
    assert "the import goes on at the service: push watches it again, push --load upsert cancels it" in said
    code, said = run("push", "handbook", "--load", "upsert")
    assert code == 0, said
    assert "is cancelled; what it left is dropped" in said


def watched(server: PineconeServer) -> bool:
    """Whether somebody has asked how an import does."""
    return any("GET /bulk/imports/" in route for route in cast(dict[str, object], server.counts["requests"]))
