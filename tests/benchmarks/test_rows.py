"""Rows of the table of speed: what is reached, what is kept, and that the page shows what was measured."""

import json
from pathlib import Path

import pytest

from benchmarks.measuring import FailedError, Measured, Pair, Samples, Side
from benchmarks.page import BEGIN, END, PAGE
from benchmarks.rows import RESULTS, Row, faster, keep, load


def samples(name: str, *seconds: float) -> Samples:
    return Samples(name, [Measured(one, 10.0) for one in seconds])


@pytest.mark.parametrize(
    ("figure", "kind", "goal", "reached"),
    [
        (2.0, "at least", 2.0, True),
        (1.9, "at least", 2.0, False),
        (0.9, "at most", 1.0, True),
        (5.0, "at most", None, None),
    ],
)
def test_what_is_reached(figure: float, kind: str, goal: float | None, reached: bool | None) -> None:
    assert Row("diff", "x", figure, "×", goal, kind).reached is reached  # type: ignore[arg-type]


def test_a_figure_is_a_ratio_of_medians_and_its_spread_of_rounds() -> None:
    pair = Pair(samples("ours", 1.0, 2.0, 4.0), samples("theirs", 2.0, 8.0, 4.0))
    row = faster("diff", "x", pair, 1.5)
    assert (row.figure, row.spread, row.reached) == (2.0, (1.0, 4.0), True)


def test_rows_of_a_work_replace_those_of_before(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    keep([Row("diff", "a", 1, "×", 2), Row("diff", "b", 3, "×", 2)], quick=True, path=path)
    keep([Row("push", "c", 1, "%", None)], quick=False, path=path)
    keep([Row("diff", "d", 4, "×", 2)], quick=False, path=path)
    rows = load(path)["rows"]
    assert [(row["work"], row["name"], row["reached"], row["quick"]) for row in rows] == [
        ("push", "c", None, False), ("diff", "d", True, False),
    ]  # fmt: skip


def test_a_side_that_fails_says_what_it_said() -> None:
    with pytest.raises(FailedError, match="unrecognized arguments: --nothing"):
        Side("ours", "benchmarks.ours.lake", ("diff", "nowhere", "--nothing")).run()


def test_the_page_shows_what_was_measured() -> None:
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    text = PAGE.read_text(encoding="utf-8")
    shown = text[text.index(BEGIN) : text.index(END)]
    assert rows
    for row in rows:
        assert f"| {row['name']} | {row['figure']:g} {row['unit']} |" in shown
        assert not row["quick"], f"{row['name']} was measured on small sizes"
        # The table of the issue is explained where it is not reached.
        assert row["reached"] is not False or row["limit"]
