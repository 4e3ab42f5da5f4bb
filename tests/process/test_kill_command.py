"""The same for the real commands, Dagster run and all: ``vector-pipeline build`` and ``push``, killed at random moments."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.process.test_kill import content
from tests.survived import survived

KILLS = 4


def command(config: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "from vector_pipeline.cli import main; main()", "--project", str(config), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "DAGSTER_HOME": str(config.parent / ".vector_pipeline" / "dagster")},
    )


def finish(config: Path, *words: str) -> float:
    """Run a command to its end; returns its seconds."""
    started = time.monotonic()
    with command(config, *words) as process:
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors.decode()
    return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_commands_end_like_undisturbed_ones(tmp_path: Path) -> None:
    pages = {f"page{number}.md": page(number) for number in range(60)}
    calm = write_project(tmp_path / "calm", pages)
    hit = write_project(tmp_path / "hit", pages)
    chance = random.Random(20261121)
    killed = 0
    for verb in ("build", "push"):
        seconds = finish(calm, verb)
        for _ in range(KILLS):
            process = command(hit, verb)
            try:
                process.wait(chance.uniform(0.4, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
            process.communicate()
        finish(hit, verb)
    assert content(hit) == content(calm)
    assert killed >= KILLS
    survived("SIGKILLs of real commands", killed)
