"""What an audit found: numbers, examples, one line for people."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How deep an audit looks. Each level but ``count`` holds the ones before it."""

    COUNT = "count"
    """Mark and number of records against those after our last write: no record is read."""
    IDS = "ids"
    """Every record's identity and marks against the lake: complete, but for text, metadata and vectors."""
    SAMPLE = "sample"
    """``ids``, and the values and marks of some records, chosen by chance."""
    FULL = "full"
    """``ids``, and the values and marks of all records."""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A deployment against what its target holds. Numbers are records."""

    dataset: str
    environment: str
    alias: str | None
    deployment: int
    target: str
    namespace: str
    version: int
    level: Level
    """The level that was looked at: ``ids`` where ``count`` was asked for and nothing was recorded to compare with."""
    expected: int
    found: int
    """Of those expected; by ``count`` they are taken to be there, not seen."""
    missing: int = 0
    """Expected, and not held at all."""
    foreign: int = 0
    """Held, and explained by no version of the dataset."""
    tampered: int = 0
    """Held with other metadata or values than the version has, or with fields that contradict their id."""
    stale_marks: int = 0
    """Ours, with marks that hide what should be seen or show what should not."""
    compared: int = 0
    """Records whose values were compared."""
    seed: int | None = None
    """Of a sample: the same seed finds the same records again."""
    faults: tuple[str, ...] = ()
    """What is wrong with the namespace as a whole."""
    not_judged: tuple[str, ...] = ()
    """What the target does not let an audit see."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Up to ten documents and record ids for ``missing``, ``foreign``, ``tampered``, ``stale_marks``."""
    mark: str | None = None
    """The namespace's state when the audit began; None when it does not exist."""
    seconds: float = 0.0

    @property
    def drifted(self) -> bool:
        """Whether the target holds anything else than it should."""
        return bool(self.faults or self.missing or self.foreign or self.tampered or self.stale_marks)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers, for a history."""
        names = ("expected", "found", "missing", "foreign", "tampered", "stale_marks", "compared")
        return {name: getattr(self, name) for name in names}

    @property
    def summary(self) -> str:
        """One line."""
        name = f"{self.alias or 'deployment'} v{self.version}"
        if not self.drifted:
            seen = f", {self.compared:,} compared" if self.compared else ""
            return f"{name}: no drift ({self.level}: {self.found:,} of {self.expected:,} records found{seen})"
        wrong = {
            "missing": self.missing,
            "foreign": self.foreign,
            "tampered": self.tampered,
            "with stale marks": self.stale_marks,
        }
        told = [*self.faults, *(f"{count:,} {word}" for word, count in wrong.items() if count)]
        return f"{name}: {', '.join(told)} (of {self.expected:,} expected, {self.found:,} found)"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "drifted": self.drifted, "summary": self.summary}
