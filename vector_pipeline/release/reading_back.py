"""Writes whose answer was lost: each knows how to send itself, and how to find itself in the target.

Laws
----
1. A lost write is looked for: once where reads see a write at once, else again and again for ``PATIENCE_S``. It has landed when all
   of it is there: marks and hashes of what was written, the end of what was closed, nothing of what was deleted.
2. What is not there is sent again, ``SENDINGS`` times in all. That is safe whether or not the first one still arrives: both are the
   same content under the same ids, and no other write of its plan touches one of those. Waiting longer would only save a write.
3. So within one lease a late twin changes nothing but the namespace's mark. After the lease the target's fence refuses it. A target
   without fences takes it: what it undoes then (an end that a later version set) is drift, and found by the next audit.
4. A namespace that was asked for is taken to be there when it is there as asked; one that was dropped, when there is none.
5. Nothing is looked for, or sent, once the lease is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

from vector_pipeline.errors import NotFoundError
from vector_pipeline.targets.base import NamespaceSpec, Target, WriteReceipt

SENDINGS = 4
"""Law 2."""
PATIENCE_S = 10.0
"""Longest that a lost write is looked for, where reads are behind writes."""
READ_BACK = "lost response (read back)"
SENT_AGAIN = "lost response (sent again)"
_PAGE = 1_000
"""Ids in one fetch."""
_UPSERTED = ("content_hash", "metadata_hash", "added_in", "removed_in")
_DERIVED = ("metadata_hash", "added_in", "removed_in")


@dataclass(frozen=True, slots=True)
class Write:
    """One idempotent write to a target."""

    send: Callable[[], WriteReceipt]
    there: Callable[[], bool]
    """Whether the target holds what it writes. Reads."""
    records: int = 0
    bytes: int = 0
    patience_s: float = 0.0
    """How long reads may be behind."""

    def found(self, check: Callable[[], None]) -> bool:
        """Law 1. ``check`` raises when the lease is lost."""

        def look() -> bool:
            check()
            return self.there()

        def never(_: RetryCallState) -> bool:
            return False

        looking = Retrying(
            retry=retry_if_result(lambda there: not there),
            stop=stop_after_delay(self.patience_s) if self.patience_s else stop_after_attempt(1),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            retry_error_callback=never,
        )
        return looking(look)

    def read_back(self) -> WriteReceipt:
        """What is known of it when it was found: not the mark that it left."""
        return WriteReceipt(self.records, self.bytes, retried={READ_BACK: 1})


def upserting(target: Target, namespace: str, rows: pa.Table, fence: int) -> Write:
    """Whole records."""
    send = partial(target.upsert, namespace, rows, fence=fence)
    return _write(target, send, partial(_all_there, target, namespace, rows, _UPSERTED), rows.num_rows, rows.nbytes)


def deriving(target: Target, namespace: str, rows: pa.Table, fence: int) -> Write:
    """Records that take the rest from others."""
    send = partial(target.derive, namespace, rows, fence=fence)
    return _write(target, send, partial(_all_there, target, namespace, rows, _DERIVED), rows.num_rows, rows.nbytes)


def describing(target: Target, namespace: str, rows: pa.Table, fence: int) -> Write:
    """Other metadata of records; such as are not there are ignored."""
    send = partial(target.set_metadata, namespace, rows, fence=fence)
    there = partial(_all_there, target, namespace, rows, ("metadata_hash",), absent=True)
    return _write(target, send, there, rows.num_rows, rows.nbytes)


def closing(target: Target, namespace: str, ids: pa.Array, removed_in: int, fence: int, ending: str = "") -> Write:
    """The end of records' intervals; such as are not there are ignored."""
    rows = pa.table({"id": ids, "removed_in": pa.repeat(pa.scalar(removed_in, pa.int64()), len(ids))})
    send = partial(target.set_removed, namespace, ids, removed_in, fence=fence, ending=ending)
    there = partial(_all_there, target, namespace, rows, ("removed_in",), absent=True)
    return _write(target, send, there, len(ids), ids.nbytes)


def deleting(target: Target, namespace: str, ids: pa.Array, fence: int) -> Write:
    """The end of records."""
    send = partial(target.delete, namespace, ids, fence=fence)
    return _write(target, send, partial(_none_there, target, namespace, ids), len(ids), ids.nbytes)


def making(target: Target, spec: NamespaceSpec, fence: int) -> Write:
    """A namespace, made or checked."""

    def send() -> WriteReceipt:
        return WriteReceipt(0, 0, 1, target.ensure_namespace(spec, fence=fence).mark)

    def there() -> bool:
        state = target.describe(spec.name)
        return state is not None and state.spec == spec

    return _write(target, send, there)


def dropping(target: Target, namespace: str, fence: int) -> Write:
    """A namespace, gone."""

    def send() -> WriteReceipt:
        target.drop_namespace(namespace, fence=fence)
        return WriteReceipt(0, 0)

    return _write(target, send, lambda: target.describe(namespace) is None)


def _write(
    target: Target, send: Callable[[], WriteReceipt], there: Callable[[], bool], records: int = 0, size: int = 0
) -> Write:
    behind = PATIENCE_S if target.capabilities.eventually_consistent else 0.0
    return Write(send, there, records, size, behind)


def _all_there(target: Target, namespace: str, rows: pa.Table, columns: Sequence[str], *, absent: bool = False) -> bool:
    """Whether every row's record has these values. ``absent``: those that the target does not hold are no matter."""
    for begin in range(0, rows.num_rows, _PAGE):
        wanted = rows.slice(begin, _PAGE)
        found = _fetched(target, namespace, wanted["id"])
        place = pc.index_in(wanted["id"], value_set=found["id"].combine_chunks())
        held = pc.is_valid(place)
        if not absent and not pc.all(held).as_py():
            return False
        wanted, found = wanted.filter(held), found.take(place.filter(held))
        for name in columns:
            if not pc.all(pc.fill_null(pc.equal(wanted[name], found[name]), False)).as_py():
                return False
    return True


def _none_there(target: Target, namespace: str, ids: pa.Array) -> bool:
    return all(not _fetched(target, namespace, ids.slice(at, _PAGE)).num_rows for at in range(0, len(ids), _PAGE))


def _fetched(target: Target, namespace: str, ids: "pa.Array | pa.ChunkedArray") -> pa.Table:
    """Marks and hashes of what is there; of a namespace that is not, nothing."""
    try:
        return target.fetch(namespace, ids.to_pylist(), vectors=False)
    except NotFoundError:
        return pa.schema([("id", pa.string()), *((name, pa.null()) for name in _UPSERTED)]).empty_table()
