"""Rows of the table of speed: what is reached, what is kept, and that the page shows what was measured."""

import json
import os
import re
import resource
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import measured
from benchmarks.measuring import REPOSITORY, FailedError, Measured, Pair, Samples, Side, completed
from benchmarks.page import BEGIN, END, PAGE, bars, libraries, section, summary
from benchmarks.provenance import Provenance, provenance, versions
from benchmarks.rows import QUICK, RESULTS, Row, faster, keep, load
from benchmarks.works import Sizes

MADE = Provenance(
    "2026-11-22 17:05", "1b93cb8", True, "2 cores", (0.5, 1.0, 2.0), {"duckdb": "1.5.5"}, {"numpy": "2.4.6"}
)


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


def test_a_side_that_ran_once_is_compared_with_the_median_of_the_other() -> None:
    row = faster("update", "x", Pair(samples("ours", 1.0, 2.0, 4.0), samples("theirs", 8.0)), 1.5)
    assert (row.figure, row.spread) == (4.0, (2.0, 8.0))


def test_rows_of_a_work_replace_those_of_before(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    keep([Row("diff", "a", 1, "×", 2), Row("diff", "b", 3, "×", 2)], quick=True, path=path)
    keep([Row("push", "c", 1, "%", None)], quick=False, path=path)
    keep([Row("diff", "d", 4, "×", 2)], quick=False, path=path)
    rows = load(path)["rows"]
    assert [(row["work"], row["name"], row["reached"], row["quick"]) for row in rows] == [
        ("push", "c", None, False), ("diff", "d", True, False),
    ]  # fmt: skip


def test_where_rows_are_from_is_kept_for_each_work(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    path.write_text(
        json.dumps({"rows": [kept(Row("commit", "old", 1, "×", None)) | {"at": "2026-01-01", "machine": "1 core"}]})
    )
    keep([Row("diff", "a", 1, "×", 2)], quick=False, made=MADE, path=path)
    keep([Row("push", "b", 1, "%", None)], quick=False, made=replace(MADE, commit="fffffff", dirty=False), path=path)
    found = load(path)
    assert {work: (one["commit"], one["dirty"]) for work, one in found["works"].items()} == {
        "diff": ("1b93cb8", True), "push": ("fffffff", False),
    }  # fmt: skip
    assert found["works"]["diff"] == json.loads(json.dumps(asdict(MADE)))
    assert [(row["name"], row["figure"], row["goal"], row["reached"]) for row in found["rows"]] == [
        ("old", 1, None, None), ("a", 1, 2, False), ("b", 1, None, None),
    ]  # fmt: skip


def test_provenance_is_of_this_checkout_and_these_libraries(tmp_path: Path) -> None:
    made = provenance()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout
    assert head.startswith(made.commit)
    assert made.ours["duckdb"] == version("duckdb")
    assert "pytest" not in made.ours
    assert versions([str(tmp_path)]) == {}


def test_small_sizes_have_a_file_of_their_own_that_git_ignores() -> None:
    assert QUICK != RESULTS
    ignored = subprocess.run(["git", "check-ignore", "--quiet", str(QUICK)], cwd=REPOSITORY, check=False)
    assert ignored.returncode in {0, 128}, f"{QUICK} would be committed"  # 128: no checkout


def test_a_work_that_fails_stops_no_other_and_keeps_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    through: list[str] = []

    def broken(sizes: Sizes) -> Iterator[Row]:
        yield Row("diff", "half of it", 1, "×", None)
        raise ValueError("first\nin between\nlast")

    def whole(sizes: Sizes) -> Iterator[Row]:
        yield Row("push", "all of it", sizes.rounds, "%", None)

    found = measured({"diff": broken, "push": whole}, Sizes(rounds=7), lambda rows, _: through.append(rows[0].name))
    assert found["diff"] is None
    assert [row.figure for row in found["push"] or []] == [7]
    assert through == ["all of it"]
    told = capsys.readouterr().out
    assert "ValueError: first … last" in told
    assert "What was kept of it before stays as it is." in told
    assert "Traceback" not in told


def test_a_work_whose_rows_cannot_be_kept_stops_no_other() -> None:
    def one(sizes: Sizes) -> Iterator[Row]:
        yield Row("diff", "a", 1, "×", None)

    def through(rows: list[Row], made: Provenance) -> None:
        if not seen:
            seen.append(rows[0])
            raise OSError("no space left on device")

    seen: list[Row] = []
    found = measured({"diff": one, "push": one}, Sizes(), through)
    assert found["diff"] is None
    assert found["push"]


def test_a_full_disk_leaves_the_results_of_before(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    keep([Row("diff", "a", 1, "×", 2)], quick=False, path=path)
    before = path.read_text(encoding="utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            keep([Row("push", "b", 1, "×", 2)], quick=False, path=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_chart_shows_where_ours_takes_longer() -> None:
    times = Row("commit", "times Lance's time", 5.0, "×", 1.5, "at most", (4.0, 8.0), theirs={"seconds": [1]})
    fast = Row("commit", "against a copy", 3.8, "×", None, theirs={"seconds": [1]})
    alone = Row("update", "beyond against below", 0.16, "×", 1.25, "at most")
    turned, straight = bars([kept(row) for row in (times, fast, alone)])
    assert (turned.figure, turned.spread, turned.missed) == (0.2, [1 / 4, 1 / 8], True)
    assert turned.goal == pytest.approx(1 / 1.5)
    assert (straight.figure, straight.goal, straight.spread, straight.missed) == (3.8, None, None, False)


def test_a_failure_shows_where_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(sizes: Sizes) -> Iterator[Row]:
        raise ValueError("no")

    assert measured({"diff": broken}, Sizes(), lambda *_: None, verbose=True) == {"diff": None}
    assert "Traceback" in capsys.readouterr().out


def test_a_side_that_does_not_end_is_ended() -> None:
    with pytest.raises(FailedError, match=r"ours: not done after 0\.01 s: -m benchmarks\.ours\.lake diff nowhere"):
        Side("ours", "benchmarks.ours.lake", ("diff", "nowhere"), limit_s=0.01).run()


def test_what_a_side_started_ends_with_it() -> None:
    """A process that is still there holds the pipe open."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "wb") as stream:
        forks = [sys.executable, "-c", "import os, signal; os.fork(); signal.pause()"]
        with pytest.raises(FailedError, match="not done after 1 s"):
            completed("forks", forks, 1.0, stdout=stream)
        stream.close()
        assert select.select([ours], [], [], 30)[0], "somebody writes on"


def kept(row: Row) -> dict[str, Any]:
    return asdict(row) | {"reached": row.reached, "quick": False}


def test_works_are_counted_and_missed_rows_told() -> None:
    rows = [
        Row("diff", "a", 1, "×", 2),
        Row("diff", "b", 3, "×", 2),
        Row("push", "c", 95, "%", 90),
        Row("push", "d", 1, "s", None),
    ]
    told = summary([kept(row) for row in rows])
    assert told.startswith("1 of 10 works reach every goal. Not measured: *update*, *commit*, *cutover*")
    assert told.splitlines()[-1] == "- *diff*: a: 1 ×, goal at least 2 ×"


def test_notes_are_numbered_in_their_rows() -> None:
    rows = [
        Row("diff", "a", 1, "×", 2, note="joined", limit="the disk"), Row("diff", "b", 3, "×", 2, limit="not shown"),
        Row("diff", "c", 3, "×", None, note="joined"),
    ]  # fmt: skip
    lines = section("diff", [kept(row) for row in rows], asdict(MADE), None).splitlines()
    assert [line.rsplit("|", 2)[1].strip() for line in lines if line.startswith(("| a", "| b", "| c"))] == [
        "1, 2",
        "",
        "1",
    ]
    assert [line for line in lines if line[:1].isdigit()] == ["1. joined", "2. the disk"]
    measured = "Measured 2026-11-22 17:05 at `1b93cb8`, with changes that were not committed, on 2 cores"
    assert lines[-1] == f"{measured}, load 0.5 when it began."


def test_rows_without_provenance_are_drawn() -> None:
    old = kept(Row("diff", "a", 1, "×", None)) | {"at": "2026-01-01 10:00", "machine": "1 core"}
    assert section("diff", [old], None, None).endswith("\nMeasured 2026-01-01 10:00 on 1 core.")
    assert libraries({}) == ""


def test_versions_name_their_works_where_they_differ() -> None:
    made = {"diff": asdict(MADE), "push": asdict(replace(MADE, ours={"duckdb": "1.6.0"}))}
    assert libraries(made).splitlines()[-2:] == ["| duckdb | 1.5.5 (diff), 1.6.0 (push) |  |", "| numpy |  | 2.4.6 |"]


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


def test_the_readme_says_about_what_was_measured() -> None:
    text = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    said = re.search(
        r"of a million documents an update takes (\S+) s where nothing changed and about (\S+) s where 1% did", text
    )
    assert said is not None
    rows = {row["name"]: row["figure"] for row in load()["rows"]}
    for number, what in ((said[1], "nothing changed, file untouched"), (said[2], "1% changed")):
        assert float(number) == pytest.approx(rows[f"{what}, 1,000,000 documents, ours"], rel=0.3)


def test_a_missed_row_says_what_stands_in_the_way() -> None:
    assert not [row["name"] for row in load()["rows"] if row["reached"] is False and not row["limit"]]


def test_no_two_rows_of_a_work_are_told_apart_by_nothing() -> None:
    rows = Counter((row["work"], row["name"], row["unit"]) for row in load()["rows"])
    assert not [one for one, count in rows.items() if count > 1]
