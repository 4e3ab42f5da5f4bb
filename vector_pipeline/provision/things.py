"""What a plan of provisioning consists of.

Laws
----
1. ``EXISTS`` is said of what was seen and is as it must be, never of what could not be looked at: that is ``UNKNOWN``.
2. A thing is made by one call that may be made twice: killed anywhere and run again, the same things stand.
3. There is no action that deletes.
4. While something ``DIFFERS`` nothing is made: a person decides first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What provisioning does about a thing."""

    CREATE = "create"
    CHANGE = "change"
    EXISTS = "exists"
    DIFFERS = "differs"
    """It is there, or may not be made, and cannot be set right in place: ``fix`` says what to do."""
    UNKNOWN = "unknown"
    """It cannot be told from here; nothing is done about it, and ``fix`` says why that is no harm or what is missing."""


SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.EXISTS: "=", Action.DIFFERS: "!", Action.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that the configuration names. No secret is in any field."""

    kind: str
    """``postgresql role``, ``s3 bucket``, ``pinecone index``, …"""
    name: str
    """With its place."""
    action: Action
    facts: tuple[tuple[str, str], ...] = ()
    """What it is to be."""
    note: str = ""
    """What changes, or differs."""
    fix: str = ""
    make: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    @property
    def pending(self) -> bool:
        return self.action in (Action.CREATE, Action.CHANGE)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "action": str(self.action), "facts": dict(self.facts), "note": self.note,
            "fix": self.fix,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProvisionPlan:
    """Every thing of an environment, in the order in which they are made."""

    environment: str
    things: tuple[Thing, ...]

    @property
    def pending(self) -> tuple[Thing, ...]:
        return tuple(one for one in self.things if one.pending)

    @property
    def blocked(self) -> tuple[Thing, ...]:
        return tuple(one for one in self.things if one.action is Action.DIFFERS)

    @property
    def empty(self) -> bool:
        """Nothing to make, and nothing in the way."""
        return not self.pending and not self.blocked

    def summary(self) -> str:
        """``2 to create, 1 to change, 4 exist``."""
        words = {
            Action.CREATE: "to create", Action.CHANGE: "to change", Action.EXISTS: "as they must be", Action.DIFFERS: "in the way",
            Action.UNKNOWN: "not known here",
        }  # fmt: skip
        counts = {action: sum(one.action is action for one in self.things) for action in words}
        return ", ".join(f"{count} {words[action]}" for action, count in counts.items() if count) or "nothing to make"

    def to_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment, "empty": self.empty, "summary": self.summary(),
            "things": [one.to_json() for one in self.things],
        }  # fmt: skip
