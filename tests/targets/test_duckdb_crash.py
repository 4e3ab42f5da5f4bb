"""Readers beside a writer that is killed again and again: they never fail and see whole batches only."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.duckdb import DuckDBTarget, folder
from vector_pipeline.testing.target_records import DIMENSION, SPACE, unit_vectors

BATCH = 20
SCRIPT = Path(__file__).with_name("duckdb_processes.py")


def _process(role: str, root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), role, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    target = DuckDBTarget("made", tmp_path)
    target.ensure_namespace(NamespaceSpec("ns", DIMENSION, "cosine", SPACE))
    target.close()
    return tmp_path


def _kill_while_writing(root: Path, rng: np.random.Generator) -> None:
    writer = _process("write", root)
    assert writer.stdout is not None
    for _ in range(int(rng.integers(2, 8))):  # let some batches land, so that the kill meets every phase
        assert writer.stdout.readline().startswith("landed"), writer.stderr and writer.stderr.read()
    try:
        writer.wait(timeout=float(rng.uniform(0, 0.1)))
    except subprocess.TimeoutExpired:
        writer.send_signal(signal.SIGKILL)
    writer.communicate()


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_readers_beside_a_dying_writer(root: Path, kills: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = _process("read", root)
    assert reader.stdin is not None
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    rng = np.random.default_rng(7)
    for _ in range(kills):
        _kill_while_writing(root, rng)
    output, errors = reader.communicate("stop\n", timeout=60)
    assert reader.returncode == 0, errors
    reads, batches = map(int, output.split())
    assert reads > kills
    assert batches >= kills

    monkeypatch.setattr(folder, "GRACE_SECONDS", 0.0)
    with_orphans = {file.name for file in (root / "ns").iterdir()}
    target = DuckDBTarget("after", root)
    target.compact("ns")
    target.compact("ns")
    state = target.describe("ns")
    assert state is not None
    assert state.records == sum(batch.num_rows for batch in target.scan("ns"))
    assert state.records % BATCH == 0
    assert len(target.query("ns", unit_vectors(1), top_k=5)[0]) == 5
    target.close()
    left = list((root / "ns").iterdir())
    assert len(left) < len(with_orphans)
    assert not list((root / "ns").glob("*.wal"))
