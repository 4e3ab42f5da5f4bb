"""Embed a sample of texts anew and put the vectors beside those of the index."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.arrow import as_one
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


@dataclass(frozen=True, slots=True)
class Unseen:
    """A group of which some is kept unseen."""

    records: int
    compared: int
    disagree: int
    kept: int
    """Contents taken of it that were not themselves compared."""


def at_most_wrong(groups: Iterable[Unseen]) -> float:
    """How many contents kept unseen were made otherwise, at the most, with 95% confidence over all groups together.

    Groups with wrong shares ``p`` show no fault in samples of ``n`` with a chance of at most ``exp(-sum(n p))``: so
    ``sum(n p) <= 3`` (more where faults were seen), and the worst that allows is found greedily. One sample's rule of
    three is the case of one group; a share over all samples would not be true of a large group that was hardly looked at.
    """
    unseen = sorted((one for one in groups if one.kept), key=lambda one: one.records / one.compared, reverse=True)
    seen = sum(one.disagree for one in unseen)
    left, wrong = 3 + seen + 2 * math.sqrt(seen), 0.0
    for one in unseen:
        share = min(1.0, one.kept / one.records, left / one.compared)
        wrong += share * one.records
        left -= share * one.compared
    return wrong


def _rows(table: pa.Table) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float32] = as_one(table["vector"]).flatten().to_numpy(zero_copy_only=False)
    return values.reshape(table.num_rows, -1).astype(np.float64)
