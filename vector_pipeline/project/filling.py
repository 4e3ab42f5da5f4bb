"""Fill a space that does not serve: the background rebuild of a re-embedding, and how far it is.

Laws
----
1. A release never fills (ADR 0014): ``shards_to_build`` leaves out what was not filled yet, where a space does not serve.
2. A fill may be stopped anywhere and run again; it embeds what has no vector yet, and nothing else. Between two slices of it others
   get their turn at the table.
3. Documents that change meanwhile are caught up by the fill itself: it ends when its shards are whole.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from vector_pipeline.build import EmbedCounts
from vector_pipeline.build.filling import ShardState, shard_states, total
from vector_pipeline.embedding.paced import Paced
from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.project.building import Building, VersionMade
from vector_pipeline.release.filled import Taken
from vector_pipeline.release.holding import hold
from vector_pipeline.release.registry import Fill, FillStatus, Version
from vector_pipeline.release.registry.fills import failed_now

SLICE = 4096
"""Texts after which a fill gives its leases back for a moment."""
PASSES = 20
"""How often a fill begins anew because documents have changed while it ran."""
_TURN_S = 0.5
_NEWEST = 32
"""Fills that the rate is told from."""


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
    """Vectors of the shards that it wrote last."""
    seconds: float = 0.0
    """Spent embedding."""
    left: int = 0
    """Shards of the space that are not filled now."""

    def plus(self, made: EmbedCounts) -> "Filled":
        """With what one more call embedded."""
        return replace(
            self, embedded=self.embedded + made.embedded, copied=self.copied + made.copied, vectors=made.vectors,
            seconds=self.seconds + made.seconds,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShardFill:
    """One shard of a space."""

    state: ShardState
    status: str
    """``done``; ``filling``: somebody is at it; ``failed``; ``stale``: it was filled, and documents changed since; ``pending``."""
    last: Fill | None
    """Its newest attempt."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SpaceFill:
    """How far a space is."""

    dataset: str
    space: str
    fingerprint: str
    model: str
    serves: bool
    shards: tuple[ShardFill, ...]
    rate_per_s: float | None
    """Texts, as the newest fills measured; None where nothing was."""
    remaining_s: float | None
    """Seconds, by one process at that rate; None where it cannot be told."""
    newest: Version | None
    """Newest version of the space."""

    @property
    def total(self) -> ShardState:
        """All shards together."""
        return total(one.state for one in self.shards)

    @property
    def whole(self) -> bool:
        """Whether it holds every document that there is now."""
        return all(one.state.whole for one in self.shards)


class Filling(Building):
    """Spaces that do not serve."""

    def unfilled(self, dataset: str, space: str) -> int:
        """Shards that are not filled yet, for a space that does not serve."""
        every = range(self.dataset(dataset).shards)
        return len(every) - len(self.shards_to_build(dataset, space, every) or [])

    def to_fill(self, dataset: str, space: str) -> set[int]:
        """Shards of a space that a fill would change, or tell. Writes nothing."""
        status = self.fill_status(dataset, space)
        return {one.state.shard for one in status.shards if one.status != "done" or one.last is None}

    def fill(
        self,
        dataset: str,
        space: str,
        *,
        shards: Sequence[int] | None = None,
        texts_per_s: float | None = None,
        over_budget: bool = False,
        run_id: str | None = None,
        on_filled: Callable[[ShardState], None] = lambda _: None,
    ) -> Filled:
        """Bring shards (None: all) of a space to hold every document. Laws 2 and 3.

        ``texts_per_s``: default is ``reembed.max_texts_per_s``. ``RefusedError`` when more would be embedded than the budget says;
        ``ConflictError`` when documents change faster than they are embedded. ``on_filled``: told each shard that has become whole.
        """
        settings, tables = self.dataset(dataset).reembed, self.tables(dataset, space)
        tables.ensure(self.lake())
        pace = texts_per_s or settings.max_texts_per_s
        embedder = self.embedder(dataset, space)
        embedder = Paced(embedder, pace) if pace is not None else embedder
        wanted = list(range(self.dataset(dataset).shards) if shards is None else shards)
        with self._turn(dataset):
            lacking = [one.shard for one in shard_states(self.lake(), tables, wanted) if not one.whole]
            done = Filled(space, len(lacking))
            # What was whole before anybody asked counts as filled too.
            self._told(dataset, space, wanted, run_id)
            for number in range(PASSES):
                if not lacking:
                    return replace(done, left=self.unfilled(dataset, space))
                chunked = self.chunk(dataset, space=space, shards=lacking).documents_chunked
                done = replace(done, chunked=done.chunked + chunked)
                if not number and not over_budget:
                    self._require_affordable(dataset, space, lacking)
                left = 1
                while left:
                    made = self.embed(
                        dataset, space=space, shards=lacking, run_id=run_id, embedder=embedder, limit=SLICE
                    )
                    left, done = made.left, done.plus(made)
                    for state in shard_states(self.lake(), tables, lacking):
                        if state.whole:
                            lacking.remove(state.shard)
                            on_filled(state)
                    if left and self._waited_for(dataset, tables.embedding_table):
                        time.sleep(_TURN_S)
        raise ConflictError(
            f"documents of {dataset} change faster than they are embedded in space {space}",
            fix="Run it again when fewer change, or let it embed faster: reembed.max_texts_per_s",
        )

    def catch_up(self, dataset: str, space: str, shards: Sequence[int], *, run_id: str | None = None) -> Filled:
        """Bring filled shards of a space up to date with their documents, once."""
        chunked = self.chunk(dataset, space=space, shards=shards).documents_chunked
        made = self.embed(dataset, space=space, shards=shards, run_id=run_id)
        return replace(Filled(space, len(shards), chunked).plus(made), left=self.unfilled(dataset, space))

    def snapshot_caught_up(
        self, dataset: str, *, space: str, message: str = "", run_id: str | None = None
    ) -> VersionMade:
        """The version of a filled space: what documents have changed since its shards were filled is brought up to date first."""
        every = range(self.dataset(dataset).shards)
        for _ in range(PASSES):
            states = shard_states(self.lake(), self.tables(dataset, space), every)
            behind = [one.shard for one in states if not one.whole]
            if behind:
                self.catch_up(dataset, space, behind, run_id=run_id)
            try:
                return self.snapshot(dataset, space=space, message=message, run_id=run_id)
            except RefusedError:
                if (
                    not behind
                ):  # It was whole a moment ago: what refuses is something else, or a document changed just now.
                    self._require_whole(dataset)
        return self.snapshot(dataset, space=space, message=message, run_id=run_id)

    def _told(self, dataset: str, space: str, shards: Sequence[int], run_id: str | None) -> None:
        Taken(self.registry(), self.tables(dataset, space), self.space(dataset, space), run_id).record(
            self.lake(), shards
        )

    def _waited_for(self, dataset: str, table: str) -> bool:
        return self.registry().lease(f"lake/{dataset}/{table}") is not None

    @contextmanager
    def _turn(self, dataset: str) -> Iterator[None]:
        """One of the processes that may fill at once. A dead one's turn is free."""
        turns = self.dataset(dataset).reembed.parallel
        while True:
            for number in range(turns):
                with ExitStack() as stack:
                    try:
                        stack.enter_context(hold(self.registry(), f"fill/{dataset}/{number}"))
                    except ConflictError as error:
                        busy = error.what
                        continue
                    yield
                    return
            self.progress.update(f"waiting for a turn ({turns} may fill at once): {busy}", 0, 1)
            time.sleep(_TURN_S)

    def _require_affordable(self, dataset: str, space: str, shards: Sequence[int]) -> None:
        """``RefusedError`` when more than the budget's texts or money lie ahead."""
        settings, prices = self.dataset(dataset).reembed, self.dataset(dataset).spaces[space].embedder.prices
        if settings.max_texts is None and (settings.max_cost is None or prices is None):
            return
        texts = total(shard_states(self.lake(), self.tables(dataset, space), shards)).pending
        again = f"Let it: vector-pipeline reembed {dataset} --space {space} --over-budget; or raise"
        if settings.max_texts is not None and texts > settings.max_texts:
            raise RefusedError(
                f"{texts:,} texts of {dataset} would be embedded in space {space}, more than its budget of {settings.max_texts:,}",
                fix=f"{again} reembed.max_texts",
            )
        if settings.max_cost is not None and prices is not None:
            cost = self._tokens_pending(dataset, space, shards, texts) / 1e6 * prices.per_million_tokens
            if cost > settings.max_cost:
                raise RefusedError(
                    f"embedding {texts:,} texts of {dataset} in space {space} would cost {cost:,.2f} {prices.currency}, more than "
                    f"its budget of {settings.max_cost:,.2f}",
                    fix=f"{again} reembed.max_cost",
                )

    def _tokens_pending(self, dataset: str, space: str, shards: Sequence[int], texts: int) -> float:
        """Tokens of texts without a vector, from a sample of them."""
        tables, count = self.tables(dataset, space), self.embedder(dataset, space).tokens.count
        rows = self.lake().rows(
            f"""SELECT context || text FROM {tables.chunks} ANTI JOIN {tables.embeddings} USING (shard, content_hash)
                WHERE shard IN ({", ".join(map(str, shards))}) ORDER BY md5(content_hash) LIMIT 500"""
        )
        return texts * sum(count(text) for (text,) in rows) / max(1, len(rows))

    def fill_status(self, dataset: str, space: str) -> SpaceFill:
        """How far a space is. Writes nothing."""
        resolved, registry = self.space(dataset, space), self.registry(read_only=True)
        every = range(self.dataset(dataset).shards)
        try:
            states = shard_states(self.lake(read_only=True), self.tables(dataset, space), every)
        except NotFoundError:
            states = [ShardState(shard) for shard in every]
        attempts = registry.fills(dataset, resolved.fingerprint)
        last, failed = {one.shard: one for one in attempts}, failed_now(attempts)
        filled = {one.shard for one in attempts if one.status is FillStatus.DONE}
        busy = self._busy(dataset, space)
        shards = tuple(
            ShardFill(
                one, _status(one, one.shard in busy, one.shard in failed, one.shard in filled), last.get(one.shard),
                failed[one.shard].error if one.shard in failed and not one.whole else None,
            )
            for one in states
        )  # fmt: skip
        rate = _rate(attempts)
        return SpaceFill(
            dataset, space, resolved.fingerprint, resolved.model, self.serves(dataset, space), shards, rate,
            _remaining(total(states), rate), registry.latest_version(dataset, space, resolved.fingerprint),
        )  # fmt: skip

    def _busy(self, dataset: str, space: str) -> set[int]:
        """Shards that somebody writes vectors of now."""
        resource = f"lake/{dataset}/{self.tables(dataset, space).embedding_table}"
        registry = self.registry(read_only=True)
        return {int(one.resource.rpartition("/")[2]) for one in registry.leases_below(resource)}


def _status(state: ShardState, busy: bool, failed: bool, filled: bool) -> str:
    if state.whole:
        return "done"
    if busy:
        return "filling"
    if failed:
        return "failed"
    return "stale" if filled else "pending"


def _rate(attempts: Sequence[Fill]) -> float | None:
    seen = [one for one in attempts if one.embedded and one.seconds][-_NEWEST:]
    return sum(one.embedded for one in seen) / sum(one.seconds for one in seen) if seen else None


def _remaining(state: ShardState, rate: float | None) -> float | None:
    """Documents without chunks are taken to have as many as the others."""
    if not (state.missing or state.stale or state.pending):
        return 0.0
    chunked = state.documents - state.missing
    if rate is None or (state.missing and not chunked):
        return None
    per_document = state.records / chunked if chunked else 0.0
    return (state.pending + (state.missing + state.stale) * per_document) / rate
