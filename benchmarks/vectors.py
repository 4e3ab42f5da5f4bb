"""The vectors that searches are measured on, written once and read by every side.

    python -m benchmarks.vectors FOLDER [--records N]

They are drawn, not embedded, and shaped as embeddings of text are: a mixture of 2,000 Gaussians (subjects) whose centres lie in
100 fields; all of unit length, two texts of one subject at a cosine of about 0.67, of one field at about 0.4. Queries are drawn
alike. A quarter of the records is of the kind ``guide``, one in ten was added after the version that is asked for, one in ten
removed before it: filters let about a fifth through.

    vectors.npy float32[n, 384]   queries.npy float32[256, 384]   kinds.npy int8[n]   added.npy, removed.npy int64[n]
    truth.npy int64[256, 10]: the nearest that pass the filters, by NumPy
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import said

DIMENSION, QUERIES, TOP_K = 384, 256, 10
KINDS = ("guide", "reference", "recipe", "note")
KIND, VERSION = 0, 2
"""What the filters ask for."""
_FIELDS, _SUBJECTS, _SPREAD, _STEP = 100, 2_000, 0.7, 50_000


@dataclass(frozen=True, slots=True)
class Data:
    """What a side reads before its clock starts."""

    vectors: NDArray[np.float32]
    queries: NDArray[np.float32]
    kinds: NDArray[np.int8]
    added: NDArray[np.int64]
    removed: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool[n]: what passes the filters."""
        return np.asarray((self.kinds == KIND) & (self.added <= VERSION) & (self.removed > VERSION), np.bool_)

    def recall(self, found: list[list[int]]) -> float:
        """Share of the true ten that were found, over the first ``len(found)`` queries."""
        hits = sum(len(set(mine) & set(true)) for mine, true in zip(found, self.truth.tolist(), strict=False))
        return hits / (len(found) * TOP_K)


def load(folder: Path) -> Data:
    """Everything in memory."""
    return Data(*(np.load(folder / f"{name}.npy") for name in Data.__slots__))


def unfiltered(data: Data) -> Data:
    """The same with the truth of searches without filters, by NumPy. 16 queries at a time, or a side's peak of memory is this."""
    parts = []
    for start in range(0, len(data.queries), 16):
        scores = data.queries[start : start + 16] @ data.vectors.T
        parts.append(np.argpartition(-scores, TOP_K - 1, axis=1)[:, :TOP_K])
    return replace(data, truth=np.concatenate(parts).astype(np.int64))


def record_id(number: int) -> str:
    return f"d{number:07d}#c"


def make(folder: Path, count: int) -> None:
    """Write all files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(8)
    fields = _unit(random.standard_normal((_FIELDS, DIMENSION), dtype=np.float32))
    centres = _drawn(random, fields, _SUBJECTS)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (count, DIMENSION))
    for start in range(0, count, _STEP):
        vectors[start : start + _STEP] = _drawn(random, centres, min(_STEP, count - start))
    vectors.flush()
    np.save(folder / "queries.npy", _drawn(random, centres, QUERIES))
    np.save(folder / "kinds.npy", random.integers(0, len(KINDS), count, dtype=np.int8))
    age = random.random(count)
    np.save(folder / "added.npy", np.where(age < 0.1, VERSION + 1, 1).astype(np.int64))
    np.save(folder / "removed.npy", np.where(age > 0.9, VERSION, 2**53 - 1).astype(np.int64))
    np.save(folder / "truth.npy", np.zeros((QUERIES, TOP_K), np.int64))
    data = load(folder)
    passing = np.flatnonzero(data.mask)
    scores = data.queries @ data.vectors[passing].T
    np.save(folder / "truth.npy", passing[np.argsort(-scores, axis=1, kind="stable")[:, :TOP_K]])


def _drawn(random: np.random.Generator, centres: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    noise = random.standard_normal((count, DIMENSION), dtype=np.float32) * np.float32(_SPREAD / DIMENSION**0.5)
    return _unit(centres[random.integers(0, len(centres), count)] + noise)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=100_000)
    given = parser.parse_args()
    started = time.perf_counter()
    make(given.folder, given.records)
    said(seconds=time.perf_counter() - started)


if __name__ == "__main__":
    main()
