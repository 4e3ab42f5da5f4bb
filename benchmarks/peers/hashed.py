"""``vector_pipeline.embedding.deterministic`` without the rest: the same numbers, for those who may not import it."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DIMENSION = 64
_BUCKETS = 4
_WORD = re.compile(r"\w+")
_SEED = hashlib.blake2b(b"synthetic", digest_size=32).digest()
_known: dict[str, tuple[int, ...]] = {}


def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32[n, 64] of unit length."""
    codes: list[int] = []
    lengths: list[int] = []
    for text in texts:
        before = len(codes)
        for word in _WORD.findall(text.casefold()):
            codes += _known.get(word) or _known.setdefault(word, _hash(word))
        lengths.append(len(codes) - before)
    flat = np.asarray(codes, dtype=np.int64)
    rows = np.repeat(np.arange(len(texts)), lengths)
    sums = np.bincount(
        rows * DIMENSION + flat // 2, weights=1.0 - 2.0 * (flat % 2), minlength=len(texts) * DIMENSION
    ).reshape(len(texts), DIMENSION)
    vectors: npt.NDArray[np.float32] = sums.astype(np.float32)
    vectors /= np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None].astype(np.float32)
    return vectors


def _hash(word: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), key=_SEED, digest_size=8 * _BUCKETS).digest()
    numbers = (int.from_bytes(digest[i : i + 8], "big") for i in range(0, len(digest), 8))
    return tuple(2 * ((number >> 1) % DIMENSION) + (number & 1) for number in numbers)
