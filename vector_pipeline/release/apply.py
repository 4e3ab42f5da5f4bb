"""Apply a plan: journalled, resumable, idempotent, one writer at a time.

Laws
----
1. The journal holds a batch's intent before the target is asked and its outcome after: landed, did not land, or unknown. An
   unknown batch is neither repeated blindly nor undone: the push ends, and the next one plans from what the target holds.
2. A push that was killed anywhere is continued by pushing again: the plan is made from the target's present state, so only what
   is missing is written, and the end state is that of an undisturbed push.
3. Additions go before closings. Neither changes what a reader of another version sees.
4. One writer a namespace: a lease in the registry, whose fencing number travels with every write.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from vector_pipeline.errors import RefusedError, UnknownOutcomeError, VectorPipelineError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.snapshots import read_vectors
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.release.holding import Held, hold
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.registry import Outcome, Registry
from vector_pipeline.targets.base import LIVE, NamespaceSpec, Target, WriteReceipt, record_schema

OnWrite = Callable[[int, int], None]
"""Called with (records written or closed, records in the plan)."""


@dataclass(slots=True)
class Applied:
    """What a push did to the target."""

    upserted: int = 0
    closed: int = 0
    bytes: int = 0
    requests: int = 0
    receipts: list[WriteReceipt] = field(default_factory=list)

    def add(self, receipt: WriteReceipt) -> None:
        self.bytes += receipt.bytes
        self.requests += receipt.requests
        self.receipts[:] = [receipt]


@contextmanager
def writer(registry: Registry, target: Target, namespace: str) -> Iterator[Held]:
    """Hold the namespace for a block: law 4."""
    with hold(registry, f"{target.name}/{namespace}") as held:
        yield held


def apply_plan(
    lake: Lake,
    tables: SpaceTables,
    registry: Registry,
    target: Target,
    plan: Plan,
    writer: Held,
    *,
    push_id: int,
    on_write: OnWrite | None = None,
) -> Applied:
    """Execute the stages of a plan that was made in this thread just now (``plan_actions`` is its list of actions)."""
    done = Applied()
    journal = _Journal(registry, push_id, writer)
    for stage in plan.stages:
        if stage.kind == "ensure-namespace":
            spec = NamespaceSpec(plan.namespace, plan.dimension, plan.metric, plan.fingerprint)
            payload: dict[str, object] = {"namespace": plan.namespace}
            journal.write(stage.kind, payload, partial(_ensured, target, spec, writer.fence))
        elif stage.kind == "upsert":
            for batch in _upserts(lake, tables, plan, target):
                payload = {"records": batch.num_rows, "first": batch["id"][0].as_py()}
                send = partial(target.upsert, plan.namespace, batch, fence=writer.fence)
                done.add(journal.write(stage.kind, payload, send))
                done.upserted += batch.num_rows
                _report(on_write, done, plan)
        elif stage.kind == "close":
            for ids in _closings(lake, target):
                payload = {"records": len(ids), "first": ids[0].as_py()}
                send = partial(target.set_removed, plan.namespace, ids, plan.version, fence=writer.fence)
                done.add(journal.write(stage.kind, payload, send))
                done.closed += len(ids)
                _report(on_write, done, plan)
        else:
            raise RefusedError(f"the plan has a stage {stage.kind} that this release does not know")
    for receipt in done.receipts:
        target.wait_until_fresh(plan.namespace, receipt)
    return done


def _report(on_write: OnWrite | None, done: Applied, plan: Plan) -> None:
    if on_write is not None:
        on_write(done.upserted + done.closed, plan.writes)


def _ensured(target: Target, spec: NamespaceSpec, fence: int) -> WriteReceipt:
    state = target.ensure_namespace(spec, fence=fence)
    return WriteReceipt(0, 0, 1, state.mark)


class _Journal:
    """Law 1 and the lease's heartbeat, around every write."""

    def __init__(self, registry: Registry, push_id: int, writer: Held) -> None:
        self._registry, self._push, self._writer = registry, push_id, writer

    def write(self, step: str, payload: dict[str, object], send: Callable[[], WriteReceipt]) -> WriteReceipt:
        self._writer.check()
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


def _upserts(lake: Lake, tables: SpaceTables, plan: Plan, target: Target) -> Iterator[pa.Table]:
    """Records to write, in the target's schema, in batches within its limits: memory holds one batch."""
    ids = lake.table("SELECT shard, record_id, id FROM plan_actions WHERE id IS NOT NULL ORDER BY shard, record_id")
    limits = target.capabilities
    rows = min(limits.max_batch_records, max(1, limits.max_batch_bytes // (4 * plan.dimension + 2_000)))
    for begin in range(0, ids.num_rows, rows):
        # The row count is a guess from typical texts: what turns out too large is halved.
        yield from _fitting(_records(lake, tables, plan, ids.slice(begin, rows)), limits.max_batch_bytes)


def _records(lake: Lake, tables: SpaceTables, plan: Plan, wanted: pa.Table) -> pa.Table:
    """Whole records of a slice of ``plan_writes``: all of them, or ``RefusedError``."""
    found = read_vectors(lake, tables, plan.preconditions.lake_snapshot, wanted)
    if found.num_rows != wanted.num_rows:
        raise RefusedError(
            f"version {plan.version} of {plan.dataset} lacks {wanted.num_rows - found.num_rows} records or vectors in the lake",
            fix="Was it expired? See: vector-pipeline versions",
        )
    count = found.num_rows
    vectors = found["vector"].combine_chunks()
    return pa.table(
        [
            found["id"],
            pa.FixedSizeListArray.from_arrays(vectors.flatten(), plan.dimension),
            found["document_id"],
            found["content_hash"],
            found["metadata_hash"],
            pa.repeat(pa.scalar(plan.fingerprint), count),
            pa.repeat(pa.scalar(plan.version, pa.int64()), count),
            pa.repeat(pa.scalar(LIVE, pa.int64()), count),
            found["text"],
            found["metadata"],
        ],
        schema=record_schema(plan.dimension),
    )


def _fitting(records: pa.Table, limit: int) -> Iterator[pa.Table]:
    if records.num_rows > 1 and records.nbytes > limit:
        half = records.num_rows // 2
        yield from _fitting(records.slice(0, half), limit)
        yield from _fitting(records.slice(half), limit)
    else:
        yield records


def _closings(lake: Lake, target: Target) -> Iterator[pa.Array]:
    ids = lake.table("SELECT close_id FROM plan_actions WHERE close_id IS NOT NULL ORDER BY close_id")["close_id"]
    ids = ids.combine_chunks()
    rows = target.capabilities.max_batch_records
    for begin in range(0, len(ids), rows):
        yield ids.slice(begin, rows)


def same_actions(saved: Plan, fresh: Plan) -> None:
    """``RefusedError`` unless a saved plan still describes exactly what would be done now."""
    if canonical_json(saved.to_json()) != canonical_json(fresh.to_json()):
        raise RefusedError(
            f"the plan is stale: {saved.namespace} or version {saved.version} is not what it was when the plan was made",
            fix="Plan again and look at the difference",
        )
