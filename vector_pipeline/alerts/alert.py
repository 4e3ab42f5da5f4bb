"""What an alert says: what happened, where, and what to do."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from vector_pipeline.config.automation import AlertEvent
from vector_pipeline.hashing import fingerprint

_PASSING = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b|\d+")
"""Ids and numbers in a message: they differ each time that the same thing fails."""


AUDITS: frozenset[AlertEvent] = frozenset({"drift", "attestation"})
"""What looks at production say, as often as they are made."""


def topic(dataset: str, audit: AlertEvent | None = None) -> str:
    """Name of what a success ends: failures of a dataset, or of one audit of it."""
    return dataset if audit is None else f"{dataset}/{audit}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that went wrong. Every text is one line."""

    event: AlertEvent
    dataset: str
    environment: str
    what: str
    """What happened: ``version 7 did not pass canary retrieval: 3 of 40 canaries``."""
    at: str
    """When the run ended: ISO 8601, UTC."""
    fix: str = ""
    """What to do, as a sentence; empty where ``what`` says it."""
    command: str = ""
    """The next command."""
    version: int | None = None
    run_id: str = ""
    run_url: str = ""
    """The run in Dagster; empty where its address is not configured."""
    report: str = ""
    """File or address of the version's report."""
    gates: tuple[str, ...] = ()
    """Checks that failed."""
    owners: tuple[str, ...] = ()
    """Whose the dataset is."""

    @property
    def key(self) -> str:
        """Name of the failure: equal for the same failure of the same version, whatever run found it."""
        about: dict[str, Any] = {"event": self.event, "dataset": self.dataset, "environment": self.environment}
        if self.audit:
            # Numbers are what it says: three records are not twelve thousand.
            return fingerprint(about | {"version": self.version, "what": self.what})
        if self.once:
            return fingerprint(about | {"version": self.version, "gates": sorted(self.gates)})
        return fingerprint(about | {"what": _PASSING.sub("#", self.what), "gates": sorted(self.gates)})

    @property
    def once(self) -> bool:
        """Whether it is never told again: what a version's gates say of it does not change by being said again."""
        return self.event == "gate-failed" and self.version is not None and bool(self.gates)

    @property
    def audit(self) -> bool:
        """Whether it is of what stands in production: that changes from one look to the next, and a clean look ends it."""
        return self.event in AUDITS

    @property
    def topic(self) -> str:
        """What ends it: a run of the dataset that succeeds, or a clean look of the same kind."""
        return topic(self.dataset, self.event if self.audit else None)

    @property
    def subject(self) -> str:
        """What and where, in a few words."""
        said = {
            "run-failed": "a run failed",
            "gate-failed": "gates failed",
            "drift": "the index has drifted",
            "attestation": "the attestation failed",
            "not-loaded": "it is not loaded",
        }[self.event]
        of = f" of version {self.version}" if self.version is not None and self.event == "gate-failed" else ""
        return f"[{self.environment}] {self.dataset}: {said}{of}"

    @property
    def line(self) -> str:
        """All of it as one line."""
        parts = [
            f"[{self.environment}] {self.dataset}: {_stopped(self.what)}{' ' + _stopped(self.fix) if self.fix else ''}"
        ]
        parts += [f"Run: {self.run_url or self.run_id}"] if self.run_id else []
        parts += [f"Report: {self.report}"] if self.report else []
        parts += [f"Next: {self.command}"] if self.command else []
        parts += [f"Owners: {', '.join(self.owners)}"] if self.owners else []
        return " · ".join(parts)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "gates": list(self.gates), "owners": list(self.owners)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        # What was written before there were owners has none.
        return cls(**{**value, "gates": tuple(value["gates"]), "owners": tuple(value.get("owners", ()))})


def _stopped(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
