"""The marks of everything in a namespace, also where a target's listing gives ids alone.

Laws
----
1. What a target holds is asked of the target. Where its listing has no marks, those of a namespace are remembered in a file
   (``remembering``), for just the state that it is in: a cache, never a claim. With another mark, without a file, or on a target
   whose marks do not see everybody's writes, every record is fetched, without its vector. It is remembered as *observed* where the
   target was in one state all the while.
2. A plan may be made from marks that were computed: what it leaves is looked at afterwards.
3. Nothing is proved by them. Gates, audits, repairs and erasures believe marks that were observed, beside a listing of the ids that
   are there now; where they were computed, every record is fetched, once, those too that our push did not touch. Without a fence,
   what an abandoned push or another program sends late can change any record while ours writes, and the mark does not tell.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import append, stage
from vector_pipeline.release.remembering import remember, remembered
from vector_pipeline.targets.base import MARK_SCHEMA, NamespaceState, Target

_FETCHED = 500
"""Ids in one fetch: targets may send vectors that nobody asked for, several fetches at once."""
_NAMES = ", ".join(MARK_SCHEMA.names)


@dataclass(slots=True)
class Read:
    """What reading marks took, beside listing them."""

    listed: int = 0
    """Ids that a listing without marks gave."""
    fetched: int = 0
    """Records fetched by id: those that were not remembered."""


def marks_of(
    lake: Lake, target: Target, namespace: str, state: NamespaceState, read: Read | None = None
) -> Iterator[pa.RecordBatch]:
    """Every record of a namespace as ``MARK_SCHEMA``: scanned, remembered in whatever way (law 2), or fetched.

    ``state``: as ``describe`` gave it just now.
    """
    if target.capabilities.scans_marks:
        yield from target.scan(namespace)
        return
    marks = remembered(lake, target, namespace, state)
    if marks is None:
        yield from looked(lake, target, state, read)
    else:
        yield from lake.stream(f"SELECT {_NAMES} FROM ({marks})", rows=65_536)


def proved(lake: Lake, target: Target, state: NamespaceState) -> Iterator[pa.RecordBatch]:
    """As ``marks_of``, of what the target itself lists now, and with marks that were observed (law 3)."""
    if target.capabilities.scans_marks:
        yield from target.scan(state.spec.name)
        return
    marks = remembered(lake, target, state.spec.name, state, observed=True)
    if marks is not None and _known(lake, marks):
        yield from _listed(lake, target, state.spec.name)
    else:
        yield from looked(lake, target, state)


def listed(lake: Lake, target: Target, state: NamespaceState) -> Iterator[pa.RecordBatch] | None:
    """As ``proved``; None where nothing is remembered of this state, not even computed: marks are not worth fetching there."""
    if target.capabilities.scans_marks or remembered(lake, target, state.spec.name, state) is not None:
        return proved(lake, target, state)
    return None


def _known(lake: Lake, marks: str) -> bool:
    """Load what is remembered into the temporary table ``observed_known``; False where it cannot be read."""
    try:
        lake.run(f"CREATE OR REPLACE TEMP TABLE observed_known AS {marks}")
    except VectorPipelineError:
        return False
    return True


def _listed(lake: Lake, target: Target, namespace: str) -> Iterator[pa.RecordBatch]:
    for batch in target.scan(namespace):
        with lake.registered("observed_ids", pa.table({"id": batch["id"]})):
            found = lake.table(f"SELECT {_NAMES} FROM observed_known SEMI JOIN observed_ids USING (id)")
            new = lake.table("SELECT id FROM observed_ids ANTI JOIN observed_known USING (id)")["id"].to_pylist()
        yield from found.cast(MARK_SCHEMA).to_batches()
        if new:
            yield from _marks(target.fetch(namespace, new, vectors=False))
    lake.run("DROP TABLE observed_known")


def looked(lake: Lake, target: Target, state: NamespaceState, read: Read | None = None) -> Iterator[pa.RecordBatch]:
    """As ``fetched``; what was seen is remembered as observed, if nobody wrote meanwhile (law 1)."""
    namespace = state.spec.name
    if target.capabilities.scans_marks:
        yield from target.scan(namespace)
        return
    stage(lake, "observed_now", MARK_SCHEMA, ())
    for batch in fetched(target, namespace, read):
        append(lake, "observed_now", pa.Table.from_batches([batch]))
        yield batch
    after = target.describe(namespace)
    if after is not None and (after.mark, after.records) == (state.mark, state.records):
        remember(lake, target, namespace, state, "SELECT * FROM observed_now", observed=True)
    lake.run("DROP TABLE observed_now")


def fetched(target: Target, namespace: str, read: Read | None = None) -> Iterator[pa.RecordBatch]:
    """Every record's marks, fetched by id: several fetches at once, no more in memory than those."""
    if target.capabilities.scans_marks:
        yield from target.scan(namespace)
        return
    read = Read() if read is None else read
    at_once = max(1, target.capabilities.parallel_writes)
    under_way: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="marks") as pool:
        try:
            for batch in target.scan(namespace):
                ids = batch["id"].to_pylist()
                read.listed += len(ids)
                for begin in range(0, len(ids), _FETCHED):
                    if len(under_way) >= at_once:
                        yield from _told(under_way.popleft().result(), read)
                    some = ids[begin : begin + _FETCHED]
                    under_way.append(pool.submit(target.fetch, namespace, some, vectors=False))
            while under_way:
                yield from _told(under_way.popleft().result(), read)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _told(found: pa.Table, read: Read) -> list[pa.RecordBatch]:
    read.fetched += found.num_rows
    return _marks(found)


def _marks(found: pa.Table) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = found.select(MARK_SCHEMA.names).cast(MARK_SCHEMA).to_batches()
    return batches
