"""The work ``commit`` of the benchmarks: rows of the quick mode."""

import pytest

from benchmarks.measuring import PEERS
from benchmarks.works import Sizes, work


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="build/peers is missing: make bench makes it")
def test_quick_rows() -> None:
    rows = list(work("commit").measure(Sizes(quick=True, rounds=1)))
    plain, indexed, alone, in_bytes, of_copy, copied = rows
    for side in (plain.ours, plain.theirs, indexed.ours, indexed.theirs):
        assert side["counted"]["records"] == 200
    # The goal is against the faster of Lance's two ways, and times are times: what is smaller is better.
    fast, slow = sorted((plain, indexed), key=lambda row: row.theirs["seconds"])
    assert (fast.goal, slow.goal, alone.goal, in_bytes.goal) == (1.5, None, 1.5, 1.5)
    assert all(row.kind == "at most" for row in rows[:5])
    assert fast.figure == pytest.approx(fast.ours["seconds"][0] / fast.theirs["seconds"][0], rel=0.02, abs=0.01)
    assert 0 < alone.figure <= fast.figure
    assert fast.ours["counted"]["bytes"] == in_bytes.ours["bytes"] > 0
    assert of_copy.theirs["bytes"] > 20_000 * 384 * 4
    assert copied.goal is None
