"""How far a space is, as values: its shards, what each lacks, the rate that was seen, and the time that is left."""

from collections.abc import Sequence
from dataclasses import dataclass

from vector_pipeline.build.filling import ShardState, total
from vector_pipeline.release.registry import Fill, Version

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


def status_of(state: ShardState, busy: bool, failed: bool, filled: bool) -> str:
    """In one word (``ShardFill.status``): whether somebody is at it, its newest attempt failed, and it was ever filled."""
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


def remaining(state: ShardState, rate: float | None) -> float | None:
    """Seconds that what is lacking takes at a rate; documents without chunks are taken to have as many as the others."""
    if not (state.missing or state.stale or state.pending):
        return 0.0
    chunked = state.documents - state.missing
    if rate is None or (state.missing and not chunked):
        return None
    per_document = state.records / chunked if chunked else 0.0
    return (state.pending + (state.missing + state.stale) * per_document) / rate
