"""Inner products of bytes. The one owner of simsimd, whose kernels use what the processor has (AVX-512 VNNI, NEON)."""

import numpy as np
import simsimd
from numpy.typing import NDArray

from vector_pipeline.targets.base import Vector

Bytes = NDArray[np.int8]


def products(queries: Bytes, rows: Bytes) -> Vector:
    """float32[m, n]: inner products of int8[m, dim] with int8[n, dim]. Sums are exact; to hold one may cost its last bits
    (2**-24 of it)."""
    out = np.empty((len(queries), len(rows)), np.float32)
    simsimd.cdist(queries, rows, metric="dot", out=out, out_dtype="float32")
    return out
