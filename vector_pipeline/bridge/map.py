"""A fitted map from query vectors of one embedder to those of another, as it is kept.

Laws
----
1. ``apply`` is ``x @ matrix + offset``, of length one where the other embedder makes such vectors; float32 in, float32 out.
2. Bytes are numpy's own archive without pickle. The same map gives the same bytes, and reads back as it was.
3. A map's fingerprint covers its bytes and both embedders' fingerprints: the same numbers between another pair are another map.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from vector_pipeline.errors import CorruptError, InputError
from vector_pipeline.hashing import bytes_hash, fingerprint
from vector_pipeline.targets.base import Vector

Kind = Literal["procrustes", "affine"]
"""``procrustes``: a rotation, and a shift. ``affine``: a rotation with a correction of some rank, and a shift."""
_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class BridgeMap:
    """Queries of one embedder as those of another."""

    kind: Kind
    matrix: Vector
    """float32[d_new, d_old]."""
    offset: Vector
    """float32[d_old]."""
    normalise: bool
    """Whether what comes out has length one."""

    @property
    def shape(self) -> tuple[int, int]:
        """Dimensions: of what comes in, of what goes out."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def apply(self, vectors: Vector) -> Vector:
        """float32[n, d_old] of float32[n, d_new]. ``InputError`` for another dimension."""
        if vectors.ndim != 2 or vectors.shape[1] != self.shape[0]:
            raise InputError(f"vectors of shape {vectors.shape}, where the bridge takes {self.shape[0]} dimensions")
        mapped = np.asarray(vectors, dtype=np.float32) @ self.matrix + self.offset
        return scaled(mapped) if self.normalise else mapped

    def to_bytes(self) -> bytes:
        """How it is kept."""
        out = io.BytesIO()
        np.savez(
            out, format=np.int64(_FORMAT), kind=np.array(self.kind), matrix=self.matrix, offset=self.offset,
            normalise=np.bool_(self.normalise),
        )  # fmt: skip
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "BridgeMap":
        """``CorruptError`` for what is no map, or one of a later release."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as held:
                found = {name: held[name] for name in ("format", "kind", "matrix", "offset", "normalise")}
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise CorruptError("a bridge cannot be read", fix="Fit it again: vector-pipeline bridge fit") from error
        kind, matrix, offset = str(found["kind"]), found["matrix"], found["offset"]
        sound = kind in get_args(Kind) and matrix.ndim == 2 and offset.shape == matrix.shape[1:]
        numbers = matrix.dtype == offset.dtype == np.float32
        if int(found["format"]) != _FORMAT or not sound or not numbers or not _finite(matrix, offset):
            raise CorruptError("a bridge holds no map", fix="Fit it again: vector-pipeline bridge fit")
        return cls(cast(Kind, kind), matrix, offset, bool(found["normalise"]))


def name_of(data: bytes, from_embedder: str, to_embedder: str) -> str:
    """Fingerprint of a map's bytes between two embedders (law 3): 16 hex characters."""
    return fingerprint({"map": bytes_hash(data), "from": from_embedder, "to": to_embedder})


def scaled(vectors: Vector) -> Vector:
    """Rows of length one; one of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _finite(*arrays: Vector) -> bool:
    return all(bool(np.isfinite(one).all()) for one in arrays)
