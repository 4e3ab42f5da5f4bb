"""``chunks_<space>`` → ``embeddings_<fp>``: only content that no vector exists for, shard by shard, committed as it goes.

What a killed run can lose is bounded by the work that it was: vectors wait for one commit until they are ``COMMIT_ROWS`` or
``COMMIT_BYTES``, or took ``COMMIT_S`` seconds. A commit costs 0.1 to 0.2 s however little it holds: a source that changed a little,
or a fast model, needs one; a slow model commits each unit of ``UNIT_ROWS``. What waits when a run is ended by an interrupt of any
kind or an error, of the model, of the lake or of a commit itself, is committed once more, and kept where that succeeds: not where
the model is another one, or can be held against its golden texts no more.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from vector_pipeline.build.attesting import DEFAULT, Attesting, Attestor
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.embedding.batches import Progress, embed_pending
from vector_pipeline.errors import RefusedError, VectorPipelineError
from vector_pipeline.lake import embeddings as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.embeddings import Pending
from vector_pipeline.lake.tables import SpaceTables, within

COMMIT_ROWS = 16_384
"""Most vectors in one commit, of however many shards."""
COMMIT_BYTES = 64 << 20
"""Most bytes of vectors that wait for a commit."""
COMMIT_S = 15.0
"""Seconds of embedding after which a commit is due."""
UNIT_ROWS = 2048
"""Vectors that are made before it is asked whether a commit is due."""


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
    shared: tuple[int, ...] = ()
    """Shards that lack texts which were left because several do (``embed_chunks``): whoever has all these embeds them."""

    def plus(self, more: "EmbedCounts") -> "EmbedCounts":
        """With what one more call did: what it left, is left."""
        return replace(
            more, embedded=self.embedded + more.embedded, copied=self.copied + more.copied,
            seconds=self.seconds + more.seconds,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Held:
    """Vectors of a shard that wait for their commit, and what making them took."""

    shard: int
    vectors: pa.Table
    seconds: float

    @property
    def rows(self) -> int:
        return int(self.vectors.num_rows)


def embed_chunks(
    lake: Lake,
    tables: SpaceTables,
    space: EmbeddingSpace,
    embedder: Embedder,
    *,
    shards: Sequence[int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    commit_rows: int = COMMIT_ROWS,
    attesting: Attesting | Attestor | None = DEFAULT,
    stop: Callable[[], bool] | None = None,
    on_shard: Callable[[int, int, float], None] | None = None,
    beside: bool = False,
    only_shared: bool = False,
) -> EmbedCounts:
    """Give every chunk of the selected shards (None: all) its vector. The model is loaded only if something is pending.

    ``attesting``: how the model is held against its golden texts before each commit (``build.attesting``), or who does it in a run
    of several calls; None: not at all. ``RefusedError`` where it is not the model that it was. ``stop``: asked before each commit;
    once it says yes, that commit is the last, and the rest is left to another call. ``commit_rows``: most vectors in one
    commit, which comes earlier when bytes or seconds say so. ``on_shard``: told a shard when it begins (no texts, no seconds), and
    how many of its texts were embedded in what time with each commit. ``beside``: others may be at the
    other shards; what those lack too is left. ``only_shared``: embed no other texts than the last call of this thread left so.
    """
    if embedder.fingerprint != space.embedder_fingerprint:
        raise RefusedError(f"space {space.name} is not made with the embedder that was given ({space.model})")
    tables.ensure(lake)
    looked_at = lake.snapshot_id()
    pending = store.find_pending(lake, tables, shards, beside=beside, only_shared=only_shared)
    total_texts = sum(shard.embed for shard in pending)
    shared = store.shared_shards(lake, tables) if beside else ()
    embedded = 0
    started = time.monotonic()
    attestor = Attestor(lake, tables, embedder, attesting) if isinstance(attesting, Attesting) else attesting
    if attestor is not None and total_texts:
        attestor.begin(total_texts)
    # Weights are loaded with the first text: not once more for each shard.
    warm = attestor is None or not attestor.warm
    stopped = False
    held: list[_Held] = []
    most = max(1, min(commit_rows, COMMIT_BYTES // (4 * space.dimension)))
    unit = min(most, UNIT_ROWS)
    committed = started

    def commit(*, ask: bool = True) -> bool:
        """What is held, of one shard or several; whether it is the last. ``ask``: by ``stop``."""
        nonlocal committed
        rows = sum(one.rows for one in held)
        last = ask and stop is not None and stop()
        also = None
        if attestor is not None:
            try:
                also = attestor.attest(rows, stopped=last, done=embedded == total_texts, more=bool(shared))
            except RefusedError:
                # Another model's vectors: not to be kept.
                held.clear()
                raise
        parts = [(one.shard, one.vectors) for one in held]
        message = f"embed {rows} texts of {tables.dataset.dataset}"
        store.store_vectors(lake, tables, parts, message, also, lacked_at=looked_at)
        stored, held[:] = held[:], []
        committed = time.monotonic()
        if on_shard is not None:
            for one in stored:
                on_shard(one.shard, one.rows, one.seconds)
        return last

    texts: dict[int, pa.Table] = {}
    try:
        for shard in pending:
            if held and sum(one.rows for one in held) + shard.embed > most:
                stopped = commit()
            if not shard.embed or stopped:
                continue
            if on_shard is not None:
                on_shard(shard.shard, 0, 0.0)
            if shard.shard not in texts:
                texts = store.pending_texts(lake, tables, _together(pending, shard, most))
            began, left = time.monotonic(), shard.embed
            report = None if on_progress is None else partial(_overall, on_progress, embedded, total_texts)
            made = embed_pending(embedder, texts.pop(shard.shard), commit_rows=unit, on_progress=report, warm=warm)
            for vectors in made:
                embedded += vectors.num_rows
                held.append(_Held(shard.shard, vectors, time.monotonic() - began))
                began, warm, left = time.monotonic(), False, left - vectors.num_rows
                full = sum(one.rows for one in held) + min(unit, left) > most
                due = full or time.monotonic() - committed >= COMMIT_S
                if due or embedded == total_texts:
                    stopped = commit()
                if stopped:
                    break
        if held:
            # Fewer texts were there than had been counted.
            commit()
    except BaseException:
        # Somebody waited, and perhaps paid, for what is held. Not our errors alone: Dagster ends a step by an interrupt of its own,
        # and DuckDB a query by a RuntimeError. What a commit wrote that failed afterwards is not written again (``store_vectors``).
        with suppress(VectorPipelineError):
            if held:
                commit(ask=False)
        raise
    seconds = time.monotonic() - started if embedded else 0.0
    # Contents that several shards lack are embedded for one of them first.
    whole = embedded == total_texts
    copied = store.copy_known(lake, tables, f"copy known vectors of {tables.dataset.dataset}") if whole else 0
    total = int(lake.row(f"SELECT count(*) FROM {tables.embeddings} WHERE {within(shards)}")[0])
    return EmbedCounts(embedded, copied, total, seconds, total_texts - embedded, shared)


def _together(pending: Sequence[Pending], first: Pending, rows: int) -> list[int]:
    """A shard, and those after it that have no more than so many texts with it."""
    found, total = [first.shard], first.embed
    for one in pending[pending.index(first) + 1 :]:
        total += one.embed
        if total > rows:
            break
        found.append(one.shard)
    return found


def _overall(report: Callable[[Progress], None], before: int, total: int, shard: Progress) -> None:
    """A shard's progress as the whole run's."""
    done = before + shard.done
    remaining = (total - done) / shard.rate_per_s if shard.rate_per_s else None
    report(replace(shard, done=done, total=total, remaining_s=remaining))
