"""The marks of everything in a namespace, also where a target's listing gives ids alone.

Laws
----
1. What a target holds is asked of the target. Where its listing has no marks, those that a namespace had after our last finished
   write are remembered in a file beside the lake's data, labelled with the target's mark, count of records and address.
2. Equal marks mean an unchanged namespace: the file is a cache, never a claim. With another mark, without a file, or on a target
   whose marks do not see everybody's writes, every record is fetched.
3. What is remembered is what was observed and what was then done to it, and as many records as the target says that it holds.
   Failing to remember fails nothing: the next look costs more.
4. The files hold ids of documents: an erasure deletes them, and so does dropping the namespace.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.beside import delete_beside, labels_beside, list_beside, reading, write_beside
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.targets.base import MARK_SCHEMA, NamespaceState, Target

FOLDER = "_observed"
_SLOTS = ("0.marks", "1.marks")
"""Files of a namespace: the newest, and the one before it, which is written over next: nobody should be reading that any more."""
_FETCHED = 500
"""Ids in one fetch: targets may send vectors that nobody asked for, several fetches at once."""
_LOG = logging.getLogger(__name__)


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
    """Every record of a namespace as ``MARK_SCHEMA``: scanned, remembered, or fetched. ``state``: as ``describe`` gave it."""
    if target.capabilities.scans_marks:
        yield from target.scan(namespace)
        return
    file = remembered(lake, target, namespace, state)
    if file is None:
        yield from fetched(target, namespace, read)
    else:
        yield from lake.stream(f"SELECT {', '.join(MARK_SCHEMA.names)} FROM {reading(lake, file)}", rows=65_536)


def proved(lake: Lake, target: Target, state: NamespaceState) -> Iterator[pa.RecordBatch]:
    """As ``marks_of``, of what the target itself lists now: only marks are remembered."""
    return listed(lake, target, state) or fetched(target, state.spec.name)


def listed(lake: Lake, target: Target, state: NamespaceState) -> Iterator[pa.RecordBatch] | None:
    """As ``proved``; None where nothing is remembered, and marks would have to be fetched."""
    if target.capabilities.scans_marks:
        return target.scan(state.spec.name)
    file = remembered(lake, target, state.spec.name, state)
    return None if file is None else _listed(lake, target, state.spec.name, file)


def _listed(lake: Lake, target: Target, namespace: str, file: str) -> Iterator[pa.RecordBatch]:
    lake.run(f"CREATE OR REPLACE TEMP TABLE observed_known AS FROM {reading(lake, file)}")
    names = ", ".join(MARK_SCHEMA.names)
    for batch in target.scan(namespace):
        with lake.registered("observed_ids", pa.table({"id": batch["id"]})):
            found = lake.table(f"SELECT {names} FROM observed_known SEMI JOIN observed_ids USING (id)")
            new = lake.table("SELECT id FROM observed_ids ANTI JOIN observed_known USING (id)")["id"].to_pylist()
        yield from found.cast(MARK_SCHEMA).to_batches()
        if new:
            yield from _marks(target.fetch(namespace, new, vectors=False))
    lake.run("DROP TABLE observed_known")


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


def remembered(lake: Lake, target: Target, namespace: str, state: NamespaceState) -> str | None:
    """The file of a namespace's marks in just this state; None where there is none, or it would prove nothing."""
    if target.capabilities.scans_marks or not target.capabilities.sees_foreign_writes:
        return None
    key = _key(target, namespace, state)
    labels = labels_beside(lake, _folder(target, namespace) + "*.marks")
    return next((path for path, told in labels.items() if told.get("state") == key), None)


def remember(lake: Lake, target: Target, namespace: str, state: NamespaceState, marks: str) -> None:
    """Keep what a query gives (``MARK_SCHEMA``) as the marks of a namespace in this state (law 3)."""
    if target.capabilities.scans_marks or not target.capabilities.sees_foreign_writes:
        return
    folder = _folder(target, namespace)
    try:
        stage(lake, "observed_after", MARK_SCHEMA, ())
        lake.run(f"INSERT INTO observed_after SELECT {', '.join(MARK_SCHEMA.names)} FROM ({marks})")
        count = int(lake.row("SELECT count(*) FROM observed_after")[0])
        if count == state.records:
            there = {path: told.get("made", "") for path, told in labels_beside(lake, f"{folder}*.marks").items()}
            oldest = min((folder + slot for slot in _SLOTS), key=lambda path: there.get(path, ""))
            labels = {"state": _key(target, namespace, state), "made": f"{time.time_ns():020d}"}
            write_beside(lake, oldest, "SELECT * FROM observed_after ORDER BY id", labels)
        else:
            _LOG.warning(
                "marks of %s in %s are not remembered: %d records, the target says %d",
                namespace, target.name, count, state.records,
            )  # fmt: skip
        lake.run("DROP TABLE observed_after")
    except VectorPipelineError as error:
        _LOG.warning("marks of %s in %s are not remembered: %s", namespace, target.name, error)


def forget(lake: Lake, target: Target, namespace: str) -> None:
    """Delete whatever is remembered of a namespace (law 4)."""
    if not target.capabilities.scans_marks:
        delete_beside(lake, list_beside(lake, f"{_folder(target, namespace)}*"))


def changed(
    observed: str, *, written: str, ended: str = "SELECT '', 0 WHERE false", gone: str = "SELECT '' WHERE false"
) -> str:
    """The query of what a namespace holds after a plan. ``observed``: a relation; the others are queries: ``written`` of
    ``MARK_SCHEMA``, ``ended`` of (id, removed_in), ``gone`` of ids.
    """
    held = ", ".join(f"o.{name}" for name in MARK_SCHEMA.names[:-1])
    return f"""WITH written({", ".join(MARK_SCHEMA.names)}) AS ({written}), ended(id, ends) AS ({ended}), gone(id) AS ({gone})
        SELECT {held}, coalesce(e.ends, o.removed_in) AS removed_in
        FROM (SELECT * FROM {observed} ANTI JOIN written USING (id) ANTI JOIN gone USING (id)) o LEFT JOIN ended e USING (id)
        UNION ALL SELECT * FROM written"""


def _folder(target: Target, namespace: str) -> str:
    return f"{FOLDER}/{target.name}/{namespace}/"


def _key(target: Target, namespace: str, state: NamespaceState) -> str:
    """Of a state: 32 hex characters."""
    told = f"{target.kind} {target.address(namespace)} {state.records} {state.mark}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]
