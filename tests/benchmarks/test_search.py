"""The work ``search`` of the benchmarks: truth without filters, and rows of the quick mode."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import vectors
from benchmarks.measuring import PEERS
from benchmarks.works import Sizes, work


def test_truth_without_filters(tmp_path: Path) -> None:
    vectors.make(tmp_path, 300)
    data = vectors.load(tmp_path)
    every = vectors.unfiltered(data)
    best = np.argsort(-(data.queries @ data.vectors.T), axis=1)[:, : vectors.TOP_K]
    assert every.recall(best.tolist()) == 1.0
    assert data.recall(best.tolist()) < 1.0


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="build/peers is missing: make bench makes it")
def test_quick_rows() -> None:
    rows = {row.name: row for row in work("search").measure(Sizes(quick=True, rounds=1))}
    goals = {name for name, row in rows.items() if row.goal is not None}
    assert all("held in memory" in name or name.startswith("exact, 10,000 × 384, filters on") for name in goals)
    assert "`exact=False`, held in memory, 10,000 × 384, filters on, against Chroma" in goals
    assert "`exact=False`, held in memory, 10,000 × 384, no filter, one query at a time, against Chroma" in rows
    recall = [row.figure for name, row in rows.items() if name.endswith("recall@10")]
    assert len(recall) == 3
    assert min(recall) > 0.9
    assert all(row.figure > 0 for row in rows.values())
