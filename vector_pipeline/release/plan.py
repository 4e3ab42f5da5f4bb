"""A plan: what a push would do, frozen and serialisable. No I/O.

Laws
----
1. A plan is a function of (desired snapshot, observed target): planning twice gives equal plans.
2. ``stages`` is the one list that the preview prints and apply executes: they cannot disagree.
3. ``preconditions`` name the state that was looked at. Apply refuses when the target's mark, the version's digest or the
   digest over all actions is another one.
4. In the versioned strategy nothing in a plan changes what a reader of another version sees.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from vector_pipeline.errors import InputError

FORMAT = 1


class Action(StrEnum):
    """What happens to one record."""

    ADD = "add"
    """Wanted, and not visible at the new version."""
    REMOVE = "remove"
    """Visible, and not wanted: its interval is closed."""
    METADATA = "metadata"
    """Same content, other metadata: closed, and added again under a new generation with the same vector."""
    FOREIGN = "foreign"
    """Visible, and not made by this pipeline in this space: closed, and reported."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of apply. ``bytes`` is an estimate: vectors, texts and metadata as they travel."""

    kind: str
    """``ensure-namespace``, ``upsert`` or ``close``."""
    records: int = 0
    bytes: int = 0
    requests: int = 1


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The state that was looked at."""

    lake_snapshot: int
    version_digest: str
    mark: str | None
    """The target's mark; None when the namespace did not exist."""
    actions_digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Desired against observed."""

    dataset: str
    environment: str
    target: str
    namespace: str
    space: str
    fingerprint: str
    dimension: int
    metric: str
    version: int
    strategy: str
    why: str
    actions: dict[str, int]
    """Records by action: every ``Action`` is a key."""
    documents: dict[str, int]
    """Documents ``added``, ``removed``, ``changed`` in the index."""
    examples: dict[str, list[str]]
    """Up to ten document ids by action."""
    stages: tuple[Stage, ...]
    preconditions: Preconditions
    format: int = field(default=FORMAT)

    @property
    def empty(self) -> bool:
        """Whether apply would write nothing."""
        return not self.stages

    @property
    def writes(self) -> int:
        """Records that apply writes or closes."""
        return sum(stage.records for stage in self.stages)

    @property
    def vectors(self) -> int:
        """Records whose vector is written."""
        return sum(stage.records for stage in self.stages if stage.kind == "upsert")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Plan":
        """``InputError`` for anything that ``to_json`` of this format did not make."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise InputError("not a plan file of this release", fix="Make a new one: vector-pipeline plan --out FILE")
        try:
            return cls(
                **{
                    **data,
                    "stages": tuple(Stage(**stage) for stage in data["stages"]),
                    "preconditions": Preconditions(**data["preconditions"]),
                }
            )
        except (TypeError, KeyError) as error:
            raise InputError(f"the plan file is damaged: {error}", fix="Make a new one") from None
