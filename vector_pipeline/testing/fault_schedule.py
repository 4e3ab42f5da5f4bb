"""Which fault happens to which write: by a script, then by chance. The same seed and the same writes give the same faults."""

import random
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal

Operation = Literal[
    "upsert", "derive", "set_metadata", "set_removed", "delete", "ensure_namespace", "drop_namespace", "start_import",
    "cancel_import",
]  # fmt: skip
WRITES: frozenset[Operation] = frozenset(
    {"upsert", "derive", "set_metadata", "set_removed", "delete", "ensure_namespace", "start_import", "cancel_import"}
)
"""What faults happen to unless told otherwise."""


class Fault(StrEnum):
    DROP_REQUEST = "drop_request"
    """Not applied; the caller does not know."""
    DROP_RESPONSE = "drop_response"
    """Applied; the caller does not know."""
    DUPLICATE = "duplicate"
    """Applied twice; the caller sees one success."""
    DELAY = "delay"
    """Applied later; the caller does not know."""
    REFUSE = "refuse"
    """Not applied, and the caller knows."""


class Faults:
    """When which fault happens: first what ``script`` says, one entry per write (None: no fault), then by chance.

    ``rates`` gives the probability of each fault per write; ``at_most`` bounds how many chance injects in all.
    """

    def __init__(
        self,
        script: Iterable[Fault | None] = (),
        *,
        seed: int = 0,
        rates: Mapping[Fault, float] | None = None,
        at_most: int | None = None,
        operations: Iterable[Operation] = WRITES,
    ) -> None:
        self._script = deque(script)
        self._random = random.Random(seed)
        self._rates = dict(rates or {})
        self._left = at_most
        self._operations = frozenset(operations)
        self._lock = threading.Lock()

    def then(self, *faults: Fault | None) -> None:
        """Add to the script: what happens to the next writes."""
        with self._lock:
            self._script.extend(faults)

    def stop(self) -> None:
        """No faults from here on, until ``then`` says so."""
        with self._lock:
            self._script.clear()
            self._rates.clear()

    def decide(self, operation: Operation) -> Fault | None:
        """The fault that happens to this write."""
        with self._lock:
            if operation not in self._operations:
                return None
            if self._script:
                return self._script.popleft()
            drawn = self._random.random()
            for fault, rate in self._rates.items():
                drawn -= rate
                if drawn < 0 and self._left != 0:
                    self._left = None if self._left is None else self._left - 1
                    return fault
            return None
