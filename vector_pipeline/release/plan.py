"""A plan: what a push or a promotion would do, frozen and serialisable. No I/O.

Laws
----
1. A plan is a function of (desired snapshot, observed target): planning twice gives equal plans.
2. ``stages`` is the one list that the preview prints and apply executes: they cannot disagree.
3. ``preconditions`` name the state that was looked at. Apply refuses when the target's mark, the version's digest, the alias or
   the digest over all actions is another one. Estimates (seconds, money) are for people, and no precondition.
4. In the versioned and blue/green strategies nothing in a plan changes what a reader of another version sees.
"""

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from vector_pipeline.errors import InputError

FORMAT = 2
_READ_BACK = ConfigDict(extra="forbid", allow_inf_nan=False)
_CHANGES = frozenset({"added", "removed", "changed"})
Goal = Literal["staging", "production"]
Load = Literal["auto", "upsert", "import"]
"""How a line that does not exist yet is filled; ``auto``: the better way (see ``loading``)."""


class Strategy(StrEnum):
    """How a version gets into the target."""

    VERSIONED = "versioned"
    """Beside the other versions of a namespace: only what changed is written, readers filter by version."""
    BLUE_GREEN = "blue-green"
    """Whole, into a namespace of its own."""
    IN_PLACE = "in-place"
    """Over what is there, for readers that cannot filter: they see the change while it happens."""


class Action(StrEnum):
    """What happens to one record."""

    ADD = "add"
    """Wanted, and never held by this namespace."""
    REMOVE = "remove"
    """Visible, and not wanted: its interval is closed (in place: deleted)."""
    METADATA = "metadata"
    """Same content, other metadata: no vector is written where the target can derive or update a record."""
    RESTORE = "restore"
    """Wanted, not visible, and still held under a closed interval: it returns under a new generation."""
    FOREIGN = "foreign"
    """Visible, and not made by this pipeline in this space: closed (in place: deleted), and reported."""
    UNCHANGED = "unchanged"


class StageKind(StrEnum):
    """One kind of step; stages are executed in the plan's order, each to its end before the next begins."""

    ENSURE_NAMESPACE = "ensure-namespace"
    UPSERT = "upsert"
    """Whole records, with vectors."""
    IMPORT = "import"
    """Whole records, from files that the target reads by itself: makes the namespace, which must not exist."""
    DERIVE = "derive"
    """Records that take their vector from one that is there."""
    SET_METADATA = "set-metadata"
    """Metadata in place."""
    CLOSE = "close"
    """Ends intervals."""
    DELETE = "delete"
    """Records that no version needs; in place: what is not wanted."""
    VERIFY = "verify"
    """The gates, where their verdicts are missing or out of date."""
    MOVE_ALIAS = "move-alias"
    """One compare-and-swap."""


FILLING = frozenset({StageKind.UPSERT, StageKind.IMPORT})
"""Stages that send whole records, with vectors."""
WRITING = FILLING | {StageKind.DERIVE, StageKind.SET_METADATA, StageKind.CLOSE, StageKind.DELETE}
"""Stages that send records to the target."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of apply. ``bytes``, ``requests`` and ``seconds`` are estimates."""

    __pydantic_config__ = _READ_BACK

    kind: StageKind
    records: int = 0
    bytes: int = 0
    requests: int = 1
    seconds: float = 0.0
    where: str = ""
    """What it works on, where that is not the plan's namespace: the alias that moves, or the line that readers read."""
    ending: str = ""
    """How intervals are closed, where the target has several ways: the name of one of ``capabilities.endings``."""
    held: int = 0
    """Estimate: bytes that the target holds of what is written over, closed or deleted."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What executing a list of stages takes. Estimates; ``money`` is None without a price table."""

    __pydantic_config__ = _READ_BACK

    records: int = 0
    """Records written, closed or deleted."""
    vectors: int = 0
    bytes: int = 0
    requests: int = 0
    seconds: float = 0.0
    money: float | None = None
    currency: str | None = None
    write_units: float | None = None
    """What the service counts, where it does."""
    read_units: float | None = None
    as_of: str = ""
    """When the prices were looked up, where that is known."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A strategy that was weighed."""

    __pydantic_config__ = _READ_BACK

    strategy: Strategy
    namespace: str
    cost: Cost
    why: str
    """Why it was chosen, or was not."""
    possible: bool = True
    load: str = ""
    """``import`` or ``upsert``: how the namespace would be filled, where that was weighed; empty: the strategy was."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What readers lose when they move to the version: against the line, or against what is served; the larger share."""

    __pydantic_config__ = _READ_BACK

    records: int = 0
    of: int = 0
    documents: int = 0
    """Whole ones."""
    served: bool = False
    """Against what is served."""

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.records / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The state that was looked at."""

    __pydantic_config__ = _READ_BACK

    lake_snapshot: int
    version_digest: str
    mark: str | None
    """The target's mark; None when the namespace did not exist."""
    actions_digest: str
    alias_generation: int | None = None
    """Of the alias that the plan moves; None when it did not exist, or for a plan that moves none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Desired against observed."""

    __pydantic_config__ = _READ_BACK

    dataset: str
    environment: str
    target: str
    namespace: str
    space: str
    fingerprint: str
    dimension: int
    metric: str
    version: Annotated[int, Field(ge=1, lt=2**63)]
    goal: Goal
    strategy: Strategy
    why: str
    actions: dict[str, int]
    """Records by action: every ``Action`` is a key."""
    documents: dict[str, int]
    """Documents ``added``, ``removed``, ``changed`` in the index."""
    examples: dict[str, list[str]]
    """Up to ten document ids by action."""
    stages: tuple[Stage, ...]
    preconditions: Preconditions
    cost: Cost = Cost()
    alternatives: tuple[Alternative, ...] = ()
    """Every strategy that was weighed, the chosen one too; empty when it was forced."""
    notes: tuple[str, ...] = ()
    """What a person should know before applying: guards that would refuse it, foreign records, a missing verdict."""
    removal: Removal = Removal()
    """What the mass-deletion guard judges."""
    format: int = field(default=FORMAT)

    @property
    def empty(self) -> bool:
        """Whether apply would do nothing."""
        return not self.stages

    @property
    def writes(self) -> int:
        """Records that apply writes, closes or deletes."""
        return sum(stage.records for stage in self.stages if stage.kind in WRITING)

    @property
    def vectors(self) -> int:
        """Records whose vector is written."""
        return sum(stage.records for stage in self.stages if stage.kind in FILLING)

    def identity(self) -> "Plan":
        """The plan without estimates, explanations and ways: what must be equal for a saved plan to be applied."""
        bare = tuple(replace(stage, bytes=0, requests=1, seconds=0.0, ending="", held=0) for stage in self.stages)
        return replace(self, stages=bare, cost=Cost(), alternatives=(), why="", notes=(), removal=Removal())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Plan":
        """``InputError`` for anything that ``to_json`` of this format did not make."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise InputError("not a plan file of this release", fix="Make a new one: vector-pipeline plan --out FILE")
        try:
            plan = _adapter().validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = " ".join(".".join(map(str, first["loc"])).split())
            raise _damaged(f"{where}: {first['msg']}") from None
        for name, given, wanted in (
            ("actions", plan.actions, frozenset(Action)), ("documents", plan.documents, _CHANGES),
        ):  # fmt: skip
            if set(given) != wanted:
                raise _damaged(f"{name} are not {', '.join(sorted(wanted))}")
        return plan


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def _damaged(what: str) -> InputError:
    return InputError(f"the plan file is damaged: {what}", fix="Make a new one: vector-pipeline plan --out FILE")
