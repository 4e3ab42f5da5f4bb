"""What a preview is: names, budgets, and the version that it proposes to production. No I/O.

Laws
----
1. A preview's name is lower-case letters, digits and single ``-``, so that its dataset's name can be taken apart, and is nobody's.
2. What a preview may write is its own budget, and takes nothing from its dataset's.
3. What it proposes is a version of its dataset with the number that the next one would have: planned with, never written.
"""

import re
from dataclasses import asdict, dataclass

from vector_pipeline.errors import InputError
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.registry import Version

LONGEST = 40
"""Characters of a preview's name."""
_LONGEST_NAMESPACE = 100
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a preview may take. None: any number."""

    texts: int | None = None
    """That the model embeds for it."""
    records: int | None = None
    """That are written to the target."""
    cost: float | None = None
    """Of writing them, in the currency of the target's prices."""

    def guards(self) -> Guards:
        """Of its push. It removes nothing from anybody."""
        return Guards(max_vectors=self.records, max_cost=self.cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed(Version):
    """Law 3."""

    held_as: str

    @property
    def lake_dataset(self) -> str:
        return self.held_as


def proposed(version: Version, *, origin: str, number: int) -> Proposed:
    """A preview's version as the next one of its dataset."""
    return Proposed(**{**asdict(version), "dataset": origin, "number": number, "parent": None}, held_as=version.dataset)


def require_name(name: str) -> str:
    """Law 1, or ``InputError``."""
    if len(name) > LONGEST or _NAME.fullmatch(name) is None:
        raise InputError(
            f"{name!r} is no name of a preview",
            fix=f"Up to {LONGEST} lower-case letters, digits and single hyphens, such as pr-123-4f2a9c1",
        )
    return name


def require_fitting(namespace: str) -> None:
    """``InputError`` for a namespace whose name would be too long for a target."""
    if len(namespace) > _LONGEST_NAMESPACE:
        raise InputError(
            f"{namespace} is longer than a namespace's name may be ({_LONGEST_NAMESPACE} characters)",
            fix="Give the preview a shorter name",
        )
