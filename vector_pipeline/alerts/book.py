"""What was told, and what is still owed: a plain value that outlives a process as JSON.

Laws
----
1. What a version's gates refuse is told once. What an audit finds is told again when it finds something else, after a clean audit,
   or after a day; any other failure after a success in between, or after a day.
2. What could not be delivered is owed to that receiver, and tried again after a wait that doubles, for half a day.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vector_pipeline.alerts.alert import Alert, topic
from vector_pipeline.alerts.delivering import DEADLINE_S, Delivery, deliver, wants
from vector_pipeline.config.automation import AlertConfig, AlertEvent
from vector_pipeline.hashing import fingerprint

AGAIN_S = 24 * 3600.0
FORGET_S = 90 * 24 * 3600.0
FIRST_WAIT_S, GIVE_UP_S = 30.0, 12 * 3600.0
BUDGET_S = 25.0
"""Most that one round of deliveries may take; what is left is owed. No delivery begins that could take longer."""


@dataclass(slots=True)
class Owed:
    """One alert that one receiver has not got."""

    alert: Alert
    receiver: str
    since: float
    due: float
    waits: int = 0


@dataclass(slots=True)
class Book:
    """Times are seconds since the epoch."""

    told: dict[str, float] = field(default_factory=dict)
    """Key of an alert → when it was told last."""
    about: dict[str, str] = field(default_factory=dict)
    """Key of an alert that a success ends → its topic."""
    owed: list[Owed] = field(default_factory=list)

    def tell(
        self, alerts: Iterable[Alert], receivers: Sequence[AlertConfig], *, now: float | None = None
    ) -> list[Delivery]:
        """Deliver what is new, and what is owed and due; returns what became of each."""
        now = time.time() if now is None else now
        self._forget(now)
        by_name = {fingerprint(one.model_dump(mode="json")): one for one in receivers}
        # Of a receiver that is no longer configured nothing is owed.
        self.owed = [one for one in self.owed if one.receiver in by_name]
        for alert in alerts:
            if self._knows(alert, now):
                continue
            self.told[alert.key] = now
            if not alert.once:
                self.about[alert.key] = alert.topic
            self.owed += [Owed(alert, name, now, now) for name, one in by_name.items() if wants(one, alert)]
        return self._pay(by_name, now)

    def succeeded(self, dataset: str, audit: AlertEvent | None = None) -> None:
        """A run of a dataset succeeded, or an audit of it was clean: what fails after that is told anew."""
        for key in [key for key, one in self.about.items() if one == topic(dataset, audit)]:
            self.told.pop(key, None)
            del self.about[key]

    def _knows(self, alert: Alert, now: float) -> bool:
        told = self.told.get(alert.key)
        return told is not None and (alert.once or now - told < AGAIN_S)

    def _pay(self, receivers: dict[str, AlertConfig], now: float) -> list[Delivery]:
        begun, kept, done = time.monotonic(), [], []
        for one in self.owed:
            if one.due > now or time.monotonic() - begun > BUDGET_S - DEADLINE_S:
                kept.append(one)
                continue
            result = deliver(one.alert, receivers[one.receiver])
            done.append(result)
            if not result.delivered and result.later and now - one.since < GIVE_UP_S:
                one.due, one.waits = now + FIRST_WAIT_S * 2**one.waits, one.waits + 1
                kept.append(one)
        self.owed = kept
        return done

    def _forget(self, now: float) -> None:
        self.told = {key: at for key, at in self.told.items() if now - at < FORGET_S}
        self.about = {key: one for key, one in self.about.items() if key in self.told}

    def to_json(self) -> dict[str, Any]:
        owed = [
            {
                "alert": one.alert.to_json(),
                "receiver": one.receiver,
                "since": one.since,
                "due": one.due,
                "waits": one.waits,
            }
            for one in self.owed
        ]
        return {"told": self.told, "about": self.about, "owed": owed}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        owed = [Owed(**{**one, "alert": Alert.from_json(one["alert"])}) for one in value.get("owed", [])]
        return cls(dict(value.get("told", {})), dict(value.get("about", {})), owed)

    def __str__(self) -> str:
        return json.dumps(self.to_json())
