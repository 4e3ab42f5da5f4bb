"""What every embedder does the same way: the check of a configured dimension, and the last step before vectors leave.

Laws
----
1. A vector that leaves an embedder is float32, C-contiguous, finite, of the promised width, and of unit length where
   asked.
2. The last step of a row depends on that row alone: a text's vector is not moved here by its neighbours in the batch.
"""

import numpy as np
import numpy.typing as npt

from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Vectors
from vector_pipeline.errors import ConfigError, CorruptError


def agreed_dimension(config: EmbedderConfig, native: int, *, may_cut: bool, default: int | None = None) -> int:
    """Width of the vectors that leave: the configured one if the model can give it.

    Args:
        native: width that the model itself makes.
        may_cut: the model's first components stand alone (Matryoshka), so a smaller dimension is not a mistake.
        default: width that the model's author chose, where it is smaller than ``native``.

    Raises:
        ConfigError: the model cannot give the configured dimension; names both.
    """
    if config.dimension is None:
        return default or native
    if config.dimension == native or (config.dimension < native and may_cut):
        return config.dimension
    why = "" if config.dimension > native else ", and nothing says that it may be cut (it is no Matryoshka model)"
    raise ConfigError(
        f"embedder.dimension is {config.dimension}, but {config.model} gives vectors of {native}{why}",
        fix=f"Set dimension: {native} or leave it out",
    )


def finish(raw: npt.NDArray[np.floating], *, native: int, dimension: int, normalize: bool, model: str) -> Vectors:
    """Cut, check and scale ``raw[n, native]``: float32[n, dimension].

    Raises:
        CorruptError: another width than promised, a value that is not finite, or no direction to normalise.
    """
    if raw.ndim != 2 or raw.shape[1] != native:
        raise CorruptError(
            f"{model} gave an array of shape {raw.shape} where {native} columns were promised",
            fix="Its configuration files do not describe its weights: install the model again",
        )
    vectors: Vectors = np.array(raw[:, :dimension], dtype=np.float32, order="C")
    if not np.isfinite(vectors).all():
        raise CorruptError(
            f"{model} gave a vector that is not finite", fix="Its weights are damaged, or its precision is too low"
        )
    if normalize and len(vectors):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        if not lengths.all():
            raise CorruptError(f"{model} gave a zero vector, which has no direction", fix="Set normalize: false")
        vectors /= lengths[:, None].astype(np.float32)
    return vectors
