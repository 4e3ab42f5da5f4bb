"""Killed anywhere and run again, an import ends as if nothing had happened, and is started once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports.conftest import files_below
from tests.imports.test_importing import CONTENT, imports
from tests.release.world import Store, World
from tests.support.pinecone import pinecone_target
from vector_pipeline.targets.base import ImportStatus
from vector_pipeline.testing.pinecone_server import PineconeServer

POINTS = [
    ("before", "write"),
    ("after", "write"),
    ("after", "start"),
    ("after", "state"),
    ("after", "_counted"),
    ("before", "clear_up"),
    ("after", "clear_up"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("when", "method"), POINTS)
def test_killed_around_a_step(tmp_path: Path, server: PineconeServer, files: Path, when: str, method: str) -> None:
    store = Store(tmp_path)
    target = pinecone_target(server, import_uri=str(files))
    world = World(store, target, "killed")
    version = world.version(CONTENT)
    server.knobs.imports_s = 1.0
    killed = subprocess.run(
        [sys.executable, "-m", "tests.imports.killed", str(tmp_path), str(files), server.url, "killed", when, method],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    pushed = world.push(version, load="import")
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert imports(world, pushed.deployment.namespace) == [ImportStatus.DONE]
    assert files_below(files) == []
    assert world.plan(version, load="import").empty
    target.close()
    store.close()
