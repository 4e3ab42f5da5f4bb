"""``chunks_<space>`` → ``embeddings_<fp>``: only content that no vector exists for, shard by shard, committed as it goes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vector_pipeline.build.attesting import DEFAULT, Attesting, Attestor
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.embedding.batches import Progress, embed_pending
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake import embeddings as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, within

COMMIT_ROWS = 2048
"""Vectors in one commit: what a killed run can lose at most."""


@dataclass(frozen=True, slots=True)
class EmbedCounts:
    """What embedding did."""

    embedded: int = 0
    copied: int = 0
    """Vectors that another shard had already."""
    vectors: int = 0
    """Vectors that the selected shards hold now."""
    seconds: float = 0.0
    """Spent embedding."""
    left: int = 0
    """Texts that were left to another call, because this one was stopped."""


def embed_chunks(
    lake: Lake,
    tables: SpaceTables,
    space: EmbeddingSpace,
    embedder: Embedder,
    *,
    shards: Sequence[int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    commit_rows: int = COMMIT_ROWS,
    attesting: Attesting | None = DEFAULT,
    stop: Callable[[], bool] | None = None,
    on_shard: Callable[[int, int, float], None] | None = None,
) -> EmbedCounts:
    """Give every chunk of the selected shards (None: all) its vector. The model is loaded only if something is pending.

    ``attesting``: how the model is held against its golden texts before each commit (``build.attesting``); None: not at all.
    ``RefusedError`` where it is not the model that it was. ``stop``: asked before each commit; once it says yes, that commit is the
    last, and the rest is left to another call. ``on_shard``: told a shard when it begins (no texts, no seconds), and how many of
    its texts were embedded in what time when it ends.
    """
    if embedder.fingerprint != space.embedder_fingerprint:
        raise RefusedError(f"space {space.name} is not made with the embedder that was given ({space.model})")
    tables.ensure(lake)
    pending = store.find_pending(lake, tables, shards)
    total_texts = sum(shard.embed for shard in pending)
    embedded = 0
    started = time.monotonic()
    attestor = Attestor(lake, tables, embedder, attesting) if attesting is not None and total_texts else None
    if attestor is not None:
        attestor.begin(total_texts)
    stopped = False
    for shard in pending:
        if not shard.embed or stopped:
            continue
        if on_shard is not None:
            on_shard(shard.shard, 0, 0.0)
        texts = store.pending_texts(lake, tables, shard.shard)
        before, began = embedded, time.monotonic()
        report = None if on_progress is None else partial(_overall, on_progress, embedded, total_texts)
        for vectors in embed_pending(embedder, texts, commit_rows=commit_rows, on_progress=report):
            message = f"embed {vectors.num_rows} texts of {tables.dataset.dataset}"
            embedded += vectors.num_rows
            stopped = stop is not None and stop()
            last = stopped or embedded == total_texts
            also = attestor.attest(last=last) if attestor is not None else None
            store.store_vectors(lake, tables, shard.shard, vectors, message, also)
            if stopped:
                break
        if on_shard is not None:
            on_shard(shard.shard, embedded - before, time.monotonic() - began)
    seconds = time.monotonic() - started if embedded else 0.0
    # Contents that several shards lack are embedded for one of them first.
    done = embedded == total_texts
    copied = store.copy_known(lake, tables, f"copy known vectors of {tables.dataset.dataset}") if done else 0
    total = int(lake.row(f"SELECT count(*) FROM {tables.embeddings} WHERE {within(shards)}")[0])
    return EmbedCounts(embedded, copied, total, seconds, total_texts - embedded)


def _overall(report: Callable[[Progress], None], before: int, total: int, shard: Progress) -> None:
    """A shard's progress as the whole run's."""
    done = before + shard.done
    remaining = (total - done) / shard.rate_per_s if shard.rate_per_s else None
    report(replace(shard, done=done, total=total, remaining_s=remaining))
