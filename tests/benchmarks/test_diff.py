"""The work ``diff`` of the benchmarks: its sides have the same differences, and rows of the quick mode."""

import numpy as np
import pytest

from benchmarks.measuring import PEERS
from benchmarks.revised import revised
from benchmarks.works import Sizes, work


def test_one_in_a_hundred_differs() -> None:
    updated, removed, added = revised(20_000)
    assert [len(numbers) for numbers in (updated, removed, added)] == [160, 20, 20]
    assert set(added.tolist()).isdisjoint(range(20_000))
    assert np.intersect1d(updated, removed).size == 0
    assert {f"{number:08d}"[-3:] for number in removed} == {"002"}


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="build/peers is missing: make bench makes it")
def test_quick_rows() -> None:
    rows = list(work("diff").measure(Sizes(quick=True, rounds=1)))
    ratios = [row for row in rows if row.unit == "×"]
    assert len(ratios) == 5
    assert [row.goal for row in ratios] == [2.0, 2.0, None, None, None]
    for row in ratios:
        for side in (row.ours, row.theirs):
            assert [side["counted"][key] for key in ("added", "removed", "updated")] == [20, 20, 160]
        assert row.ours["counted"]["records"] == 20 + 20 + 2 * 160
    assert all(row.goal == 2.0 and row.reached for row in rows if row.unit == "GB")
