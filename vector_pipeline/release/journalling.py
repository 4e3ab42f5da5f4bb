"""Every write to a target goes through here: intent before, outcome after, lease in force.

Laws
----
1. The journal holds a write's intent before the target is asked and its outcome after: landed, did not land, or unknown. What is
   unknown is neither repeated blindly nor undone: the work ends, and the next one plans from what the target holds.
2. Nothing is sent once the lease is lost.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from vector_pipeline.errors import UnknownOutcomeError, VectorPipelineError
from vector_pipeline.release.holding import Held, hold
from vector_pipeline.release.registry import Outcome, PushStatus, Registry
from vector_pipeline.targets.base import Target, WriteReceipt


@contextmanager
def writer(registry: Registry, target: Target, namespace: str) -> Iterator[Held]:
    """Hold a namespace for a block: one writer at a time, whose fencing number travels with every write."""
    with hold(registry, f"{target.name}/{namespace}") as held:
        yield held


def abandon_open(registry: Registry, environment: str, target: str, namespace: str) -> None:
    """With the lease held: whatever push of this line is open belongs to nobody any more."""
    for push in registry.open_pushes(environment, target, namespace):
        registry.close_push(push.id, PushStatus.ABANDONED)


class Journalled:
    """Writes of one push under one lease. Threads may share it."""

    def __init__(self, registry: Registry, push_id: int, held: Held) -> None:
        self._registry, self._push, self._held = registry, push_id, held

    @property
    def fence(self) -> int:
        """Of the lease: give it to every write."""
        return self._held.fence

    def write(self, step: str, payload: Mapping[str, Any], send: Callable[[], WriteReceipt]) -> WriteReceipt:
        """Send one write. ``payload``: JSON that finds it again in the target. Raises what ``send`` raised."""
        self._held.check()
        intent = self._registry.intent(self._push, step, payload)
        try:
            receipt = send()
        except UnknownOutcomeError as error:
            self._registry.outcome(self._push, intent, Outcome.UNKNOWN, {"error": error.what})
            raise
        except VectorPipelineError as error:
            self._registry.outcome(self._push, intent, Outcome.NOT_LANDED, {"error": error.what})
            raise
        except BaseException as error:
            # An interrupt, or a fault that no adapter foresaw: the target may have written.
            with suppress(VectorPipelineError):
                self._registry.outcome(self._push, intent, Outcome.UNKNOWN, {"error": type(error).__name__})
            raise
        self._registry.outcome(
            self._push,
            intent,
            Outcome.LANDED,
            {"records": receipt.records, "bytes": receipt.bytes, "mark": receipt.mark},
        )
        return receipt
