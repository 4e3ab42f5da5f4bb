"""Apply a plan: its stages in order, journalled, resumable, idempotent, one writer at a time.

Laws
----
1. A stage begins when the one before it has landed to the end: additions go before closings, so that no reader sees less.
2. A push that was killed anywhere is continued by pushing again: the plan is made from the target's present state, so only what
   is missing is written, and the end state is that of an undisturbed push.
3. Nothing is done that is not a stage of the plan, and no stage is left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import pyarrow as pa

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.spool import spooled
from vector_pipeline.release.costs import ID_BYTES
from vector_pipeline.release.importing import OnFiles, import_batches, reading
from vector_pipeline.release.journalling import Journalled
from vector_pipeline.release.plan import WRITING, Plan, Stage, StageKind
from vector_pipeline.release.planner import added_in
from vector_pipeline.release.reading_back import Write, closing, deleting, deriving, describing, making, upserting
from vector_pipeline.release.records import Batches, changed_records, whole_records
from vector_pipeline.release.registry import Version
from vector_pipeline.release.sending import Batch, Made, send_all
from vector_pipeline.targets.base import (
    DERIVE_SCHEMA,
    LIVE,
    METADATA_SCHEMA,
    Capabilities,
    NamespaceSpec,
    Target,
    WriteReceipt,
)

OnWrite = Callable[[int, int], None]
"""Called with (records written, closed or deleted, records in the plan)."""


@dataclass(slots=True)
class Applied:
    """What a push did to the target."""

    upserted: int = 0
    """Whole records, with vectors."""
    derived: int = 0
    """Records that took their vector from one that was there."""
    updated: int = 0
    """Records whose metadata was replaced in place."""
    closed: int = 0
    deleted: int = 0
    bytes: int = 0
    requests: int = 0
    retried: Counter[str] = field(default_factory=Counter)
    """What was tried again before it landed, by reason: ``429``, ``503``, ``lost response (read back)``, …"""
    receipts: list[WriteReceipt] = field(default_factory=list)

    @property
    def records(self) -> int:
        """All of them."""
        return self.upserted + self.derived + self.updated + self.closed + self.deleted

    def add(self, kind: StageKind, records: int, receipt: WriteReceipt) -> None:
        """Count one write that landed."""
        name = _COUNTED.get(kind)
        if name is not None:
            setattr(self, name, getattr(self, name) + records)
        self.bytes += receipt.bytes
        self.requests += receipt.requests
        self.retried.update(receipt.retried)
        self.receipts.append(receipt)


_COUNTED = {
    StageKind.UPSERT: "upserted",
    StageKind.IMPORT: "upserted",
    StageKind.DERIVE: "derived",
    StageKind.SET_METADATA: "updated",
    StageKind.CLOSE: "closed",
    StageKind.DELETE: "deleted",
}


def apply_plan(
    lake: Lake,
    version: Version,
    target: Target,
    plan: Plan,
    journal: Journalled,
    ahead: Batches | None,
    *,
    on_write: OnWrite | None = None,
    on_files: OnFiles | None = None,
) -> Applied:
    """Execute the writing stages of a plan that was made in this thread just now (``plan_actions`` is its list of actions).

    ``ahead``: what ``read_ahead`` gave for it, open until this ends. An interrupt carries a note that says how far it came. Moving
    aliases and verifying are the caller's.
    """
    stages = [stage for stage in plan.stages if stage.kind not in _AFTER and not stage.where]
    work = _Work(lake, version, target, plan, journal, ahead, on_files)
    return execute(stages, work.batches, target, plan.namespace, parallel=journal.writers, on_write=on_write)


@contextmanager
def read_ahead(
    lake: Lake, version: Version, target: Target, plan: Plan, *, placed: bool = False
) -> Iterator[Batches | None]:
    """Begin to read the records that a plan upserts, while its version is checked and its namespace is made.

    ``placed``: the look that the plan was made from found out where they stand (``following``).
    """
    if any(stage.kind is StageKind.UPSERT for stage in plan.stages):
        with (
            spooled(lake, _wanted(plan, placed=placed)) as wanted,
            Batches(lake, version, wanted, target.capabilities) as ahead,
        ):
            yield ahead
    else:
        yield None


def execute(
    stages: Sequence[Stage],
    batches_of: Callable[[Stage], Made],
    target: Target,
    namespace: str,
    *,
    parallel: int,
    on_write: OnWrite | None,
) -> Applied:
    """Send the batches of each stage, to its end before the next begins, and wait until reads see them.

    An interrupt carries a note that says how far it came.
    """
    done, total = Applied(), sum(stage.records for stage in stages if stage.kind in WRITING)

    def landed(kind: StageKind, batch: Batch, receipt: WriteReceipt) -> None:
        done.add(kind, batch.records, receipt)
        if on_write is not None and batch.records:
            on_write(done.records, total)

    try:
        for stage in stages:
            send_all(batches_of(stage), parallel=max(1, parallel), done=partial(landed, stage.kind))
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(stopped(done.records, total))
        raise
    # The last write first: once reads see it, most targets know of those before it too.
    for receipt in reversed(done.receipts):
        target.wait_until_fresh(namespace, receipt)
    return done


def stopped(done: int, total: int) -> str:
    """How far an interrupted push came."""
    return f"stopped after {done:,} of {total:,} records; what landed stays: run the same command to continue"


_AFTER = frozenset({StageKind.VERIFY, StageKind.MOVE_ALIAS})


def _wanted(plan: Plan, stage: StageKind = StageKind.UPSERT, *, placed: bool = False) -> str:
    """The query of the rows to write in a stage, shard by shard. ``placed``: with the places of what is read."""
    since = added_in(plan.strategy, plan.version)
    places, joined = (
        (", chunk_place, vector_place", "LEFT JOIN follow_places USING (shard, record_id)") if placed else ("", "")
    )
    return f"""SELECT shard, record_id, id, source_id, {since}::BIGINT AS added_in, {LIVE}::BIGINT AS removed_in{places}
        FROM plan_actions {joined} WHERE stage = '{stage}' ORDER BY shard, record_id"""


class _Work:
    """The batches of a plan's stages."""

    def __init__(
        self,
        lake: Lake,
        version: Version,
        target: Target,
        plan: Plan,
        journal: Journalled,
        ahead: Batches | None,
        on_files: OnFiles | None,
    ) -> None:
        self.lake, self.version, self.target, self.plan, self.journal = lake, version, target, plan, journal
        self.on_files = on_files
        self.limits = target.capabilities
        self.ahead = ahead

    def batches(self, stage: Stage) -> Made:
        if stage.kind is StageKind.ENSURE_NAMESPACE:
            ensure = making(self.target, place_of(self.plan), self.journal.fence)
            yield self._batch(stage.kind, {"namespace": self.plan.namespace}, ensure)
        elif stage.kind is StageKind.UPSERT:
            assert self.ahead is not None
            for table in self.ahead:
                yield self._records(stage.kind, table, upserting)
        elif stage.kind is StageKind.IMPORT:
            yield from import_batches(self.target, self.plan, stage, self.journal, self._whole, self.on_files)
        elif stage.kind is StageKind.DERIVE:
            for table in self._changes(stage.kind):
                yield self._records(stage.kind, table.select(DERIVE_SCHEMA.names), deriving)
        elif stage.kind is StageKind.SET_METADATA:
            for table in self._changes(stage.kind):
                yield self._records(stage.kind, table.select(METADATA_SCHEMA.names), describing)
        elif stage.kind in (StageKind.CLOSE, StageKind.DELETE):
            for ids in self._endings(stage):
                yield self._ending(stage, ids)
        else:
            raise RefusedError(f"the plan has a stage {stage.kind} that this release does not know")

    def _whole(self) -> Iterator[pa.Table]:
        """Every record of an import."""
        return whole_records(self.lake, self.version, _wanted(self.plan), reading(self.limits))

    def _changes(self, stage: StageKind) -> Iterator[pa.Table]:
        """Records of a stage that sends no vectors."""
        return changed_records(self.lake, self.version, _wanted(self.plan, stage), self.limits)

    def _batch(self, kind: StageKind, payload: dict[str, object], write: Write) -> Batch:
        return Batch(write.records, partial(self.journal.write, kind.value, payload, write))

    def _records(
        self, kind: StageKind, table: pa.Table, writing: Callable[[Target, str, pa.Table, int], Write]
    ) -> Batch:
        payload: dict[str, object] = {"records": table.num_rows, "first": table["id"][0].as_py()}
        return self._batch(kind, payload, writing(self.target, self.plan.namespace, table, self.journal.fence))

    def _ending(self, stage: Stage, ids: pa.Array) -> Batch:
        place, fence = (self.target, self.plan.namespace), self.journal.fence
        write = (
            deleting(*place, ids, fence)
            if stage.kind is StageKind.DELETE
            else closing(*place, ids, self.plan.version, fence, stage.ending)
        )
        return self._batch(stage.kind, {"records": len(ids), "first": ids[0].as_py()}, write)

    def _endings(self, stage: Stage) -> Iterator[pa.Array]:
        ids = self.lake.table("SELECT end_id FROM plan_actions WHERE end_id IS NOT NULL ORDER BY end_id")["end_id"]
        return id_batches(ids, self.limits, stage.ending)


class Place(Protocol):
    """The namespace that a plan is for, whatever kind of plan it is."""

    @property
    def namespace(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


def place_of(plan: Place) -> NamespaceSpec:
    """What a plan's namespace must be."""
    return NamespaceSpec(plan.namespace, plan.dimension, plan.metric, plan.fingerprint)


def id_batches(ids: pa.Array | pa.ChunkedArray, limits: Capabilities, ending: str = "") -> Iterator[pa.Array]:
    """Ids in batches within a target's limits; of a way of closing intervals, whole requests."""
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    each = next((one.records_per_request for one in limits.endings if one.name == ending), 1)
    rows = max(each, limits.max_batch_records // each * each)
    rows = min(rows, max(1, limits.max_batch_bytes // ID_BYTES))
    for begin in range(0, len(whole), rows):
        yield whole.slice(begin, rows)
