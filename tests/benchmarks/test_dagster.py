"""The work ``dagster`` of the benchmarks: its parts sum to the run, and the row of the quick mode."""

import re

import pytest

from benchmarks.measuring import Measured, Pair, Samples
from benchmarks.ours.chain import OFF
from benchmarks.works import Sizes, work
from benchmarks.works.dagster import MOST, _limit


def run(seconds: float, imports: float, within: float, judging: float, others: float, events: int) -> Measured:
    counted = {"imports_s": imports, "run_s": within, "judging_s": judging, "others_s": others, "events": events}
    return Measured(seconds, 1.0, counted)


def test_parts_of_the_median_run_sum_to_it() -> None:
    ours = [run(9.0, 1.0, 5.0, 1.0, 1.0, 70), run(3.0, 1.2, 1.5, 0.7, 0.5, 70), run(2.0, 1.0, 0.5, 0.1, 0.1, 70)]
    said = _limit(Pair(Samples("ours", ours), Samples("theirs", [run(1.0, 0.6, 0.3, 0.0, 0.1, 11)])))
    assert said.startswith("The goal would be 2.00 s. Of our 3.00 s: imports before all 1.20 s (0.60 s there); ")
    parts = re.findall(r"(?:all|job|report|other steps|\),) (\d\.\d\d) s", said)
    assert parts == ["1.20", "0.30", "0.70", "0.50", "0.30"]
    assert "70 events in the run (11 there)" in said
    assert said.endswith("Without the steps it would be 1.80 ×.")


@pytest.mark.slow
def test_quick_rows() -> None:
    (row,) = work("dagster").measure(Sizes(quick=True, rounds=1))
    assert (row.goal, row.kind) == (MOST, "at most")
    ours, theirs = row.ours["counted"], row.theirs["counted"]
    assert ours["checks"] > 10
    assert (theirs["checks"], theirs["judging_s"]) == (0, 0.0)
    assert ours["events"] > theirs["events"] > 0
    assert 0 < ours["judging_s"] + ours["others_s"] < ours["run_s"] < row.ours["seconds"] - ours["imports_s"]
    assert all(gate in row.note for gate in OFF)
