"""Charts as gates describe them: what is drawn, what is told instead, and what no drawing may do."""

import math
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.conftest import NASTY, scatter
from vector_pipeline.report.page.charts import Histogram, Intervals, Undrawable, chart_of, charts_of
from vector_pipeline.report.page.scales import Scale, figure, middle, percent, shortened, ticks, width_of
from vector_pipeline.report.page.svg import colour_of, draw

HISTOGRAM = {
    "kind": "histogram",
    "title": "t",
    "edges": [0, 0.5, 1],
    "series": {"production": [1, 3], "candidate": [0, 0]},
}
BARS = {"kind": "bars", "title": "t", "labels": ["a", "b"], "series": {"x": [-1, None]}}
INTERVALS = {"kind": "intervals", "title": "t", "rows": [["a", 0.5, 0.2, 0.8, "1/2"]], "required": 0.9}


def drawn(chart: dict[str, Any], **options: bool) -> ElementTree.Element:
    made = chart_of(chart)
    assert not isinstance(made, Undrawable), made
    return ElementTree.fromstring(str(draw(made, **options)))


@pytest.mark.parametrize("chart", [HISTOGRAM, BARS, INTERVALS, scatter(30)], ids=lambda chart: chart["kind"])
def test_a_chart_is_whole_xml_with_words_for_who_does_not_see_it(chart: dict[str, Any]) -> None:
    for options in ({}, {"alone": True}):
        svg = drawn(chart, **options)
        assert chart["title"] in svg.get("aria-label", "")
        assert svg.get("role") == "img"
        boxes = [float(one.get("width", 0)) for one in svg.iter() if one.tag.endswith("rect")]
        assert all(0 <= width <= 360 for width in boxes)


def test_every_mark_says_what_it_is() -> None:
    titles = [one.text or "" for one in drawn(HISTOGRAM).iter() if one.tag.endswith("title")]
    assert titles == ["0 to 0.5: production 1, candidate 0", "0.5 to 1: production 3, candidate 0"]
    points = [one.text or "" for one in drawn(scatter(30)).iter() if one.tag.endswith("title")]
    assert len(points) == 30
    assert "doc9.md (removed)" in points


def test_a_text_in_a_chart_stays_a_text() -> None:
    svg = drawn({"kind": "scatter", "title": NASTY, "points": [[0, 0, NASTY, NASTY], [1, 1, "b", "added"]]}, alone=True)
    assert {one.tag.rpartition("}")[2] for one in svg.iter()} <= {"svg", "rect", "text", "circle", "title", "g", "line"}
    assert not any(name.startswith("on") for one in svg.iter() for name in one.attrib)


@pytest.mark.parametrize(
    ("chart", "said"),
    [
        ({"kind": "pie", "title": "pie"}, "'pie'"),
        ("no chart", "valid dictionary"),
        ({"title": "kindless"}, "kind"),
        ({**HISTOGRAM, "edges": [0, 1]}, "one count between two edges"),
        ({**HISTOGRAM, "edges": [0, 0, 1]}, "edges must rise"),
        ({**HISTOGRAM, "edges": [0, float("nan"), 1]}, "finite"),
        ({**BARS, "labels": ["a"]}, "one number a label"),
        ({"kind": "scatter", "points": []}, "at least 1"),
        ({"kind": "scatter", "points": [[0, 0, "a", "b"]] * 1501}, "at most 1500"),
        ({"kind": "table", "columns": ["a"], "rows": [[1, 2]]}, "one cell a column"),
    ],
)
def test_what_cannot_be_drawn_is_told(chart: Any, said: str) -> None:
    made = chart_of(chart)
    assert isinstance(made, Undrawable)
    assert said in made.why


def test_charts_of_a_detail_that_has_none() -> None:
    assert charts_of({}) == charts_of({"charts": "no list"}) == []


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=40),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(1e-6, 1e6, allow_nan=False),
)
def test_any_histogram_is_drawn(counts: list[int], start: float, step: float) -> None:
    edges = [start + step * n for n in range(len(counts) + 1)]
    made = chart_of({"kind": "histogram", "edges": edges, "series": {"candidate": counts}})
    if isinstance(made, Histogram):  # Steps may be lost beside a large start: then the edges do not rise.
        ElementTree.fromstring(str(draw(made)))


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_ticks_are_few_and_within(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 12
    # No number lies between two neighbouring floats: far from zero a narrow span is known as exactly as that.
    slack = span * 1e-6 + 1e-9 + math.ulp(abs(low) + span)
    assert all(low - slack <= one <= low + span + slack for one in found)


@pytest.mark.parametrize(("low", "high"), [(0, 5e-324), (1, 1.0000000000000002), (0, 1e-13), (-1e308, 1e308)])
def test_ticks_of_any_span(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) == len(set(found)) <= 12


@given(st.text(max_size=200))
def test_a_shortened_text_fits(text: str) -> None:
    assert width_of(shortened(text, 120)) <= 120


def test_figures() -> None:
    assert [figure(one) for one in (None, 0, 1204, 12.0, 0.73123, 1234.5, 0.0000213, True)] == [
        "–", "0", "1,204", "12", "0.731", "1,234", "2.1e-05", "1",
    ]  # fmt: skip
    assert [figure(one, 0.00025) for one in (1.00025, 0.99975, 1, 0.5, 1234.50025)] == [
        "1.00025", "0.99975", "1", "0.5", "1,234.50025",
    ]  # fmt: skip
    assert (percent(0.975), percent(1), percent(0)) == ("97.5%", "100%", "0%")
    assert middle([0, 1, 2], [0, 10]) == 1.5
    assert middle([0, 1], [0]) is None
    assert Scale(1, 1, 0, 10)(1) == 5


def test_known_names_keep_their_colours_and_others_get_different_ones() -> None:
    found = colour_of(["Production", "candidate", "x", "y"])
    assert (found["Production"], found["candidate"]) == ("production", "candidate")
    assert len(set(found.values())) == 4


def test_the_demanded_share_is_told() -> None:
    made = chart_of(INTERVALS)
    assert isinstance(made, Intervals)
    assert "required 90%" in str(draw(made))
    assert "s-removed" in str(draw(made))
