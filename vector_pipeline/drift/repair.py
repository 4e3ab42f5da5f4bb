"""Repair: a plan of ``repair_plan`` executed, under the same lease, fence and journal as a push.

Laws
----
1. The target learns of the lease's fence before the look: what somebody who lost the lease sent late cannot land after it.
2. Additions land before anything is closed or deleted. Repairing twice writes nothing the second time; a repair that was killed
   anywhere is continued by repairing again, because the plan is made from what the target holds.
3. Nothing is written of a version that the lake does not hold as it was made: judging it has read it back.
4. What the target is afterwards is recorded as ours where it was ours before, or where everything was compared: what a look at ids
   does not see is not hidden by it. Verdicts on its deployments were made before, and stay as old as they are.
5. Which versions are kept is asked under the lease: one that was pushed or retired meanwhile is not mistaken.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pyarrow as pa

from vector_pipeline.config import Prices
from vector_pipeline.drift.repair_plan import LinePlan, RepairLine, marks_after, plan_line
from vector_pipeline.drift.report import Level
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.apply import Applied, OnWrite, execute, id_batches, place_of
from vector_pipeline.release.hands import explained, record
from vector_pipeline.release.journalling import Journalled, abandon_open, fence_off, writer
from vector_pipeline.release.plan import Stage, StageKind
from vector_pipeline.release.reading_back import Write, closing, deleting, deriving, making, upserting
from vector_pipeline.release.records import changed_records, whole_records
from vector_pipeline.release.registry import PushStatus, Registry
from vector_pipeline.release.remembering import remember
from vector_pipeline.release.sending import Batch, Made
from vector_pipeline.release.settling import as_counted, settle
from vector_pipeline.targets.base import DERIVE_SCHEMA, NamespaceSpec, Target


def repair_line(
    lake: Lake,
    registry: Registry,
    target: Target,
    line: RepairLine,
    *,
    again: Callable[[], RepairLine] | None = None,
    level: Level = Level.IDS,
    prices: Prices | None = None,
    parallel: int = 1,
    run_id: str | None = None,
    on_write: OnWrite | None = None,
) -> tuple[LinePlan, Applied]:
    """Make a line's kept versions readable as they were made. Writes nothing to the target where nothing drifted.

    ``again``: the line as it is now, asked when nobody else can write (law 5).
    """
    with writer(registry, target, line.first.namespace) as held:
        if target.describe(line.first.namespace) is not None:
            newest = line.versions[-1]
            spec = NamespaceSpec(line.first.namespace, newest.dimension, newest.metric, newest.fingerprint)
            fence_off(target, spec, held)
            settle(registry, target, line.first.namespace)
        line = line if again is None else again()
        made = plan_line(lake, registry, target, line, level=level, prices=prices, parallel=parallel)
        ours = level is Level.FULL or explained(registry, made.environment, target.name, made.namespace, made.mark)
        if made.empty:
            if level is Level.FULL:
                _record(lake, registry, target, line, made, ())
            return made, Applied()
        abandon_open(registry, made.environment, target.name, made.namespace)
        push = registry.open_push(line.first.id, made.to_json(), held.fence, run_id)
        try:
            journal = Journalled(registry, push, held, parallel=parallel)
            work = _Work(lake, target, line, made, journal)
            applied = execute(
                made.stages, work.batches, target, made.namespace, parallel=journal.writers, on_write=on_write
            )
            held.check()
            if ours:
                _record(lake, registry, target, line, made, journal.marks)
        except BaseException:
            with contextlib.suppress(VectorPipelineError):
                registry.close_push(push, PushStatus.FAILED)
            raise
        registry.close_push(push, PushStatus.DONE)
    return made, applied


def _record(
    lake: Lake, registry: Registry, target: Target, line: RepairLine, plan: LinePlan, marks: Iterable[str | None]
) -> None:
    """Law 4."""
    if not as_counted(lake, target, plan.namespace, marks_after(line, plan)):
        return
    before = {plan.mark or "", *marks}
    after = record(registry, plan.dataset, plan.environment, target, plan.namespace, before)
    if after is not None:
        remember(lake, target, plan.namespace, after, marks_after(line, plan))


class _Work:
    """The batches of a repair's stages, from the temporary tables that ``plan_line`` left."""

    def __init__(self, lake: Lake, target: Target, line: RepairLine, plan: LinePlan, journal: Journalled) -> None:
        self.lake, self.target, self.line, self.plan, self.journal = lake, target, line, plan, journal
        self.limits = target.capabilities

    def batches(self, stage: Stage) -> Made:
        """Those of one stage."""
        kind = stage.kind
        if kind is StageKind.ENSURE_NAMESPACE:
            yield self._batch(kind, None, making(self.target, place_of(self.plan), self.journal.fence))
        elif kind is StageKind.CLOSE:
            for (end,) in self.lake.rows("SELECT DISTINCT removed_in FROM drift_ends ORDER BY 1"):
                for ids in self._ids(f"SELECT id FROM drift_ends WHERE removed_in = {int(end)} ORDER BY id", stage):
                    fence, way = self.journal.fence, stage.ending
                    close = closing(self.target, self.plan.namespace, ids, int(end), fence, way)
                    yield self._batch(kind, ids[0].as_py(), close)
        elif kind is StageKind.DELETE:
            for ids in self._ids("SELECT id FROM drift_deletes ORDER BY id", stage):
                delete = deleting(self.target, self.plan.namespace, ids, self.journal.fence)
                yield self._batch(kind, ids[0].as_py(), delete)
        else:
            yield from self._written(kind)

    def _written(self, kind: StageKind) -> Iterator[Batch]:
        """Whole records, or such that take their vector from one that stays: version by version, shard by shard."""
        derives = kind is StageKind.DERIVE
        for version in self.line.versions:
            wanted = f"""SELECT shard, record_id, id, source_id, added_in, removed_in FROM drift_writes
                WHERE version = {version.number} AND (source_id IS NOT NULL) = {str(derives).lower()}
                ORDER BY shard, record_id"""
            read = changed_records if derives else whole_records
            with contextlib.closing(read(self.lake, version, wanted, self.limits)) as tables:
                for table in tables:
                    rows = table.select(DERIVE_SCHEMA.names) if derives else table
                    writing = deriving if derives else upserting
                    write = writing(self.target, self.plan.namespace, rows, self.journal.fence)
                    yield self._batch(kind, table["id"][0].as_py(), write)

    def _ids(self, query: str, stage: Stage) -> Iterator[pa.Array]:
        return id_batches(self.lake.table(query)["id"], self.limits, stage.ending)

    def _batch(self, kind: StageKind, first: str | None, write: Write) -> Batch:
        payload = {"namespace": self.plan.namespace} if first is None else {"records": write.records, "first": first}
        return Batch(write.records, partial(self.journal.write, kind.value, payload, write))
