"""Laws of the fit: on vectors whose true map is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.bridge.fit import Fitted, Pairs, Trial, fit, procrustes
from vector_pipeline.bridge.map import BridgeMap, scaled
from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Vector


def unit(count: int, dimension: int, seed: int) -> Vector:
    return scaled(np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32))


def rotation(dimension: int, seed: int) -> Vector:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))[0].astype(np.float32)


def fitted(new: Vector, old: Vector, *, normalise: bool = True, metric: str = "cosine") -> Fitted:
    half = len(new) // 2
    trial = Trial(Pairs(new[half:], old[half:]), old, 5, metric)
    return fit(Pairs(new[:half], old[:half]), trial, normalise=normalise)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 24), st.integers(0, 2**32 - 1))
def test_a_rotation_is_recovered(dimension: int, seed: int) -> None:
    new, turn = unit(200, dimension, seed), rotation(dimension, seed + 1)
    found = fitted(new, new @ turn)
    assert found.recalls[0] > 0.99
    for one in found.maps:
        if one.kind == "procrustes":
            np.testing.assert_allclose(one.matrix, turn, atol=1e-3)
            np.testing.assert_allclose(one.apply(new), new @ turn, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 16), st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_what_zeros_beside_the_smaller_dimension_give(wide: int, narrow: int, seed: int) -> None:
    new, old = unit(100, wide, seed), unit(100, narrow, seed + 1)
    found = procrustes(new, old)
    most = max(wide, narrow)
    padded = [np.pad(one, ((0, 0), (0, most - one.shape[1]))) for one in (new, old)]
    assert found.shape == (wide, narrow)
    gram = found @ found.T if wide <= narrow else found.T @ found
    np.testing.assert_allclose(gram, np.eye(min(wide, narrow)), atol=1e-4)
    # No square rotation between the padded ones is nearer.
    left, _, right = np.linalg.svd(padded[0].T.astype(np.float64) @ padded[1].astype(np.float64))
    best = float(np.trace(padded[1].T @ padded[0] @ (left @ right)))
    assert float(np.trace(old.T @ new @ found)) == pytest.approx(best, abs=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 24), st.integers(0, 2**32 - 1))
def test_one_space_twice_keeps_everything(dimension: int, seed: int) -> None:
    vectors = unit(200, dimension, seed)
    found = fitted(vectors, vectors)
    assert found.recalls[0] > 0.99
    np.testing.assert_allclose(found.maps[0].apply(vectors), vectors, atol=2e-2)


def test_a_cut_dimension_is_a_bridge_that_loses_little() -> None:
    new = unit(600, 32, 1)
    assert fitted(new, scaled(new[:, :16])).recalls[0] > 0.9


def test_any_linear_map_is_learnt_by_the_correction() -> None:
    random = np.random.default_rng(3)
    new = unit(1_500, 12, 4)
    true = np.diag(np.linspace(0.1, 2, 12)).astype(np.float32) @ rotation(12, 5)
    old = scaled(new @ true + random.standard_normal(12).astype(np.float32) * 0.1)
    found = fitted(new, old)
    assert found.maps[0].kind == "affine"
    assert found.recalls[0] > found.recalls[1]
    assert found.recalls[0] > 0.7


@pytest.mark.parametrize("metric", ["dotproduct", "euclidean"])
def test_lengths_are_kept_where_they_mean_something(metric: str) -> None:
    random = np.random.default_rng(6)
    new = random.standard_normal((1_000, 12)).astype(np.float32) + 2
    old = new @ rotation(12, 7) * 3 + 1
    found = fitted(new, old, normalise=False, metric=metric)
    assert found.recalls[0] > 0.95
    np.testing.assert_allclose(found.maps[0].apply(new[:50]), old[:50], rtol=0.05, atol=0.3)


def test_pairs_that_were_mixed_up_keep_nothing() -> None:
    old = unit(1_000, 16, 8)
    new = (old @ rotation(16, 9))[np.random.default_rng(10).permutation(1_000)]
    assert max(fitted(new, old).recalls) < 0.2


def test_few_pairs_are_refused() -> None:
    vectors = unit(10, 4, 1)
    with pytest.raises(InputError, match="10 pairs fit no bridge"):
        fit(Pairs(vectors, vectors), Trial(Pairs(vectors, vectors), vectors, 3), normalise=True)
    with pytest.raises(InputError, match="no pairs"):
        Pairs(vectors, vectors[:3])


def test_one_dimension_is_enough() -> None:
    vectors = unit(100, 1, 2)
    assert isinstance(fitted(vectors, vectors).maps[0], BridgeMap)
