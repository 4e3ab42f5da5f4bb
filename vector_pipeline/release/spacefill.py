"""How far a space is, as values: its shards, what each lacks, the rate that was seen, and the time that is left."""

from collections.abc import Sequence
from dataclasses import dataclass

from vector_pipeline.build.filling import ShardState, total
from vector_pipeline.config.models import ReembedConfig
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
    """Its newest attempt that ended."""
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


OVER_BUDGET = "over-budget"
"""Code of the refusal of what would go over the budget of a space."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What making a space whole takes, and what was spent on it already: the budget is for both."""

    texts: int
    """To embed: distinct, and without a vector anywhere."""
    spent: int
    """Embedded since the space's newest version, or since its beginning."""
    money: float | None = None
    """Of both; None without prices."""

    def over(self, settings: ReembedConfig) -> str | None:
        """The setting that it goes over. What embeds nothing goes over none."""
        if not self.texts:
            return None
        if settings.max_texts is not None and self.spent + self.texts > settings.max_texts:
            return "max_texts"
        if settings.max_cost is not None and self.money is not None and self.money > settings.max_cost:
            return "max_cost"
        return None

    @property
    def beside(self) -> str:
        """Of what was spent, to follow what lies ahead."""
        return f" beside the {self.spent:,} that were" if self.spent else ""


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
