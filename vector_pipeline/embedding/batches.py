"""Embedding many texts: batches of like length, commit units, progress.

Laws
----
1. Every pending row is yielded exactly once. A yielded table is a unit to commit: a run that is killed loses at most
   the unit in progress.
2. Order is free: rows are sorted by length inside a window of units, since a batch costs what its longest text costs.
3. Memory is bounded by a window's texts and one unit's vectors, whatever the number of rows.
4. Rate and remaining time are measured in characters, of each text at most what the model reads: texts differ in
   length a hundredfold, and the longest come first.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.errors import CorruptError, InputError

VECTORS = pa.schema([pa.field("content_hash", pa.string(), False), pa.field("vector", pa.list_(pa.float32()), False)])
"""Of the tables that ``embed_pending`` yields."""
_UNITS_PER_WINDOW = 16
_BATCHES_PER_REPORT = 8
_CHARS_PER_TOKEN = 6
_CHARS_PER_TEXT = 16
"""What a text costs beside its characters: special tokens, its row."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an embedding run stands."""

    done: int
    """Texts with a vector."""
    total: int
    chars_done: int
    chars_total: int
    """Characters that the model reads of all texts (estimated where the model cuts)."""
    rate_per_s: float
    """Texts of average length per second, since the model was loaded; 0 when not known yet."""
    remaining_s: float | None
    """Seconds; None when not known yet."""

    @property
    def rate(self) -> str:
        """``0.04/s``, ``2.5/s``, ``1,200/s``: a slow model's is none of nothing a second."""
        digits = 0 if self.rate_per_s >= 10 else 1 if self.rate_per_s >= 0.95 else 2
        return f"{self.rate_per_s:,.{digits}f}/s"


def embed_pending(
    embedder: Embedder,
    pending: pa.Table,
    *,
    commit_rows: int = 2048,
    on_progress: Callable[[Progress], None] | None = None,
    warm: bool = True,
) -> Iterator[pa.Table]:
    """Embed ``pending[content_hash: string, text: string]`` (distinct hashes) and yield units of ``VECTORS``.

    ``commit_rows`` is rounded up to whole batches. ``on_progress`` is called several times within a unit. ``warm``: embed one short
    text first, so that loading the weights is no part of the rate.

    Raises:
        InputError: columns are missing, or hold nulls or a hash twice.
        CorruptError: the embedder broke its contract.
    """
    _check(pending, commit_rows)
    if not pending.num_rows:
        return
    batch = embedder.batch_size
    unit = -(-commit_rows // batch) * batch
    cost = _costs(pending["text"], embedder.tokens.limit)
    if warm:
        # Weights are loaded before the clock starts: loading takes seconds and says nothing about the rest.
        embedder.embed_documents([pending["text"][int(cost.argmin())].as_py()])
    meter = _Meter(cost, on_progress)
    for start in range(0, pending.num_rows, unit * _UNITS_PER_WINDOW):
        window = pending.slice(start, unit * _UNITS_PER_WINDOW).select(["content_hash", "text"]).combine_chunks()
        order = start + np.argsort(-cost[start : start + window.num_rows], kind="stable")
        for first in range(0, window.num_rows, unit):
            rows = order[first : first + unit]
            yield _embed_unit(embedder, window.take(pa.array(rows - start)), cost[rows], meter)


def _embed_unit(embedder: Embedder, unit: pa.Table, cost: npt.NDArray[np.int64], meter: "_Meter") -> pa.Table:
    vectors: Vectors = np.empty((unit.num_rows, embedder.dimension), dtype=np.float32)
    step = embedder.batch_size * _BATCHES_PER_REPORT
    for start in range(0, unit.num_rows, step):
        texts = unit["text"].slice(start, step).to_pylist()
        made = embedder.embed_documents(texts)
        if made.shape != (len(texts), embedder.dimension):
            raise CorruptError(f"the embedder gave {made.shape} for {len(texts)} texts of {embedder.dimension} numbers")
        vectors[start : start + len(texts)] = made
        meter.add(len(texts), int(cost[start : start + len(texts)].sum()))
    return pa.Table.from_arrays([unit["content_hash"].cast(pa.string()), vectors_to_arrow(vectors)], schema=VECTORS)


def vectors_to_arrow(vectors: Vectors) -> pa.ListArray:
    """``float32[n, d]`` as Arrow's list<float32>; the numbers are not copied."""
    rows, width = vectors.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32) if width else np.zeros(rows + 1, np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(vectors).reshape(-1)))


def _check(pending: pa.Table, commit_rows: int) -> None:
    if commit_rows < 1:
        raise InputError(f"commit_rows must be at least 1, not {commit_rows}")
    for name in ("content_hash", "text"):
        if name not in pending.column_names:
            raise InputError(f"pending texts need a column {name}; they have {', '.join(pending.column_names)}")
        if pending[name].null_count:
            raise InputError(f"pending texts have nulls in {name}")
    if pc.count_distinct(pending["content_hash"]).as_py() != pending.num_rows:
        raise InputError("pending texts hold a content_hash more than once", fix="Select distinct rows")


def _costs(texts: pa.ChunkedArray, limit: int | None) -> npt.NDArray[np.int64]:
    """Characters that are read of each text, int64[n]."""
    lengths: npt.NDArray[np.int64] = pc.utf8_length(texts).to_numpy().astype(np.int64)
    return np.minimum(lengths, limit * _CHARS_PER_TOKEN) if limit else lengths


class _Meter:
    def __init__(self, cost: npt.NDArray[np.int64], report: Callable[[Progress], None] | None) -> None:
        self._report = report
        self._total, self._chars_total = len(cost), int(cost.sum())
        self._done = self._chars_done = 0
        self._began = time.perf_counter()

    def add(self, texts: int, chars: int) -> None:
        self._done += texts
        self._chars_done += chars
        if self._report is None:
            return
        elapsed = time.perf_counter() - self._began
        share = self._work(self._done, self._chars_done) / self._work(self._total, self._chars_total)
        self._report(
            Progress(
                done=self._done,
                total=self._total,
                chars_done=self._chars_done,
                chars_total=self._chars_total,
                rate_per_s=self._total * share / elapsed if elapsed > 0 else 0.0,
                remaining_s=elapsed * (1 - share) / share if share else None,
            )
        )

    @staticmethod
    def _work(texts: int, chars: int) -> int:
        return chars + texts * _CHARS_PER_TEXT
