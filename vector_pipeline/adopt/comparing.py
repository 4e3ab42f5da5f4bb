"""Embed a sample of texts anew and put the vectors beside those of the index."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.embedding.base import Embedder
from vector_pipeline.embedding.batches import Progress, embed_pending
from vector_pipeline.lake.connection import Lake

SAME_COSINE = 0.999
"""Two vectors of one text and one model are at least this near: half precision and other hardware stay above it."""
LENGTH_TOLERANCE = 0.01
"""Of lengths, where the space does not normalise: they are part of its vectors."""


def embed_again(
    lake: Lake, chunks: str, embedder: Embedder, chosen: pa.Table, report: Callable[[int, int], None] | None
) -> tuple[pa.Table, float | None]:
    """The space's vectors of the chosen contents, and texts embedded per second."""
    with lake.registered("adopt_chosen", chosen):
        texts = lake.table(
            f"""SELECT content_hash, any_value(context || text) AS text FROM {chunks}
                SEMI JOIN adopt_chosen USING (content_hash) GROUP BY content_hash ORDER BY content_hash"""
        )
    rates: list[float] = []

    def progress(now: Progress) -> None:
        rates.append(now.rate_per_s)
        if report is not None:
            report(now.done, now.total)

    made = pa.concat_tables(list(embed_pending(embedder, texts, on_progress=progress)))
    return made, rates[-1] if rates and rates[-1] > 0 else None


def compare(
    chosen: pa.Table, made: pa.Table, found: pa.Table, *, normalize: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Cosine of each chosen record to its text's own vector, and whether they are the same; -1 where it is gone by now."""
    ours = _rows(made)[pc.index_in(chosen["content_hash"], made["content_hash"].combine_chunks()).to_numpy()]
    cosines = np.full(chosen.num_rows, -1.0)
    agrees = np.zeros(chosen.num_rows, dtype=np.bool_)
    if not found.num_rows:
        return cosines, agrees
    at = pc.index_in(chosen["id"], found["id"].combine_chunks())
    there = np.flatnonzero(pc.is_valid(at).to_numpy())
    theirs = _rows(found)[at.drop_null().to_numpy()]
    ours = ours[there]
    lengths, wanted = np.linalg.norm(theirs, axis=1), np.linalg.norm(ours, axis=1)
    product = np.einsum("ij,ij->i", theirs, ours)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.nan_to_num(product / (lengths * wanted), nan=-1.0)
        long = np.nan_to_num(np.abs(lengths / wanted - 1), nan=np.inf)
    cosines[there] = near
    agrees[there] = (near >= SAME_COSINE) & (normalize | (long <= LENGTH_TOLERANCE))
    return cosines, agrees


def _rows(table: pa.Table) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float32] = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(table.num_rows, -1).astype(np.float64)
