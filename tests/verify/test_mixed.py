"""Whether vectors come from one model: laws over generated vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.given_vectors import Vectors, directions
from vector_pipeline.verify.sampling import VectorSample
from vector_pipeline.verify.shift.form import distinct, form_of, odd_axes, odd_copies, odd_lengths, odd_rounding
from vector_pipeline.verify.shift.mixed import directed, relate, shard_blocks, unit
from vector_pipeline.verify.shift.profile import profile


def sample(vectors: Vectors, shards: np.ndarray | None = None) -> VectorSample:
    names = tuple(f"d{n}" for n in range(len(vectors)))
    places = np.zeros(len(vectors), np.int32) if shards is None else shards.astype(np.int32)
    return VectorSample(names, names, places, vectors, len(vectors))


def turned(vectors: Vectors, seed: int) -> Vectors:
    size = vectors.shape[1]
    return (vectors @ np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]).astype(np.float32)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), count=st.sampled_from([20, 60]))
def test_the_same_model_is_related_and_a_turned_one_is_not(seed: int, count: int) -> None:
    base, group = directions(400, 64, seed), directions(count, 64, seed + 5000)
    assert not relate(sample(group), sample(base)).unrelated  # type: ignore[union-attr]
    strange = relate(sample(turned(group, seed)), sample(base))
    assert strange is not None
    assert strange.evidence < 6
    assert strange.strangers >= 0.7
    assert strange.own > 10


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_random_shards_are_of_one_kind_whatever_they_are_called(seed: int) -> None:
    chance = np.random.default_rng(seed + 9999)
    vectors, shards = directions(240, 32, seed, topics=5, spread=0.5), chance.integers(6, size=240)
    found = shard_blocks(sample(vectors, shards))
    assert found is not None
    assert found.p > 1e-4 or found.relation > 0.7
    names = chance.permutation(6) * 10
    again = shard_blocks(sample(vectors, names[shards]))
    assert again is not None
    assert (again.documents, again.shards) == (found.documents, found.shards)
    assert again.relation == pytest.approx(found.relation, rel=1e-3)


@pytest.mark.parametrize("foreign", [[2], [0, 3, 5], [1, 4]])
def test_shards_of_another_model_stand_apart(foreign: list[int]) -> None:
    shards = np.arange(240) % 6
    vectors = directions(240, 64, 4)
    vectors[np.isin(shards, foreign)] = turned(vectors, 1)[np.isin(shards, foreign)]
    found = shard_blocks(sample(vectors, shards))
    assert found is not None
    assert set(found.apart) in (set(foreign), set(range(6)) - set(foreign))
    assert found.p < 1e-4
    assert found.relation < 0.6


def test_too_little_says_nothing() -> None:
    few, many = sample(directions(19, 32, 1)), sample(directions(200, 32, 2))
    assert relate(few, many) is None
    assert relate(many, few) is None
    assert shard_blocks(many) is None
    assert shard_blocks(sample(directions(40, 32, 3), np.arange(40) % 2)) is None


def test_vectors_without_direction_are_set_aside() -> None:
    vectors = directions(6, 4, 1)
    vectors[1], vectors[3, 2], vectors[4, 0] = 0, np.nan, np.inf
    assert directed(sample(vectors)).document_ids == ("d0", "d2", "d5")
    np.testing.assert_allclose(np.linalg.norm(unit(vectors), axis=1), [1, 0, 1, 0, 0, 1], atol=1e-6)


def test_a_base_that_is_so_itself_makes_nothing_odd() -> None:
    step = np.float32(1 / 128)
    rounded = np.round(directions(300, 64, 1) / step) * step
    loose = directions(300, 64, 2) * np.random.default_rng(0).uniform(1, 9, (300, 1)).astype(np.float32)
    equal = np.repeat(directions(30, 64, 3), 10, axis=0)
    assert not odd_rounding(rounded[:50], rounded[50:]).rows.any()
    assert not odd_lengths(loose[:50], loose[50:]).rows.any()
    assert not odd_copies(equal[:50], equal[50:]).rows.any()
    assert odd_copies(equal[:50], loose).rows.all()


def test_resting_axes_and_rounding_are_told_by_the_vector() -> None:
    base, group = directions(300, 64, 1), directions(40, 64, 2)
    base[:, 7] = 0.25
    group[:10, 7] = 0.25
    assert odd_axes(group, base).rows.tolist() == [False] * 10 + [True] * 30
    assert not odd_axes(group, base[:150]).rows.any()
    half = group.astype(np.float16).astype(np.float32)
    assert not odd_rounding(half, base).rows.any()
    assert distinct(np.array([[1, -1, 2, 0], [0, 0, 0, 0], [1, 2, 3, 4]], np.float32)).tolist() == [2 / 3, 1, 1]


def test_numbers_of_known_distributions() -> None:
    chance = np.random.default_rng(0)
    ball = chance.normal(size=(4000, 8)).astype(np.float32)
    form = form_of(ball)
    assert form.effective_rank == pytest.approx(8, rel=0.02)
    assert form.mean_cosine == pytest.approx(0, abs=0.01)
    assert form_of(np.repeat(ball[:1], 9, axis=0)).mean_cosine == pytest.approx(1)
    moved = ball[:2000] + np.float32(0.5) * np.eye(8, dtype=np.float32)[0]
    seen = profile(moved, ball[2000:], 0.001)
    # The spread is the root of 8; the shift along one axis gives a normal's Kolmogorov-Smirnov distance of 0.197.
    assert seen.centroid_low < 0.5 / 8**0.5 < seen.centroid_high
    assert seen.max_ks == pytest.approx(0.197, abs=0.04)
    assert seen.ks_p < 1e-6
    same = profile(ball[:2000], ball[2000:], 0.001)
    assert same.centroid_low == 0
    assert same.ks_p > 0.01
