"""Fill a space that does not serve: the background rebuild of a re-embedding, and how far it is.

Laws
----
1. A release never fills (ADR 0014): ``shards_to_build`` leaves out what was not filled yet, where a space does not serve.
2. A fill may be stopped anywhere and run again; it embeds what has no vector yet, and nothing else. Nor does another one that runs
   at the same time: a text that several shards lack is embedded by whoever has all of them.
3. It holds only the shards that it is at, and those for seconds: whoever wants them, or the whole table, gets them after its next
   commit. Several fills of the same shards take different ones.
4. Documents that change meanwhile are caught up by the fill itself: it ends when its shards are whole.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from vector_pipeline.build import ChunkCounts, EmbedCounts
from vector_pipeline.build.attesting import Attestor
from vector_pipeline.build.embeddings import COMMIT_ROWS
from vector_pipeline.build.filling import ShardState, shard_states
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.embedding.paced import Paced
from vector_pipeline.errors import ConflictError, NotFoundError
from vector_pipeline.lake.golden import GoldenTables, read_golden
from vector_pipeline.lake.tables import SpaceTables, within
from vector_pipeline.project.fillguards import FillGuards
from vector_pipeline.release.spacefill import seen_rate

SLICE = 4096
"""Texts at most of the shards that a fill works at together: it holds their leases, and no others."""
SLICE_S = 60.0
"""Seconds that it works at them before it gives the leases back for a moment."""
CHUNK_DOCUMENTS = 4096
"""Documents of the shards that are chunked together."""
PASSES = 20
"""How often a fill begins anew because documents have changed while it ran."""
_COMMIT_S = 15.0
"""Embedding that a commit holds at most, at the rate that was seen: what a kill loses, and what a release may wait for."""
_FIRST = 256
"""Texts that are embedded together while no rate is known."""
_TURN_S = 0.5


@dataclass(frozen=True, slots=True)
class Filled:
    """What a fill did."""

    space: str
    shards: int
    """That it was asked for and were not whole."""
    chunked: int = 0
    """Documents."""
    embedded: int = 0
    """Texts."""
    copied: int = 0
    """Vectors that another shard had already."""
    vectors: int = 0
    """Vectors that the shards hold now that it was asked for."""
    seconds: float = 0.0
    """Spent embedding."""
    left: int = 0
    """Shards of the space that are not filled now."""

    def plus(self, made: EmbedCounts) -> "Filled":
        """With what one more call embedded."""
        return replace(
            self, embedded=self.embedded + made.embedded, copied=self.copied + made.copied,
            seconds=self.seconds + made.seconds,
        )  # fmt: skip


class Filling(FillGuards):
    """Spaces that do not serve."""

    def fill(
        self,
        dataset: str,
        space: str,
        *,
        shards: Sequence[int] | None = None,
        texts_per_s: float | None = None,
        over_budget: bool = False,
        commit_rows: int | None = None,
        run_id: str | None = None,
        on_filled: Callable[[ShardState], None] = lambda _: None,
    ) -> Filled:
        """Bring shards (None: all) of a space to hold every document. Laws 2 to 4.

        ``texts_per_s``: default is ``reembed.max_texts_per_s``. ``commit_rows``: texts in one commit; default: by the rate.
        ``on_filled``: told each shard that has become whole. ``RefusedError`` when more would be embedded than the budget says;
        ``ConflictError`` when documents change faster than they are embedded.
        """
        tables, pace = self.tables(dataset, space), texts_per_s or self.dataset(dataset).reembed.max_texts_per_s
        tables.ensure(self.lake())
        wanted = list(range(self.dataset(dataset).shards) if shards is None else shards)
        with self._taken(dataset, space, wanted, run_id):
            embedder = self.embedder(dataset, space)
        slowed = Paced(embedder, pace) if pace is not None else embedder
        work = _Work(dataset, space, tables, slowed, run_id, commit_rows, over_budget, pace, on_filled)
        with self.turn(dataset):
            lacking = self._lacking(tables, wanted)
            done = Filled(space, len(lacking))
            # What was whole before anybody asked counts as filled too.
            self._taken(dataset, space, wanted, run_id).record()
            for number in range(PASSES):
                if not lacking:
                    self._last_look(work, wanted)
                    vectors = self.lake().row(f"SELECT count(*) FROM {tables.embeddings} WHERE {within(wanted)}")[0]
                    return replace(done, vectors=int(vectors), left=self.unfilled(dataset, space))
                chunked = self.chunk_each(dataset, space, lacking, run_id=run_id).documents_chunked
                done = replace(done, chunked=done.chunked + chunked)
                if not number and not over_budget:
                    self.require_affordable(dataset, space, lacking)
                done = self._embed_each(work, lacking, done)
                lacking = self._lacking(tables, lacking)
        raise ConflictError(
            f"documents of {dataset} change faster than they are embedded in space {space}",
            fix="Run it again when fewer change, or let it embed faster: reembed.max_texts_per_s",
        )

    def chunk_each(
        self, dataset: str, space: str, shards: Sequence[int] | None, *, run_id: str | None = None
    ) -> ChunkCounts:
        """Documents → chunks of a space that does not serve, a few shards at a time (law 3)."""
        every, tables = range(self.dataset(dataset).shards) if shards is None else shards, self.tables(dataset, space)
        if not self.lake().has_table(dataset, "documents"):
            raise NotFoundError(
                f"{dataset} has no documents in the lake yet", fix=f"Build it first: vector-pipeline build {dataset}"
            )
        tables.ensure(self.lake())
        states = shard_states(self.lake(), tables, every)
        counts = ChunkCounts()
        for group in _together({one.shard: one.missing + one.stale for one in states}, CHUNK_DOCUMENTS):
            made = self.chunk(dataset, space=space, shards=group, run_id=run_id)
            counts = ChunkCounts(
                **{field.name: getattr(counts, field.name) + getattr(made, field.name) for field in fields(counts)}
            )
        return counts

    def _embed_each(self, work: "_Work", shards: Sequence[int], done: Filled) -> Filled:
        """Every shard once. One whose documents changed meanwhile stays as it is."""
        ahead = {one.shard: one.pending for one in shard_states(self.lake(), work.tables, shards)}
        begun, texts = done.embedded, sum(ahead.values())
        if texts:
            self._introduce(work, list(ahead), texts)
        if work.rate is None:
            work.rate = seen_rate(
                self.registry().fills(work.dataset, work.space, self.space(work.dataset, work.space).fingerprint)
            )
        while ahead:
            group = self._next(work, ahead)
            if not work.over_budget:
                # Others may have spent of it meanwhile.
                self.require_affordable(work.dataset, work.space, group)
            if work.attestor is not None:
                work.attestor.goes_on = len(group) < len(ahead)
            made = self.embed(
                work.dataset, space=work.space, shards=group, run_id=work.run_id, embedder=work.embedder,
                attestor=work.attestor, commit_rows=work.commit_rows or work.texts_in(_COMMIT_S, COMMIT_ROWS),
                stop=self._turn_over(work), of=(done.embedded - begun, max(texts, done.embedded - begun)),
            )  # fmt: skip
            done = done.plus(made)
            if made.embedded and made.seconds:
                work.rate = made.embedded / made.seconds
            for state in shard_states(self.lake(), work.tables, group):
                if state.whole:
                    work.on_filled(state)
                if state.whole or not made.left:
                    del ahead[state.shard]
                else:
                    ahead[state.shard] = state.pending
            if made.left:
                time.sleep(_TURN_S)
        return done

    def _introduce(self, work: "_Work", shards: Sequence[int], texts: int) -> None:
        """Who attests the run. Golden texts of a table are made once: not by each of several fills that begin at the same time."""
        how = self.attesting(work.dataset, work.space)
        if how is None or work.attestor is not None:
            return
        work.attestor = Attestor(self.lake(), work.tables, work.embedder, how, run_of=texts)
        if read_golden(self.lake(), GoldenTables.of(work.tables)) is None:
            with (
                self._taken(work.dataset, work.space, shards, work.run_id),
                self._writing(work.dataset, work.tables.embedding_table),
            ):
                work.attestor.begin(texts)

    def _last_look(self, work: "_Work", shards: Sequence[int]) -> None:
        """Its last look, where others embedded what would have been its last texts."""
        if work.attestor is not None and work.attestor.unproved:
            with self._writing(work.dataset, work.tables.embedding_table, shards[:1]):
                work.attestor.end()

    def _next(self, work: "_Work", ahead: Mapping[int, int]) -> list[int]:
        """Shards to embed together: such that nobody else is at, or the first that there is, to wait for it."""
        busy = self.busy_shards(work.dataset, work.space)
        free = {shard: texts for shard, texts in ahead.items() if shard not in busy}
        return next(_together(free, work.texts_in(SLICE_S, SLICE))) if free else [next(iter(ahead))]

    def _turn_over(self, work: "_Work") -> Callable[[], bool]:
        """Law 3: whether others are to have the shards now."""
        until = time.monotonic() + SLICE_S
        whole = f"lake/{work.dataset}/{work.tables.embedding_table}"
        return lambda: time.monotonic() > until or self.registry().lease(whole) is not None

    def _lacking(self, tables: SpaceTables, shards: Sequence[int]) -> list[int]:
        return [one.shard for one in shard_states(self.lake(), tables, shards) if not one.whole]


@dataclass(slots=True)
class _Work:
    """What one fill needs all the time, and the rate that it saw last."""

    dataset: str
    space: str
    tables: SpaceTables
    embedder: Embedder
    run_id: str | None
    commit_rows: int | None
    over_budget: bool
    rate: float | None
    on_filled: Callable[[ShardState], None]
    attestor: Attestor | None = None

    def texts_in(self, seconds: float, most: int) -> int:
        """Texts that take about so long."""
        return _FIRST if self.rate is None else min(most, max(1, int(self.rate * seconds)))


def _together(counts: Mapping[int, int], limit: int) -> Iterator[list[int]]:
    """The shards in order, in groups of at most ``limit``, or of one."""
    group: list[int] = []
    size = 0
    for shard, count in counts.items():
        if group and size + count > limit:
            yield group
            group, size = [], 0
        group.append(shard)
        size += count
    if group:
        yield group
