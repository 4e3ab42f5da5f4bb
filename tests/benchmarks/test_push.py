"""The work ``push`` of the benchmarks: its quick mode writes the same records on every side."""

import pytest

from benchmarks.works import Sizes, work
from benchmarks.works.push import CALLS


@pytest.mark.slow
def test_quick_rows() -> None:
    rows = list(work("push").measure(Sizes(quick=True, rounds=1)))
    assert all(row.work == "push" and row.figure > 0 for row in rows)
    *loads, part = [row for row in rows if row.goal is not None]
    assert [row.name.rsplit(" ", 1)[-1] for row in loads] == list(CALLS)
    for row in loads:
        assert [one["written"] for one in (*row.ours["counted"], *row.theirs["counted"])] == [10_000, 10_000]
    assert [(one["written"], one["closed"]) for one in part.ours["counted"]] == [(100, 100)]
    assert [one["written"] for one in part.theirs["counted"]] == [10_000]
