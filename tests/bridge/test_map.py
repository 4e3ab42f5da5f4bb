"""A map as it is kept."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.bridge.map import BridgeMap, name_of
from vector_pipeline.errors import CorruptError, InputError


def made(new: int, old: int, seed: int, *, normalise: bool = True) -> BridgeMap:
    random = np.random.default_rng(seed)
    return BridgeMap(
        "affine", random.standard_normal((new, old)).astype(np.float32), random.standard_normal(old).astype(np.float32),
        normalise,
    )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.booleans())
def test_bytes_are_the_map(new: int, old: int, seed: int, normalise: bool) -> None:
    one = made(new, old, seed, normalise=normalise)
    again = BridgeMap.from_bytes(one.to_bytes())
    assert again.to_bytes() == one.to_bytes()
    assert (again.kind, again.shape, again.normalise) == (one.kind, (new, old), normalise)
    asked = np.random.default_rng(seed).standard_normal((3, new)).astype(np.float32)
    np.testing.assert_array_equal(again.apply(asked), one.apply(asked))
    assert again.apply(asked).dtype == np.float32
    if normalise:
        np.testing.assert_allclose(np.linalg.norm(one.apply(asked), axis=1), 1, rtol=1e-5)


def test_another_pair_is_another_bridge() -> None:
    data = made(3, 2, 1).to_bytes()
    names = {
        name_of(data, "a", "b"),
        name_of(data, "b", "a"),
        name_of(data, "a", "c"),
        name_of(made(3, 2, 2).to_bytes(), "a", "b"),
    }
    assert len(names) == 4
    assert name_of(data, "a", "b") == name_of(data, "a", "b")


def test_another_dimension_is_refused() -> None:
    with pytest.raises(InputError, match="takes 3 dimensions"):
        made(3, 2, 1).apply(np.zeros((1, 2), np.float32))


def test_a_vector_of_zeros_stays_one() -> None:
    flat = BridgeMap("procrustes", np.zeros((2, 2), np.float32), np.zeros(2, np.float32), True)
    np.testing.assert_array_equal(flat.apply(np.ones((1, 2), np.float32)), np.zeros((1, 2)))


def _saved(**changes: object) -> bytes:
    values = {
        "format": np.int64(1), "kind": np.array("affine"), "matrix": np.eye(2, dtype=np.float32),
        "offset": np.zeros(2, np.float32), "normalise": np.bool_(True),
    }  # fmt: skip
    out = io.BytesIO()
    np.savez(out, **{**values, **changes})  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nothing", pickle.dumps({"kind": "affine"}), _saved()[:-40], _saved(format=np.int64(2)),
        _saved(kind=np.array("other")), _saved(offset=np.zeros(3, np.float32)), _saved(matrix=np.eye(2)),
        _saved(matrix=np.full((2, 2), np.nan, np.float32)), _saved(matrix=np.zeros(2, np.float32)),
        _saved(kind=np.array([{}], dtype=object)),
    ],
)  # fmt: skip
def test_what_is_no_map_is_told(data: bytes) -> None:
    with pytest.raises(CorruptError, match="bridge"):
        BridgeMap.from_bytes(data)
