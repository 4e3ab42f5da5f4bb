"""What a push left that did not end, on targets that show late what was written: waited for before the look that counts.

Laws
----
1. With the lease held and the fence raised, before a line is looked at: where the newest push into it, of whatever environment, did
   not end, everything that it may have left is waited for. Else what it wrote would turn up behind the look, and be seen in the
   next version.
2. Where the journal knows every write of it, their marks are awaited. Else something is written behind them (what a target does for
   a receipt without a mark): the line's mark moves on, and the journal explains it.
3. After a push a line has as many records as the look and the plan say. Where it has not, its mark is not recorded as ours: the
   difference stays visible, until a repair has compared everything.
"""

import logging

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.registry import Outcome, Push, PushStatus, Registry
from vector_pipeline.targets.base import Target, WriteReceipt

COUNTING_S = 10.0
"""Longest that a count may be behind what reads see."""
_ANY = WriteReceipt(1, 0)
_LOG = logging.getLogger(__name__)


def settle(registry: Registry, target: Target, namespace: str) -> bool:
    """Laws 1 and 2. Whether anything was waited for: then the line must be looked at again.

    ``UnavailableError`` where the target does not show it in time.
    """
    if not target.capabilities.eventually_consistent:
        return False
    newest = registry.newest_push(target.name, namespace)
    if newest is None or newest.status is PushStatus.DONE:
        return False
    try:
        for receipt in _left(registry, newest):
            target.wait_until_fresh(namespace, receipt)
    except NotFoundError:
        # Nothing of it can be seen.
        return False
    return True


def _left(registry: Registry, push: Push) -> list[WriteReceipt]:
    """What must be seen of a push that did not end: its writes, the last one first; or whatever there may be."""
    marks: list[str] = []
    for entry in registry.journal(push.id):
        said = entry.outcome_payload or {}
        if entry.outcome is Outcome.LANDED and said.get("mark") is not None:
            marks.append(said["mark"])
        elif entry.outcome is not Outcome.NOT_LANDED or said.get("read_back"):
            # Nobody knows, or it may have arrived since.
            return [_ANY]
    return [WriteReceipt(1, 0, mark=mark) for mark in reversed(marks)]


def as_counted(lake: Lake, target: Target, namespace: str, marks: str) -> bool:
    """Law 3. ``marks``: the query of what the line holds after its plan. Targets that show every write at once are believed."""
    if not target.capabilities.eventually_consistent:
        return True
    return has_counted(target, namespace, int(lake.row(f"SELECT count(*) FROM ({marks})")[0]))


def has_counted(target: Target, namespace: str, wanted: int) -> bool:
    """The same, of a number of records."""
    if not target.capabilities.eventually_consistent:
        return True

    def found() -> int:
        state = target.describe(namespace)
        return state.records if state is not None else 0

    def last(state: RetryCallState) -> int:
        assert state.outcome is not None
        return int(state.outcome.result())

    looking = Retrying(
        retry=retry_if_result(lambda count: count != wanted),
        stop=stop_after_delay(COUNTING_S),
        wait=wait_exponential(multiplier=0.05, max=2.0),
        retry_error_callback=last,
    )
    count = int(looking(found))
    if count != wanted:
        _LOG.warning(
            "%s of %s has %d records after the push, not %d: another hand wrote meanwhile; look with drift --level ids",
            namespace, target.name, count, wanted,
        )  # fmt: skip
    return count == wanted
