"""Bins: shares of n are counted where they are, and edges can be drawn whatever the values are."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline.report.page.charts import Histogram, chart_of
from vector_pipeline.report.page.svg import draw
from vector_pipeline.verify.bins import share_edges, value_edges


@given(st.integers(1, 120))
def test_every_share_of_n_lies_inside_its_bin(n: int) -> None:
    edges = share_edges(n)
    assert len(edges) <= 53
    assert (np.diff(edges) > 0).all()
    shares = np.arange(n + 1) / n
    counts, _ = np.histogram(shares, edges)
    assert counts.sum() == n + 1
    assert np.abs(shares[:, None] - edges).min() > 0.4 / n
    if n <= 50:
        assert counts.tolist() == [1] * (n + 1)


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.integers(1, 40))
def test_edges_of_values_rise_and_hold_them(first: float, second: float, bins: int) -> None:
    low, high = sorted((first, second))
    edges = value_edges(low, high, bins)
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= low <= high <= edges[-1]
    assert len(edges) == bins + 1


@pytest.mark.parametrize("length", [1.0, 1e-6, 250.0])
def test_lengths_that_rounding_alone_keeps_apart_are_one_bar_on_an_axis_that_can_be_read(length: float) -> None:
    random = np.random.default_rng(0)
    values = length * (1 + random.normal(0, 1e-8, 300))
    edges = value_edges(values.min(), values.max(), 31)
    counts, _ = np.histogram(values, edges)
    assert counts[15] == 300
    chart = chart_of({"kind": "histogram", "edges": edges.tolist(), "series": {"candidate": counts.tolist()}})
    assert isinstance(chart, Histogram)
    drawn = str(draw(chart))
    marks = re.findall(r'text-anchor="middle" class="tick">([^<]*)<', drawn)
    assert len(marks) == len(set(marks)) >= 3
    names = [one.split(":")[0] for one in re.findall(r"<title>([^<]*)<", drawn)]
    assert len(names) == len(set(names)) == 31
