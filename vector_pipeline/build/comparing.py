"""Is a stored vector what the model makes of its text? Distances, and what is more than rounding explains.

Laws
----
1. A vector differs when the angle or the length moved by more than rounding explains. One tolerance says both: a cosine distance
   of d is an angle of sqrt(2 d), and rounding moves a length by no more than an angle.
2. What cannot be compared differs: a number that is not finite, another dimension, zeros on one side alone.
3. A clean sample says of each stratum what was drawn of it, and no more (``most_wrong``).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.embedding.base import Embedder
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.stored import Stored, read_stored
from vector_pipeline.lake.tables import SpaceTables

FARTHEST = 2.0
"""Cosine distance of what points the other way; also of what cannot be compared."""

_BLOCK = 2048
"""Texts that are in memory with their vectors, where all are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two vectors a row, compared."""

    distance: npt.NDArray[np.float64]
    """Cosine distance, 0 to 2."""
    length: npt.NDArray[np.float64]
    """Relative change of length."""
    differs: npt.NDArray[np.bool_]

    @property
    def worst(self) -> int:
        """Row that differs most."""
        return int(np.argmax(np.where(self.differs, FARTHEST + self.length, 0.0) + self.distance))


def compare(stored: npt.NDArray[np.float32], made: npt.NDArray[np.float32], max_distance: float) -> Compared:
    """float32[n, dim] each; where the dimensions differ, all rows do."""
    rows = len(stored)
    if stored.shape != made.shape:
        return Compared(np.full(rows, FARTHEST), np.full(rows, np.inf), np.ones(rows, dtype=bool))
    old, new = stored.astype(np.float64), made.astype(np.float64)
    before, after = np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        distance = 1.0 - np.einsum("ij,ij->i", old, new) / (before * after)
        length = np.abs(after / before - 1.0)
    nothing = (before == 0) & (after == 0)
    distance = np.where(nothing, 0.0, np.where(np.isfinite(distance), distance, FARTHEST)).clip(0.0, FARTHEST)
    length = np.where(nothing, 0.0, np.where(np.isnan(length), np.inf, length))
    return Compared(distance, length, (distance > max_distance) | (length > math.sqrt(2 * max_distance)))


@dataclass(frozen=True, slots=True)
class Wrong:
    """A stored vector that the model does not make again."""

    shard: int
    content_hash: str
    document: str
    distance: float
    length: float


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What a sample of stored texts said."""

    compared: int
    wrong: tuple[Wrong, ...]
    missing: int
    """Texts without a vector."""
    distances: npt.NDArray[np.float64]
    strata: tuple[tuple[int, int], ...]
    """How many there are, and how many of them were drawn (``Stored.strata``)."""

    @property
    def total(self) -> int:
        return sum(size for size, _ in self.strata)

    @property
    def worst(self) -> float:
        return float(self.distances.max()) if len(self.distances) else 0.0

    @property
    def at_most_wrong(self) -> float:
        """With 95% certainty no larger share of all vectors is wrong, when none of the sample is; 1 where one is, or is missing."""
        return 1.0 if self.wrong or self.missing or not self.compared else most_wrong(self.strata)


def most_wrong(strata: Sequence[tuple[int, int]]) -> float:
    """Share of all that may be wrong at the most, with 95% certainty, when none that was drawn is. ``strata``: (size, drawn).

    Strata of which shares ``p`` are wrong show none of it in ``n`` draws with a chance of at most ``exp(-sum(n p))``. So
    ``sum(n p) <= ln 20``, and the worst that this leaves room for is found greedily, where least was drawn first. One stratum: the
    rule of three. Only what was not drawn can be wrong: a stratum that was drawn whole adds nothing.
    """
    left, wrong = -math.log(0.05), 0.0
    for size, drawn in sorted((one for one in strata if one[0]), key=lambda one: one[1] / one[0]):
        share = min(1.0 - drawn / size, left / drawn if drawn else 1.0)
        wrong += share * size
        left -= share * drawn
    return wrong / sum(size for size, _ in strata)


def look_again(embedder: Embedder, stored: Stored, max_distance: float) -> Looked:
    """Embed the drawn texts again, and compare."""
    rows = stored.rows
    there = rows.filter(rows["vector"].is_valid())
    texts = there["text"].to_pylist()
    if not texts:
        return Looked(0, (), rows.num_rows, np.zeros(0), stored.strata)
    made = embed_texts(embedder, texts)
    old, fits = matrix(there["vector"], made.shape[1])
    found = compare(old, made, max_distance)
    distance = np.where(fits, found.distance, FARTHEST)
    differs = found.differs | ~fits
    wrong = tuple(
        Wrong(
            there["shard"][row].as_py(), there["content_hash"][row].as_py(), there["document_id"][row].as_py(),
            float(distance[row]), float(found.length[row]),
        )
        for row in np.flatnonzero(differs).tolist()
    )  # fmt: skip
    return Looked(len(texts), wrong, rows.num_rows - len(texts), distance, stored.strata)


def look_at_all(
    lake: Lake,
    tables: SpaceTables,
    chunks: str,
    embedder: Embedder,
    max_distance: float,
    on_done: Callable[[int, int], None] | None = None,
) -> Looked:
    """Every content of a relation of chunks, in blocks. Of the distances those of the wrong ones are kept, and the worst."""
    lake.run(f"CREATE OR REPLACE TEMP TABLE all_stored AS SELECT DISTINCT shard, content_hash FROM {chunks}")
    rows = [(int(shard), str(content)) for shard, content in lake.rows("FROM all_stored ORDER BY ALL")]
    lake.run("DROP TABLE all_stored")
    wrong: list[Wrong] = []
    compared = missing = 0
    worst = [0.0]
    for begin in range(0, len(rows), _BLOCK):
        block = rows[begin : begin + _BLOCK]
        found = look_again(embedder, Stored(read_stored(lake, tables, chunks, block), len(rows), 0, 0), max_distance)
        wrong += found.wrong
        compared, missing = compared + found.compared, missing + found.missing
        worst.append(found.worst)
        if on_done is not None:
            on_done(begin + len(block), len(rows))
    return Looked(compared, tuple(wrong), missing, np.array([max(worst)]), ((len(rows), len(rows)),))


def embed_texts(embedder: Embedder, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32[n, dim] as documents; texts that are alike are embedded once."""
    ones = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(ones)}
    return embedder.embed_documents(ones)[[place[text] for text in texts]]


def matrix(column: pa.ChunkedArray, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """float32[n, width] of a column of lists, and which rows are of that width; others are zeros."""
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.chunk(0)
    sizes = np.diff(lists.offsets.to_numpy())
    fits = sizes == width
    out = np.zeros((len(lists), width), dtype=np.float32)
    kept = lists.filter(pa.array(fits)).flatten().to_numpy(zero_copy_only=False)
    out[fits] = kept.astype(np.float32).reshape(-1, width)
    return out, fits
