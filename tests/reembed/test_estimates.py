"""Totals from samples: exact where everything was seen, and within the interval as often as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline.build.estimates import Estimate, expand


def population(kind: str, members: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of documents, and what is counted of each: about in proportion, in whole steps, with noise."""
    draw = np.random.default_rng(seed)
    sizes = {
        "even": np.full(members, 2000.0),
        "uneven": draw.lognormal(7, 1, members),
        "a few are huge": (draw.pareto(1.5, members) + 1) * 500,
    }[kind]
    return sizes, np.ceil(sizes / 900) + draw.poisson(sizes / 6000)


@pytest.mark.parametrize("kind", ["even", "uneven", "a few are huge"])
@pytest.mark.parametrize(("sample", "members"), [(40, 90), (200, 5_000)])
def test_the_truth_lies_in_the_interval_as_often_as_it_says(kind: str, sample: int, members: int) -> None:
    within, spreads = 0, []
    for seed in range(200):
        sizes, counts = population(kind, members, seed)
        taken = np.random.default_rng(seed + 1000).permutation(members)[:sample]
        found = expand(counts[taken], sizes[taken], members, float(sizes.sum()))
        within += found.low <= counts.sum() <= found.high
        spreads.append(found.spread)
    assert within >= 180
    assert np.median(spreads) < 0.15, "and it is one that tells something"


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=40),
    st.integers(0, 1000),
    st.floats(0, 1e9),
)
def test_what_was_seen_is_never_left_out(rows: list[tuple[float, float]], others: int, more: float) -> None:
    seen, sizes = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    found = expand(seen, sizes, len(rows) + others, float(sizes.sum()) + more)
    assert found.low <= found.value <= found.high
    assert found.low >= seen.sum() * (1 - 1e-9)
    assert found.exact or others
    if not others:
        assert found == Estimate.exactly(seen.sum())


def test_a_sample_that_shows_nothing_does_not_prove_that_there_is_nothing() -> None:
    nothing, sizes = np.zeros(100), np.full(100, 10.0)
    found = expand(nothing, sizes, 1000, 10_000.0, whole=5000.0)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.03 * 0.9 * 5000)
    assert found.spread == float("inf")
    unknown = expand(np.zeros(0), np.zeros(0), 10, 5.0)
    assert unknown.high == float("inf")


def test_estimates_add_up_and_scale() -> None:
    both = Estimate(10, 8, 13) + Estimate.exactly(5)
    assert both == Estimate(15, 13, 18)
    assert both.times(2) == Estimate(30, 26, 36)
    assert both.spread == pytest.approx(0.2)
    assert not both.exact
    assert both.count == 15
