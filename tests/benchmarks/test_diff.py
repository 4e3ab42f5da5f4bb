"""The work ``diff`` of the benchmarks: its sides have the same differences, and rows of the quick mode."""

import numpy as np
import pytest

from benchmarks.measuring import PEERS, FailedError, Measured, Pair, Samples
from benchmarks.revised import revised
from benchmarks.works import Sizes, work
from benchmarks.works.diff import agreed


def samples(name: str, *counts: tuple[int, int, int]) -> Samples:
    keys = ("added", "removed", "updated")
    return Samples(name, [Measured(1.0, 1.0, dict(zip(keys, found, strict=True))) for found in counts])


def test_one_in_a_hundred_differs() -> None:
    updated, removed, added = revised(20_000)
    assert [len(numbers) for numbers in (updated, removed, added)] == [160, 20, 20]
    assert set(added.tolist()).isdisjoint(range(20_000))
    assert np.intersect1d(updated, removed).size == 0
    assert {f"{number:08d}"[-3:] for number in removed} == {"002"}


def test_sides_that_count_otherwise_fail() -> None:
    ours = samples("ours", (1, 2, 3), (1, 2, 3))
    pair = Pair(ours, samples("theirs", (1, 2, 3), (1, 2, 3)))
    assert agreed(pair) is pair
    with pytest.raises(FailedError, match=r"ours: \(1, 2, 3\); theirs: \(1, 3, 3\)"):
        agreed(Pair(ours, samples("theirs", (1, 3, 3), (1, 3, 3))))


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
