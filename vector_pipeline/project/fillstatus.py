"""How far a space is: its shards, what each lacks, the rate that was seen, and the time that is left. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from vector_pipeline.build.filling import ShardState, shard_states, total
from vector_pipeline.errors import NotFoundError
from vector_pipeline.project.building import Building
from vector_pipeline.release.holding import living
from vector_pipeline.release.registry import Fill, FillStatus, Version
from vector_pipeline.release.registry.fills import failed_now

_NEWEST = 32
"""Fills that the rate is told from."""


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


class FillTelling(Building):
    """What is known of spaces that do not serve."""

    def unfilled(self, dataset: str, space: str) -> int:
        """Shards that are not filled yet, for a space that does not serve."""
        every = range(self.dataset(dataset).shards)
        return len(every) - len(self.shards_to_build(dataset, space, every) or [])

    def to_fill(self, dataset: str, space: str) -> set[int]:
        """Shards of a space that a fill would change, or tell. Writes nothing."""
        status = self.fill_status(dataset, space)
        return {one.state.shard for one in status.shards if one.status != "done" or one.last is None}

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
        busy = self.busy_shards(dataset, space)
        shards = tuple(
            ShardFill(
                one, _status(one, one.shard in busy, one.shard in failed, one.shard in filled), last.get(one.shard),
                failed[one.shard].error if one.shard in failed and not one.whole else None,
            )
            for one in states
        )  # fmt: skip
        rate = seen_rate(attempts)
        return SpaceFill(
            dataset, space, resolved.fingerprint, resolved.model, self.serves(dataset, space), shards, rate,
            _remaining(total(states), rate), registry.latest_version(dataset, space, resolved.fingerprint),
        )  # fmt: skip

    def busy_shards(self, dataset: str, space: str) -> set[int]:
        """Shards that somebody writes vectors of now."""
        resource = f"lake/{dataset}/{self.tables(dataset, space).embedding_table}"
        return {int(one.resource.rpartition("/")[2]) for one in living(self.registry(read_only=True), resource)}


def _status(state: ShardState, busy: bool, failed: bool, filled: bool) -> str:
    if state.whole:
        return "done"
    if busy:
        return "filling"
    if failed:
        return "failed"
    return "stale" if filled else "pending"


def seen_rate(attempts: Sequence[Fill]) -> float | None:
    """Texts a second of the newest fills; None where none embedded anything."""
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
