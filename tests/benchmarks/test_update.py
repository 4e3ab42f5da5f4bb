"""The work ``update`` of the benchmarks: its source, its embedder, and rows of the quick mode."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measuring import PEERS as ENVIRONMENT
from benchmarks.peers.hashed import embed
from benchmarks.update_source import write_revision
from benchmarks.works import Sizes, work
from benchmarks.works.update import BEND, PEERS
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.deterministic import DeterministicEmbedder


def test_peers_embed_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTOR_PIPELINE_ALLOW_DETERMINISTIC", "1")
    ours = DeterministicEmbedder(EmbedderConfig(kind="deterministic", model="synthetic"))
    texts = ["document 1 revision 0 word7 word4711", "Ein Wort, zwei Worte, ein Wort"]
    np.testing.assert_array_equal(embed(texts), ours.embed_documents(texts))


def test_each_revision_changes_another_share(tmp_path: Path) -> None:
    read = []
    for revision in range(3):
        file = tmp_path / f"{revision}.jsonl"
        write_revision(file, 1000, [100] * revision)
        read.append([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()])
    changed = [
        {new["id"] for old, new in zip(before, after, strict=True) if old != new} for before, after in pairwise(read)
    ]
    assert [len(ids) for ids in changed] == [10, 10]
    assert not changed[0] & changed[1]


@pytest.mark.slow
@pytest.mark.skipif(not ENVIRONMENT.exists(), reason="build/peers is missing: make bench makes it")
def test_quick_rows() -> None:
    rows = list(work("update").measure(Sizes(quick=True, rounds=2)))
    ratios = [row for row in rows if row.unit == "×" and row.theirs]
    assert len(ratios) == 3 * len(PEERS)
    assert all(row.work == "update" and row.figure > 0 and row.goal and row.note and row.limit for row in ratios)
    for row in ratios:
        changed = 20 if row.name.startswith("1%") else 0
        assert row.ours["counted"]["changed"] == row.theirs["counted"]["changed"] == changed
    assert len({(row.name, row.unit) for row in rows}) == len(rows)
    assert (rows[-1].kind, rows[-1].goal) == ("at most", BEND)
