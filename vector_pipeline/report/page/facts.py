"""What a report tells, as plain values: ``project.reporting`` gathers them, ``render`` shows them. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.past import Event
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.outcome import Status


class Outlook(StrEnum):
    """Whether the version would be promoted."""

    SERVING = "serving"
    """It is in production now."""
    READY = "ready"
    """Every gate lets it through."""
    WARNED = "warned"
    """The same, and somebody should read a warning first."""
    BLOCKED = "blocked"
    """A gate failed."""
    UNPROVEN = "unproven"
    """No gate failed, but some could not run, did not run, or looked at something else than what is there now."""
    NOT_PUSHED = "not pushed"
    """It is on no target: nothing was checked."""


@dataclass(frozen=True, slots=True)
class GateSaid:
    """The latest verdict of one gate on one place, as it counts now."""

    name: str
    status: Status
    summary: str
    says: str = ""
    """What holds when it passes."""
    mode: str = "block"
    place: str = ""
    """Of several targets the one that it looked at; empty where that is no question."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    at: datetime | None = None
    """None: it has not run."""
    outdated: str = ""
    """Why an older verdict does not count; ``status`` is unknown then."""
    override: str = ""
    """Who let the version pass all the same, and why."""
    in_force: bool = False
    """Whether the override holds still: it is for one promotion, and ends when the version is served no more."""

    @property
    def blocks(self) -> bool:
        """Whether a promotion stops here."""
        return self.status in (Status.FAILED, Status.UNKNOWN) and not self.in_force


@dataclass(frozen=True, slots=True)
class Pushed:
    """How the version came to its target."""

    plan: Plan
    done: bool = False
    """False: planned, or not ended."""
    began: datetime | None = None
    """None: it was not pushed; the plan is of now."""
    seconds: float | None = None
    retried: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """What a report would show and cannot, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report tells."""

    version: Version
    environment: str
    places: tuple[str, ...]
    """Where it is: ``target/namespace``; none when it was not pushed."""
    aliases: tuple[str, ...]
    """Names that point at it."""
    served: Version | None
    """What production serves, or served before it: what it is compared with."""
    outlook: Outlook
    gates: tuple[GateSaid, ...]
    pushed: Pushed | Missing
    changes: VersionDiff | Missing
    map: Mapping[str, Any] | Missing
    """A scatter chart."""
    history: Sequence[Event]
    spaces: Mapping[int, str]
    """Of the versions, where the dataset has several: a move into another one changes every record."""
    policy: str
    """Who promotes here, in one sentence."""
    commands: tuple[tuple[str, str], ...]
    """What to do next: (why, command)."""
    made_at: datetime

    @property
    def blocking(self) -> list[GateSaid]:
        """Gates that stop a promotion; of what is served already, those that failed since."""
        served = self.outlook is Outlook.SERVING
        return [gate for gate in self.gates if gate.blocks and not (served and gate.status is Status.UNKNOWN)]

    @property
    def warning(self) -> list[GateSaid]:
        """Gates that a person should read, and that stop nothing."""
        return [gate for gate in self.gates if not gate.blocks and gate.status is not Status.PASSED]


def outlook_of(gates: Sequence[GateSaid], *, pushed: bool, serving: bool) -> Outlook:
    """Serving outranks what gates say: it is served whatever they say."""
    if serving:
        return Outlook.SERVING
    if not pushed:
        return Outlook.NOT_PUSHED
    blocking = [gate for gate in gates if gate.blocks]
    if any(gate.status is Status.FAILED for gate in blocking):
        return Outlook.BLOCKED
    if blocking or not gates:
        return Outlook.UNPROVEN
    return Outlook.READY if all(gate.status is Status.PASSED for gate in gates) else Outlook.WARNED
