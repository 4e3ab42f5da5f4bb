"""Rows of ``scale`` and ``cutover``, from what ``benchmarks.release`` says."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.billion import page
from benchmarks.release import CHANGED, TURNS
from benchmarks.rows import Row
from benchmarks.synthetic import OFF
from benchmarks.works.cutover import released
from benchmarks.works.cutover import rows as cutover_rows
from benchmarks.works.scale import COPY, rows

SECONDS = {
    "push, first load": 500.0, "push, 1% changed": 20.0, "verify, 1% changed": 300.0, "promote, cut over": 0.03,
    "promote, again": 0.2, "roll back": 0.01, "roll back, again": 0.1, "import files": 80.0, COPY: 5.0,
}  # fmt: skip


def run(count: int) -> dict[str, Any]:
    """As it says, with steps of linear seconds."""
    steps = {name: step(took * count / 10_000) for name, took in SECONDS.items()}
    for one in ("promote, cut over", "roll back"):
        steps[one]["written"] = 0
    steps["import files"]["bytes"], steps[COPY]["bytes"] = 17_000 * count, 4_000 * 10_000
    return {"steps": steps, "kept": {part: {"files": 3, "bytes": count} for part in ("lake", "index", "import files")}}


def step(took: float) -> dict[str, Any]:
    return {"seconds": took, "every": [took / 2, took, 2 * took], "peak_mb": 100}


def kept(found: list[Row]) -> list[Mapping[str, Any]]:
    return [{"work": row.work, "name": row.name, "ours": row.ours} for row in found]


def test_a_copy_of_some_files_is_no_step() -> None:
    """Beyond a size it copies no more of them: seconds that do not grow, which a billion would be reckoned from."""
    found = list(rows({count: run(count) for count in (1_000, 10_000)}, 10**9))
    assert {row.ours["step"] for row in found if "step" in row.ours} == SECONDS.keys() - {COPY}
    assert "import files | 80 s" in page(kept(found))
    assert COPY not in page(kept(found))


def test_a_verify_says_which_gates_are_off() -> None:
    found = [*rows({count: run(count) for count in (1_000, 10_000)}, 10**9)]
    notes = [
        row.note for row in found if row.name.startswith(("cut over, 10,000 records", "verify")) and row.unit == "s"
    ]
    assert len(notes) == 2
    assert all(gate in note for note in notes for gate in OFF)


def test_a_cut_over_is_told_warm_and_alone_and_against_a_push_of_what_differs() -> None:
    found = {(row.name, row.unit): row for row in cutover_rows("cutover", 10_000, run(10_000)["steps"])}
    moved, ratio = found["cut over, 10,000 records", "s"], found["cut over, 10,000 records, against a push of 1%", "×"]
    assert (moved.figure, moved.spread) == (0.03, (0.015, 0.06))
    assert "alone in a process, which opens them within its clock: 0.2 s, at most 0.4 s" in moved.note
    assert (ratio.figure, ratio.ours, ratio.theirs) == (100.0, {"seconds": 0.2}, {"seconds": 20.0})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_release_of_as_many_changes_is_a_step_at_every_size() -> None:
    runs = {count: released(count, "--files", "--memory", "1GB", "--dimension", "8") for count in (2_000, 4_000)}
    for said in runs.values():
        steps = said["steps"]
        assert steps[f"build, {CHANGED:,} changed"]["changed"] == CHANGED
        assert steps[f"push, {CHANGED:,} changed"]["vectors"] == CHANGED
        assert len(steps[f"plan, {CHANGED:,} changed"]["every"]) == TURNS
    found = list(rows(runs, 10**9))
    for name in ("build", "plan", "push"):
        assert [row for row in found if row.name == f"{name}, {CHANGED:,} changed, 4,000 vectors" and "n^" in row.note]
        assert f"| {name}, {CHANGED:,} changed |" in page(kept(found))
