"""Canaries of a candidate beside production's: which fail newly, and whether that is more than chance, and more than is tolerated.

McNemar's exact test: of the canaries whose verdicts differ, how likely is it that so many would fail newly, were both directions
as likely? Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
Psychometrika 12 (1947); the exact form is the binomial test of the discordant pairs. Significance alone stops nothing: among many
canaries a sure loss may still be a small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from vector_pipeline.config import GateConfig
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.verify.canaries.entry import Canary
from vector_pipeline.verify.canaries.search import Search
from vector_pipeline.verify.canaries.verdicts import Verdict, verdicts_of
from vector_pipeline.verify.intervals import wilson

_NAMED = 3
"""Canaries that a summary names."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a change may be: see ``GateConfig``."""

    alpha: float
    max_loss: float
    """Share of all canaries."""

    @classmethod
    def of(cls, gates: GateConfig) -> "Tolerance":
        return cls(gates.canary_alpha, gates.canary_max_loss)


@dataclass(frozen=True, slots=True)
class Change:
    """Canaries by number."""

    newly_failing: tuple[int, ...]
    newly_passing: tuple[int, ...]
    total: int
    """Canaries that were compared."""

    @property
    def p_value(self) -> float:
        """One-sided: how often at least so many of the differing ones would fail newly by chance."""
        return at_least(len(self.newly_failing), len(self.newly_failing) + len(self.newly_passing))

    def worse(self, tolerance: Tolerance) -> bool:
        """Surely more fail newly than pass newly, and more than are tolerated."""
        loss = len(self.newly_failing) - len(self.newly_passing)
        return self.p_value < tolerance.alpha and loss > tolerance.max_loss * self.total


def compared(production: Sequence[bool], candidate: Sequence[bool]) -> Change:
    """Both say of the same canaries whether they passed."""
    pairs = list(enumerate(zip(production, candidate, strict=True)))
    return Change(
        tuple(number for number, (before, now) in pairs if before and not now),
        tuple(number for number, (before, now) in pairs if now and not before),
        len(pairs),
    )


def at_least(heads: int, tosses: int) -> float:
    """Probability of at least ``heads`` in ``tosses`` of a fair coin; exact."""
    return float(sum(comb(tosses, one) for one in range(heads, tosses + 1)) / 2**tosses)


@dataclass(frozen=True, slots=True)
class Production:
    """What the candidate is seen beside."""

    version: int
    search: Search
    tolerance: Tolerance


@dataclass(frozen=True, slots=True)
class Beside:
    """The candidate's verdicts beside production's, or why production could not be asked."""

    version: int
    tolerance: Tolerance
    now: Sequence[Verdict]
    before: Sequence[Verdict] = ()
    trouble: str | None = None

    @property
    def change(self) -> Change:
        """None at all where production could not be asked."""
        now = self.now if self.before else ()
        return compared([one.passed for one in self.before], [one.passed for one in now])

    @property
    def worse(self) -> bool:
        """Whether that stops a release."""
        return self.change.worse(self.tolerance)

    def said(self) -> list[str]:
        """Parts of a summary; none where nothing differs."""
        change, version = self.change, self.version
        if self.trouble is not None:
            return [f"not compared with version {version} in production: {self.trouble}"]
        parts = []
        if change.newly_failing:
            surely = f", more than chance explains (p = {change.p_value:.2g})" if self.worse else ""
            ids = some(self._ids(change.newly_failing))
            parts.append(
                f"{len(change.newly_failing)} newly failing that version {version} in production passes: {ids}{surely}"
            )
        if change.newly_passing:
            parts.append(f"{len(change.newly_passing)} newly passing")
        return parts

    def to_json(self) -> dict[str, Any]:
        """Numbers at the top, for plots; the rest under ``production``."""
        if self.trouble is not None:
            return {"production": {"version": self.version, "error": self.trouble}}
        change = self.change
        rate = wilson(sum(one.passed for one in self.before), len(self.before))
        examples = {"newly_failing": self._ids(change.newly_failing), "newly_passing": self._ids(change.newly_passing)}
        return {
            "newly_failing": len(change.newly_failing), "newly_passing": len(change.newly_passing),
            "p_value": change.p_value, "production": {"version": self.version, **rate.to_json(), "examples": examples},
        }  # fmt: skip

    def _ids(self, numbers: Sequence[int]) -> list[str]:
        return [self.now[number].canary.id for number in numbers]


def beside(canaries: Sequence[Canary], now: Sequence[Verdict], production: Production) -> Beside:
    """Ask production the same. Its trouble is told, never raised: it is not the candidate's."""
    try:
        return Beside(production.version, production.tolerance, now, verdicts_of(canaries, production.search))
    except VectorPipelineError as error:
        return Beside(production.version, production.tolerance, now, trouble=error.what)


def some(ids: Sequence[str]) -> str:
    """The first of many names."""
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return f"{', '.join(ids[:_NAMED])}{more}"
