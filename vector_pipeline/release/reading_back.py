"""Writes whose answer was lost: each knows how to send itself, and how to find itself in the target.

Laws
----
1. A lost write is looked for: once where reads see a write at once, else again and again for ``PATIENCE_S``. It has landed when all
   of it is there: every value of what was written, vectors too (the record that it replaces may differ in nothing else), the end of
   what was closed, nothing of what was deleted.
2. What is not there is sent again, ``SENDINGS`` times in all. That is safe whether or not the first one still arrives: both are the
   same content under the same ids, and no other write of its plan touches one of those. Waiting longer would only save a write.
3. So within one lease a late twin changes nothing but the namespace's mark. After the lease the target's fence refuses it. A target
   without fences takes it: what it undoes then (an end that a later version set) is drift, and found by the next audit.
4. A namespace that was asked for is taken to be there when it is there as asked; one that was dropped, when there is none.
5. Nothing is looked for, or sent, once the lease is lost.
6. The mark of a write that was found is the namespace's right after: another hand's write until then passes for ours, as one
   between two writes of ours does, and none after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

from vector_pipeline.errors import NotFoundError, VectorPipelineError
from vector_pipeline.release.values import differing, other_metadata
from vector_pipeline.targets.base import NamespaceSpec, Target, WriteReceipt, record_schema

SENDINGS = 4
"""Law 2."""
PATIENCE_S = 10.0
"""Longest that a lost write is looked for, where reads are behind writes."""
READ_BACK = "lost response (read back)"
SENT_AGAIN = "lost response (sent again)"
_PAGE = 1_000
"""Ids in one fetch."""
_MARKS = ("document_id", "content_hash", "metadata_hash", "space", "added_in", "removed_in")
_Same = Callable[[pa.Table, pa.Table], bool]
"""Whether records of the same ids, in the same order, are equal in what marks do not tell."""


def _no_mark() -> None:
    return None


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
    mark: Callable[[], str | None] = _no_mark
    """The namespace's now. Reads."""

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
        """What is known of it when it was found just now (law 6). No mark where the target does not tell it."""
        try:
            mark = self.mark()
        except VectorPipelineError:
            mark = None
        return WriteReceipt(self.records, self.bytes, mark=mark, retried={READ_BACK: 1})


def upserting(target: Target, namespace: str, rows: pa.Table, fence: int) -> Write:
    """Whole records."""
    send = partial(target.upsert, namespace, rows, fence=fence)
    there = partial(_all_there, target, namespace, rows, _MARKS, same=_same_values)
    return _write(target, namespace, send, there, rows.num_rows, rows.nbytes)


def deriving(target: Target, namespace: str, rows: pa.Table, fence: int) -> Write:
    """Records that take the rest from others."""
    send = partial(target.derive, namespace, rows, fence=fence)
    there = partial(_all_derived, target, namespace, rows)
    return _write(target, namespace, send, there, rows.num_rows, rows.nbytes)


def describing(target: Target, namespace: str, rows: pa.Table, fence: int) -> Write:
    """Other metadata of records; such as are not there are ignored."""
    send = partial(target.set_metadata, namespace, rows, fence=fence)
    there = partial(_all_there, target, namespace, rows, ("metadata_hash",), absent=True, same=_same_metadata)
    return _write(target, namespace, send, there, rows.num_rows, rows.nbytes)


def closing(target: Target, namespace: str, ids: pa.Array, removed_in: int, fence: int, ending: str = "") -> Write:
    """The end of records' intervals; such as are not there are ignored."""
    rows = pa.table({"id": ids, "removed_in": pa.repeat(pa.scalar(removed_in, pa.int64()), len(ids))})
    send = partial(target.set_removed, namespace, ids, removed_in, fence=fence, ending=ending)
    there = partial(_all_there, target, namespace, rows, ("removed_in",), absent=True)
    return _write(target, namespace, send, there, len(ids), ids.nbytes)


def deleting(target: Target, namespace: str, ids: pa.Array, fence: int) -> Write:
    """The end of records."""
    send = partial(target.delete, namespace, ids, fence=fence)
    return _write(target, namespace, send, partial(_none_there, target, namespace, ids), len(ids), ids.nbytes)


def making(target: Target, spec: NamespaceSpec, fence: int) -> Write:
    """A namespace, made or checked."""

    def send() -> WriteReceipt:
        return WriteReceipt(0, 0, 1, target.ensure_namespace(spec, fence=fence).mark)

    def there() -> bool:
        state = target.describe(spec.name)
        return state is not None and state.spec == spec

    return _write(target, spec.name, send, there)


def dropping(target: Target, namespace: str, fence: int) -> Write:
    """A namespace, gone."""

    def send() -> WriteReceipt:
        target.drop_namespace(namespace, fence=fence)
        return WriteReceipt(0, 0)

    return _write(target, namespace, send, lambda: target.describe(namespace) is None)


def _write(
    target: Target,
    namespace: str,
    send: Callable[[], WriteReceipt],
    there: Callable[[], bool],
    records: int = 0,
    size: int = 0,
) -> Write:
    def mark() -> str | None:
        state = target.describe(namespace)
        return state.mark if state is not None else None

    behind = PATIENCE_S if target.capabilities.eventually_consistent else 0.0
    return Write(send, there, records, size, behind, mark)


def _all_there(
    target: Target,
    namespace: str,
    rows: pa.Table,
    columns: Sequence[str],
    *,
    absent: bool = False,
    same: _Same | None = None,
) -> bool:
    """Whether every row's record has these values. ``absent``: those that the target does not hold are no matter."""
    for begin in range(0, rows.num_rows, _PAGE):
        wanted = rows.slice(begin, _PAGE)
        found = _fetched(target, namespace, wanted["id"], vectors=same is _same_values)
        place = pc.index_in(wanted["id"], value_set=found["id"].combine_chunks())
        held = pc.is_valid(place)
        if not absent and not pc.all(held).as_py():
            return False
        wanted, found = wanted.filter(held), found.take(place.filter(held))
        for name in columns:
            if not pc.all(pc.fill_null(pc.equal(wanted[name], found[name]), False)).as_py():
                return False
        if same is not None and wanted.num_rows and not same(wanted, found):
            return False
    return True


def _all_derived(target: Target, namespace: str, rows: pa.Table) -> bool:
    """As ``_all_there``, of records that are what their sources are, but for what a row says."""
    for begin in range(0, rows.num_rows, _PAGE):
        some = rows.slice(begin, _PAGE)
        sources = _fetched(target, namespace, pc.unique(some["source_id"]), vectors=True)
        place = pc.index_in(some["source_id"], value_set=sources["id"].combine_chunks())
        if place.null_count:
            return False
        whole = sources.take(place)
        for at, name in enumerate(whole.column_names):
            if name in some.column_names:
                whole = whole.set_column(at, name, some[name])
        if not _all_there(target, namespace, whole, _MARKS, same=_same_values):
            return False
    return True


def _same_values(wanted: pa.Table, found: pa.Table) -> bool:
    differs, _ = differing(wanted, found)
    return not len(differs)


def _same_metadata(wanted: pa.Table, found: pa.Table) -> bool:
    return not other_metadata(wanted["metadata"], found["metadata"]).any()


def _none_there(target: Target, namespace: str, ids: pa.Array) -> bool:
    return all(
        not _fetched(target, namespace, ids.slice(at, _PAGE), vectors=False).num_rows
        for at in range(0, len(ids), _PAGE)
    )


def _fetched(target: Target, namespace: str, ids: "pa.Array | pa.ChunkedArray", *, vectors: bool) -> pa.Table:
    """What is there; of a namespace that is not, nothing."""
    try:
        return target.fetch(namespace, ids.to_pylist(), vectors=vectors)
    except NotFoundError:
        return record_schema(1).empty_table()
