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
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.journalling import Journalled
from vector_pipeline.release.plan import Plan, StageKind
from vector_pipeline.release.records import batches
from vector_pipeline.release.registry import Version
from vector_pipeline.targets.base import LIVE, NamespaceSpec, Target, WriteReceipt

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


def apply_plan(
    lake: Lake,
    version: Version,
    target: Target,
    plan: Plan,
    journal: Journalled,
    *,
    on_write: OnWrite | None = None,
) -> Applied:
    """Execute the stages of a plan that was made in this thread just now (``plan_actions`` is its list of actions)."""
    done = Applied()
    for stage in plan.stages:
        if stage.kind is StageKind.ENSURE_NAMESPACE:
            spec = NamespaceSpec(plan.namespace, plan.dimension, plan.metric, plan.fingerprint)
            payload: dict[str, object] = {"namespace": plan.namespace}
            journal.write(stage.kind, payload, partial(_ensured, target, spec, journal.fence))
        elif stage.kind is StageKind.UPSERT:
            for batch in _upserts(lake, version, target):
                payload = {"records": batch.num_rows, "first": batch["id"][0].as_py()}
                send = partial(target.upsert, plan.namespace, batch, fence=journal.fence)
                done.add(journal.write(stage.kind, payload, send))
                done.upserted += batch.num_rows
                _report(on_write, done, plan)
        elif stage.kind is StageKind.CLOSE:
            for ids in _closings(lake, target):
                payload = {"records": len(ids), "first": ids[0].as_py()}
                send = partial(target.set_removed, plan.namespace, ids, plan.version, fence=journal.fence)
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


def _upserts(lake: Lake, version: Version, target: Target) -> Iterator[pa.Table]:
    wanted = lake.table(
        f"""SELECT shard, record_id, id, {version.number}::BIGINT AS added_in, {LIVE}::BIGINT AS removed_in
            FROM plan_actions WHERE id IS NOT NULL ORDER BY shard, record_id"""
    )
    yield from batches(lake, version, wanted, target.capabilities)


def _closings(lake: Lake, target: Target) -> Iterator[pa.Array]:
    ids = lake.table("SELECT close_id FROM plan_actions WHERE close_id IS NOT NULL ORDER BY close_id")["close_id"]
    ids = ids.combine_chunks()
    rows = target.capabilities.max_batch_records
    for begin in range(0, len(ids), rows):
        yield ids.slice(begin, rows)


def same_actions(saved: Plan, fresh: Plan) -> None:
    """``RefusedError`` unless a saved plan still describes exactly what would be done now."""
    if canonical_json(saved.identity().to_json()) != canonical_json(fresh.identity().to_json()):
        raise RefusedError(
            f"the plan is stale: {saved.namespace} or version {saved.version} is not what it was when the plan was made",
            fix="Plan again and look at the difference",
        )
