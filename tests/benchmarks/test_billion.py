"""What a billion vectors would take: growth of seconds and memory, and what gives way first."""

from typing import Any

import pytest

from benchmarks import billion
from benchmarks.billion import BEGIN, END, Step, limits, page, sent
from benchmarks.page import PAGE
from benchmarks.rows import load

LINEAR = Step("linear", {100: 1.0, 1_000: 10.0, 10_000: 100.0}, {100: 100.0, 1_000: 200.0, 10_000: 1_100.0})
LARGE = Step("large", LINEAR.seconds, {1_000: 50.0 * 1024, 10_000: 100.0 * 1024})
CONSTANT = Step("constant", {100: 1.0, 1_000: 1.0, 10_000: 0.9}, {100: 100.0, 1_000: 100.0, 10_000: 90.0})


def test_seconds_grow_as_they_did_between_the_last_two_sizes() -> None:
    assert LINEAR.growth == pytest.approx(1.0)
    assert LINEAR.expected_s(1_000_000) == pytest.approx(10_000.0)
    assert CONSTANT.growth == 0.0
    assert CONSTANT.expected_s(1_000_000) == pytest.approx(0.9)


def test_memory_grows_with_each_vector() -> None:
    assert LINEAR.mb_a_vector == pytest.approx(0.1)
    assert LARGE.fits(200.0) == pytest.approx(10_000 + 18_000)
    assert CONSTANT.fits(1_000.0) == float("inf")


def test_memory_that_grows_is_a_limit_even_within_what_is_configured() -> None:
    """To keep within what is configured, at sizes that do not fill it, shows nothing."""
    assert LINEAR.kept
    assert not LINEAR.flat
    assert LINEAR.fits(2_000.0 / 1024) == pytest.approx(19_000)
    assert CONSTANT.flat
    found = limits([CONSTANT, LARGE], each=2_000.0, disk=4_000.0, free=1e12)
    assert [one for one in found if "*large* holds" in one.what]
    assert not [one for one in limits([CONSTANT], each=2_000.0, disk=4_000.0, free=1e12) if "GB of memory" in one.what]


def test_import_files_have_a_limit_of_their_own() -> None:
    peaks = {100: 5_000.0, 1_000: 5_000.0}
    assert Step("collect", peaks, peaks).kept
    assert not Step("import files", peaks, peaks).kept
    assert LARGE.kept is False


def test_how_many_vectors_an_hour_takes() -> None:
    assert LINEAR.within(3_600) == pytest.approx(360_000)
    assert CONSTANT.within(3_600) == float("inf")


def test_what_gives_way_first_comes_first() -> None:
    found = limits([LINEAR, CONSTANT], each=2_000.0, disk=4_000.0, free=40_000_000.0)
    assert "disk" in found[0].what
    assert found[0].vectors == pytest.approx(10_000)
    assert [one.vectors for one in found] == sorted(one.vectors for one in found)
    assert all(one.then for one in found)
    assert next(one for one in found if "import" in one.what).vectors == pytest.approx(5e8)
    assert next(one for one in found if "listing" in one.what).vectors == pytest.approx(200 * 100 * 86_400)


def test_a_request_is_larger_than_a_file() -> None:
    assert 2 * 1_700 < sent(1_700) < 4 * 1_700


def row(step: str, seconds: dict[str, float], peak: dict[str, float]) -> dict[str, Any]:
    return {
        "work": "scale",
        "name": f"{step}, 1,000 vectors",
        "ours": {"step": step, "seconds": seconds, "peak_mb": peak},
    }


def test_the_section_tells_steps_sizes_and_money() -> None:
    rows = [
        row("build", {"100": 1.0, "1000": 10.0}, {"100": 100.0, "1000": 200.0}),
        {"work": "scale", "name": "disk that was free", "ours": {"free_bytes": 10_000_000}},
        {"work": "scale", "name": "1,000 vectors, lake", "ours": {"files": 3, "bytes": 4_000_000}},
        {"work": "scale", "name": "1,000 vectors, import files", "ours": {"files": 2, "bytes": 2_000_000}},
    ]
    shown = page(rows)
    assert "| build | 10 s | 0.2 GB | n^1.00 | 2,777.8 h |" in shown
    assert "| import files | 0.0 GB, 2 files | 2.00 TB, 2,000,000 files |" in shown
    assert shown.startswith("The first thing to break, at 0 million vectors: lake and index fill")
    assert f"USD to import all | 0 | {2_000 * billion._PRICES.per_gb_imported:,.0f} |" in shown
    assert "no step held more than that and 1.5 GB. 0 of 1 steps held at most 10% more" in shown
    assert page([]) == ""


def test_the_page_shows_what_follows_from_the_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == page(load()["rows"]).strip()
