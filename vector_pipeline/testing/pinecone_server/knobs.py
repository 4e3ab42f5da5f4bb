"""Everything that goes wrong in production, as settings: what the server does to requests, and how it counts them.

Faults are drawn from ``seed``, the route and the number of that route's request: the same requests in the same order meet the
same faults. At most one fault meets a request. Lost responses meet writes only: of a read, nothing would have landed.
"""

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from vector_pipeline.testing.pinecone_server.errors import ApiError

QUOTAS: Mapping[str, tuple[str, str]] = {
    "402": ("PAYMENT_REQUIRED", "Request failed. You must add a payment method to continue using Pinecone."),
    "403": ("QUOTA_EXCEEDED", "Request failed. You have reached the write unit limit of your project for this month."),
}
"""Bodies of the two refusals that no retry heals."""


@dataclass(slots=True)
class Knobs:
    """Settings of the server, changeable while it runs. Shares are of requests to index hosts, 0 to 1."""

    freshness_lag_s: float = 0.0
    """Seconds until reads see a write."""
    filters_see_indexed_only: bool = False
    """Updates and deletes by a filter choose among what reads see, not among all that is committed: Pinecone says neither."""
    too_many_requests: float = 0.0
    """Share answered 429 with Retry-After, before anything is done."""
    unavailable: float = 0.0
    """Share answered 503, before anything is done."""
    lost_responses: float = 0.0
    """Share of writes that land, and whose connection is then closed without an answer."""
    dropped: float = 0.0
    """Share whose connection is closed before anything is done."""
    timeouts: float = 0.0
    """Share that gets no answer while the connection stays open; nothing is done."""
    latency_s: float = 0.0
    """Seconds before each request is handled."""
    bandwidth_bytes_per_s: float | None = None
    """One pipe for all bodies, there and back; None: as fast as it goes."""
    retry_after_s: float = 0.05
    """What 429 says in Retry-After."""
    aliases: bool = True
    """False: as a service without namespace aliases, 404."""
    imports_s: float = 0.0
    """Seconds that a bulk import takes at least."""
    rate_limits: bool = False
    """Enforce the documented limits per second."""
    quota: str | None = None
    """``402`` or ``403``: writes are refused with that body."""
    control_plane: bool = False
    """Faults, latency and quota meet the control plane too."""
    seed: int = 0

    def change(self, values: Mapping[str, Any]) -> None:
        """Set several at once, or none: ``ApiError`` names the first that is unknown or out of range."""
        known = {field.name: field for field in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ApiError("INVALID_ARGUMENT", f"there is no knob {name}; there are {', '.join(known)}")
            self._check(name, value)
        for name, value in values.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def _check(name: str, value: Any) -> None:
        if name in ("aliases", "rate_limits", "control_plane", "filters_see_indexed_only"):
            good, wanted = isinstance(value, bool), "true or false"
        elif name == "quota":
            good, wanted = value is None or value in QUOTAS, 'null, "402" or "403"'
        elif name == "bandwidth_bytes_per_s":
            good, wanted = value is None or (_number(value) and value > 0), "null or a number above 0"
        elif name in ("too_many_requests", "unavailable", "lost_responses", "dropped", "timeouts"):
            good, wanted = _number(value) and 0 <= value <= 1, "a share from 0 to 1"
        else:
            good, wanted = _number(value) and value >= 0, "a number, 0 or more"
        if not good:
            raise ApiError("INVALID_ARGUMENT", f"knob {name} is {value!r}: it must be {wanted}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Fault(StrEnum):
    """What meets a request."""

    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"
    LOST_RESPONSE = "lost_responses"
    DROPPED = "dropped"
    TIMEOUT = "timeouts"


class Counts:
    """Requests by route and status, and faults by kind; draws faults. Safe from several threads."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._answered: dict[str, Counter[str]] = {}
        self._faults: Counter[str] = Counter()

    def draw(self, route: str, *, writes: bool) -> Fault | None:
        """The fault that meets the next request of a route."""
        with self._lock:
            number = self._seen[route]
            self._seen[route] += 1
        shares = [(fault, float(getattr(self._knobs, fault.value))) for fault in Fault]
        if not any(share for _, share in shares):
            return None
        left = random.Random(f"{self._knobs.seed}/{route}/{number}").random()
        for fault, share in shares:
            if left < share:
                return fault if writes or fault is not Fault.LOST_RESPONSE else None
            left -= share
        return None

    def answered(self, route: str, status: str) -> None:
        """A request ended: ``status`` is HTTP's, or ``dropped``, ``lost``, ``timeout``; ``error``: the server itself failed."""
        with self._lock:
            self._answered.setdefault(route, Counter())[status] += 1

    def met(self, fault: Fault) -> None:
        with self._lock:
            self._faults[fault.value] += 1

    def as_dict(self) -> dict[str, Any]:
        """``{"requests": {route: {status: n}}, "faults": {kind: n}}``."""
        with self._lock:
            return {
                "requests": {route: dict(by) for route, by in sorted(self._answered.items())},
                "faults": dict(self._faults),
            }
