"""Every write to a target goes through here: intent before, outcome after, lease in force.

Laws
----
1. The journal holds a write's intent before the target is asked and its outcome after: landed, did not land, or unknown. What is
   unknown is neither repeated blindly nor undone: it is read back (``reading_back``), and what was found is journalled. What is not
   there is sent again as a new intent, a bounded number of times; then the work ends, and the next one plans from what the target
   holds.
2. Nothing is sent once the lease is lost: that is asked before the intent, and again when it is the write's turn.
3. A write that may yet arrive a second time may leave any mark: no mark is journalled for it, and ``certain`` is false. Those marks
   that the target told count as ours all the same.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import BoundedSemaphore
from typing import Any

from vector_pipeline.errors import ConflictError, UnknownOutcomeError, VectorPipelineError
from vector_pipeline.release.holding import Held, hold
from vector_pipeline.release.reading_back import READ_BACK, SENDINGS, SENT_AGAIN, Write, making
from vector_pipeline.release.registry import GroupCommit, Intent, Outcome, OutcomeRecord, PushStatus, Registry
from vector_pipeline.targets.base import NamespaceSpec, Target, WriteReceipt

_NEWEST = 50
"""Pushes among which those of a run that just ended are."""


@contextmanager
def writer(registry: Registry, target: Target, namespace: str) -> Iterator[Held]:
    """Hold a namespace for a block: one writer at a time, whose fencing number travels with every write."""
    with hold(registry, f"{target.name}/{namespace}") as held:
        yield held


def abandon_open(registry: Registry, environment: str, target: str, namespace: str) -> None:
    """With the lease held: whatever push of this line is open belongs to nobody any more."""
    for push in registry.open_pushes(environment, target, namespace):
        registry.close_push(push.id, PushStatus.ABANDONED)


def retried_by(registry: Registry, dataset: str, environment: str, run_id: str) -> Counter[str]:
    """What the writes of a run tried again before they landed, by reason."""
    counted: Counter[str] = Counter()
    for push in registry.pushes(dataset, environment, limit=_NEWEST):
        if push.run_id == run_id:
            for entry in registry.journal(push.id):
                counted.update((entry.outcome_payload or {}).get("retried") or {})
    return counted


def fence_off(target: Target, spec: NamespaceSpec, held: Held) -> None:
    """Let a namespace that is there learn of the lease's fence: who wrote before it can change nothing after this.

    Sent again where the answer was lost: that it is there proves nothing.
    """
    for sending in range(1, SENDINGS + 1):
        held.check()
        try:
            making(target, spec, held.fence).send()
        except UnknownOutcomeError:
            if sending == SENDINGS:
                raise
        else:
            return


class Journalled:
    """Writes of one push under one lease. Threads may share it. Without a push: of a line that nothing was deployed in."""

    def __init__(self, registry: Registry, push_id: int | None, held: Held, *, parallel: int = 1) -> None:
        self._registry, self._push, self._held = registry, push_id, held
        self._slots = BoundedSemaphore(max(1, parallel))
        self.writers = 1 if parallel <= 1 else 2 * parallel
        """Threads that keep ``parallel`` requests under way, while others wait for the journal's disk."""
        self._notes: GroupCommit[Intent | OutcomeRecord, int | None] = GroupCommit(self._commit)
        self.marks: set[str | None] = set()
        """Those that the writes left; None: any, on a target that does not say."""
        self.certain = True
        """Whether nothing of it can arrive any more: no write was sent again."""

    @property
    def fence(self) -> int:
        """Of the lease: give it to every write."""
        return self._held.fence

    def check(self) -> None:
        """``ConflictError`` when the lease was lost."""
        self._held.check()

    def write(self, step: str, payload: Mapping[str, Any], write: Write) -> WriteReceipt:
        """Send one write until it has landed. ``payload``: JSON that finds it again in the target.

        Raises what sending it raised; ``UnknownOutcomeError`` when its answer was lost each time, and it was never found.
        """
        again = 0
        while True:
            receipt = self._sent(step, payload, write, again)
            if receipt is not None:
                return receipt
            again += 1

    def _sent(self, step: str, payload: Mapping[str, Any], write: Write, again: int) -> WriteReceipt | None:
        """Send it once. None: the answer was lost, it is not there, and it may be sent again."""
        self._held.check()
        intent = self._intent(step, payload)
        try:
            with self._slots:
                # Law 2. The turn and the journal's disk were waited for.
                self._held.check()
                receipt = write.send()
        except UnknownOutcomeError as error:
            self._outcome(intent, Outcome.UNKNOWN, {"error": error.what})
            if not self._found(write, error):
                self._outcome(intent, Outcome.NOT_LANDED, {"error": error.what, "read_back": True})
                self.certain = False
                if again + 1 >= SENDINGS:
                    raise
                return None
            receipt = write.read_back()
        except VectorPipelineError as error:
            self._outcome(intent, Outcome.NOT_LANDED, {"error": error.what})
            raise
        except BaseException as error:
            # An interrupt, or a fault that no adapter foresaw: the target may have written.
            with suppress(VectorPipelineError):
                self._outcome(intent, Outcome.UNKNOWN, {"error": type(error).__name__})
            raise
        if again:
            receipt = replace(receipt, retried=Counter(receipt.retried) + Counter({SENT_AGAIN: again}))
        found = READ_BACK in receipt.retried
        if receipt.mark is not None or (receipt.records and not found):
            self.marks.add(receipt.mark)
        # Law 3.
        mark = None if again else receipt.mark
        done: dict[str, Any] = {"records": receipt.records, "bytes": receipt.bytes, "mark": mark}
        if receipt.retried:
            done["retried"] = dict(receipt.retried)
        self._outcome(intent, Outcome.LANDED, done)
        return receipt

    def _found(self, write: Write, lost: UnknownOutcomeError) -> bool:
        """Whether a write whose answer was lost is there. Where that cannot be told either, its outcome stays unknown."""
        try:
            return write.found(self._held.check)
        except ConflictError:
            raise
        except VectorPipelineError as error:
            raise UnknownOutcomeError(f"{lost.what}, and cannot be read back: {error.what}", fix=lost.fix) from error

    def _intent(self, step: str, payload: Mapping[str, Any]) -> int | None:
        return None if self._push is None else self._notes(Intent(step, payload))

    def _outcome(self, intent: int | None, outcome: Outcome, payload: Mapping[str, Any]) -> None:
        if self._push is not None and intent is not None:
            self._notes(OutcomeRecord(intent, outcome, payload))

    def _commit(self, notes: Sequence[Intent | OutcomeRecord]) -> list[int | None]:
        """Several threads write at once, and each commit waits for the disk: what they note together is one commit."""
        assert self._push is not None
        intents = [note for note in notes if isinstance(note, Intent)]
        outcomes = [note for note in notes if isinstance(note, OutcomeRecord)]
        made = iter(self._registry.note(self._push, intents, outcomes))
        return [next(made) if isinstance(note, Intent) else None for note in notes]
