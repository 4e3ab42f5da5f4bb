"""What a gate says: one status, one line for people, and everything a machine wants beside it.

Laws
----
1. ``unknown`` is the zero value: a gate that did not run, or broke while it ran, has not passed. It blocks.
2. A result is JSON-safe as it stands, so that a registry, a Dagster event and a terminal show the same thing.
3. No exception of a gate's own machinery leaves a gate: ``guarded`` turns it into ``unknown`` with the reason.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vector_pipeline.config import scrub
from vector_pipeline.errors import VectorPipelineError

EXAMPLES = 10
"""Most examples that a check names of one kind of fault."""

_LONGEST_REASON = 400


class Status(StrEnum):
    """Outcome of a gate. Codes are only ever added."""

    UNKNOWN = "unknown"
    """The gate did not run to its end: nothing is proven. Blocks."""
    PASSED = "passed"
    WARNED = "warned"
    """Nothing is wrong, but a person should know. Does not block."""
    FAILED = "failed"
    """What must hold does not. Blocks."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Verdict of one gate. ``detail`` and ``examples`` hold JSON values only (``json_safe`` is applied)."""

    name: str
    status: Status = Status.UNKNOWN
    summary: str = "did not run"
    """One line for a person."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    """Faults by name: at most ``EXAMPLES`` of each kind."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", " ".join(self.summary.split()))
        object.__setattr__(self, "detail", json_safe(self.detail))
        object.__setattr__(self, "examples", tuple(json_safe(example) for example in self.examples))

    @property
    def blocks(self) -> bool:
        """Whether promotion must stop here."""
        return self.status in (Status.UNKNOWN, Status.FAILED)

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object; ``from_json`` reads it back."""
        return {
            "name": self.name,
            "status": self.status.value,
            "summary": self.summary,
            "detail": dict(self.detail),
            "examples": [dict(example) for example in self.examples],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CheckResult":
        """Inverse of ``to_json``. A status of a later release that is not known here reads as ``unknown``."""
        known = value["status"] in Status.__members__.values()
        status = Status(value["status"]) if known else Status.UNKNOWN
        return cls(value["name"], status, value["summary"], value["detail"], tuple(value["examples"]))


def overall(results: Iterable[CheckResult]) -> Status:
    """The worst status; ``unknown`` for no results at all. A failure outranks a gate that could not run."""
    order = (Status.PASSED, Status.WARNED, Status.UNKNOWN, Status.FAILED)
    return max((result.status for result in results), key=order.index, default=Status.UNKNOWN)


def guarded(name: str, gate: Callable[[], CheckResult]) -> CheckResult:
    """Run a gate; whatever stops it becomes ``unknown`` with the reason in ``summary``."""
    try:
        return gate()
    except Exception as error:  # noqa: BLE001  a gate that could not run has not passed, whatever the cause: law 3
        return could_not_run(name, error)


def could_not_run(name: str, error: Exception) -> CheckResult:
    """The ``unknown`` result of a gate that ``error`` stopped."""
    ours = isinstance(error, VectorPipelineError)
    # A foreign message may be long and may repeat a connection's URL or a header: one line, and no secret.
    reason = " ".join(scrub(str(error)).split())[:_LONGEST_REASON]
    said = reason if ours else f"{type(error).__name__}: {reason}".removesuffix(": ")
    kind = error.code if isinstance(error, VectorPipelineError) else type(error).__name__
    return CheckResult(name, Status.UNKNOWN, f"{name} could not run: {said}", {"error": kind, "reason": reason})


def json_safe(value: Any) -> Any:
    """The nearest JSON value: numbers that JSON has no word for become None, other objects their text."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_safe(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "item"):  # numpy scalars
        return json_safe(value.item())
    return str(value)
