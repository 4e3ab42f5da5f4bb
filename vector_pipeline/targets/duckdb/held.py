"""Vectors of a segment held in memory: two bytes a component, and how far that may be from the truth.

Laws
----
1. A vector is kept as its direction ``u`` (length one; a zero vector has none) and its length. ``u`` is ``scale * (coarse +
   fine / 254)``, give or take ``fine_error`` in Euclidean length; without ``fine``, give or take ``coarse_error``.
2. So, by Cauchy and Schwarz, an inner product with a query's direction is known to within those errors: what cannot be among the
   nearest is left out, and nothing else is. Scores come from DuckDB, never from here.
3. Segments with lengths beyond ``_SHORTEST`` and ``_LONGEST``, whose squares 32-bit floats may not hold, are not held.
"""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vector_pipeline.targets.base import Vector
from vector_pipeline.targets.duckdb.kernel import Bytes

_SHORTEST, _LONGEST = 1e-12, 1e12
_BATCH = 4_096
FINER = 254
"""Steps of ``fine`` in one of ``coarse``."""


@dataclass(frozen=True, slots=True)
class Held:
    """Vectors by their position in the segment."""

    coarse: Bytes
    """int8[n, dim]."""
    fine: Bytes
    """int8[n, dim]."""
    scale: Vector
    """float32[n]."""
    length: Vector
    """float32[n]: Euclidean."""
    coarse_error: float
    fine_error: float

    @property
    def nbytes(self) -> int:
        return self.coarse.nbytes + self.fine.nbytes + self.scale.nbytes + self.length.nbytes


def bytes_of(records: int, dimension: int) -> int:
    """What holding that many vectors takes."""
    return records * (2 * dimension + 8)


def measurable(lengths: Vector) -> bool:
    """Whether float32[n] lengths are zero or of a size that 32-bit arithmetic is good for."""
    return bool(np.all((lengths == 0) | ((lengths > _SHORTEST) & (lengths < _LONGEST))))


def directions(vectors: Vector, lengths: Vector) -> Vector:
    """float32[n, dim] of length one; zero where a vector is."""
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths)[:, None], np.float32)


def in_bytes(units: Vector) -> tuple[Bytes, Vector, Vector]:
    """int8[n, dim] and float32[n] scales of directions, and what they leave: float32[n, dim]."""
    scale = np.abs(units).max(axis=1) / np.float32(127)
    scale = np.where(scale == 0, np.float32(1), scale)
    coarse = np.rint(units / scale[:, None])
    return coarse.astype(np.int8), scale, units - coarse * scale[:, None]


def read(
    cursor: duckdb.DuckDBPyConnection, table: str, records: int, dimension: int, stopped: Callable[[], bool]
) -> Held | None:
    """Read a segment's vectors; None where they cannot be held (law 3), or ``stopped`` says that nobody wants them any more."""
    held = Held(
        np.empty((records, dimension), np.int8),
        np.empty((records, dimension), np.int8),
        np.empty(records, np.float32),
        np.empty(records, np.float32),
        0.0,
        0.0,
    )
    coarse_error = fine_error = 0.0
    reader = cursor.execute(f"SELECT rowid AS position, vector, norm FROM {table}").to_arrow_reader(_BATCH)
    for batch in reader:
        positions, vectors, lengths = columns(batch, dimension)
        if stopped() or not measurable(lengths):
            return None
        coarse, scale, rest = in_bytes(directions(vectors, lengths))
        finer = scale[:, None] / np.float32(FINER)
        fine = np.clip(np.rint(rest / finer), -127, 127)
        coarse_error = max(coarse_error, _longest(rest))
        fine_error = max(fine_error, _longest(rest - fine * finer))
        held.coarse[positions], held.fine[positions] = coarse, fine.astype(np.int8)
        held.scale[positions], held.length[positions] = scale, lengths
    return Held(held.coarse, held.fine, held.scale, held.length, coarse_error, fine_error)


def columns(batch: pa.RecordBatch, dimension: int) -> tuple[NDArray[np.int64], Vector, Vector]:
    """Positions int64[n], vectors float32[n, dim] and lengths float32[n] of a batch, without a copy."""
    vectors = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    return batch.column("position").to_numpy(), vectors, batch.column("norm").to_numpy()


def _longest(vectors: Vector) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max(initial=0)))
