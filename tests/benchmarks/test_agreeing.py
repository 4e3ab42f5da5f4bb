"""Sides that did not do the same work fail, whatever their seconds."""

from pathlib import Path

import pytest

from benchmarks.agreeing import agreed, expect
from benchmarks.files import size
from benchmarks.measuring import FailedError, Measured, Pair, Samples

KEYS = ("added", "removed", "updated")


def samples(name: str, *counts: tuple[int, int, int]) -> Samples:
    return Samples(name, [Measured(1.0, 1.0, dict(zip(KEYS, found, strict=True))) for found in counts])


def test_sides_that_count_otherwise_fail() -> None:
    ours = samples("ours", (1, 2, 3), (1, 2, 3))
    pair = Pair(ours, samples("theirs", (1, 2, 3), (1, 2, 3)))
    assert agreed(pair, *KEYS) is pair
    with pytest.raises(FailedError, match=r"ours: \(1, 2, 3\); theirs: \(1, 2, 3\); theirs: \(1, 3, 3\)"):
        agreed(Pair(ours, samples("theirs", (1, 2, 3), (1, 3, 3))), *KEYS)


def test_a_side_that_counts_nothing_fails() -> None:
    silent = Samples("theirs", [Measured(1.0, 1.0)])
    with pytest.raises(FailedError, match=r"ours: \(1,\); theirs: \(None,\)"):
        agreed(Pair(samples("ours", (1, 2, 3)), silent), "added")


def test_a_run_that_did_less_than_expected_fails() -> None:
    expect("theirs", {"written": 100, "closed": 0, "requests": 7}, written=100, closed=0)
    with pytest.raises(FailedError, match=r"theirs: counted \{'written': 99\} and not \{'written': 100\}"):
        expect("theirs", {"written": 99}, written=100)
    with pytest.raises(FailedError, match="'written': None"):
        expect("theirs", {}, written=0)


def test_bytes_of_a_folder_are_those_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"12")
    (tmp_path / "deep" / "deeper" / "two").write_bytes(b"345")
    assert size(tmp_path) == 5
