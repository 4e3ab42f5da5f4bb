"""Collect: delete from a target what nothing reaches any more. What that is, is looked up again under each line's lease.

Laws
----
1. A deployment is retired in the registry before anything of it is deleted, and no alias can be moved to a retired one: collection
   and promotion cannot cross. What cannot be retired now is skipped whole.
2. One writer a line: a line that somebody is writing is skipped, and said. The fence is raised before the look that counts.
3. Retired deployments, a shorter line and a dropped one are states that the next run finds: killed anywhere and run again, the
   end is that of an undisturbed run.
4. The namespace's state is recorded as ours afterwards only where it was ours before, and is what our writes left: a foreign hand
   is not hidden by our write.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from vector_pipeline.errors import ConflictError, RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.apply import id_batches
from vector_pipeline.release.collection import (
    Collection,
    LineCollection,
    LineState,
    lines_now,
    look_at,
    plan_collection,
)
from vector_pipeline.release.dropping import drop_line, journalled, line_deployments
from vector_pipeline.release.garbage import Garbage
from vector_pipeline.release.hands import explained, record
from vector_pipeline.release.holding import Held
from vector_pipeline.release.journalling import Journalled, fence_off, writer
from vector_pipeline.release.plan import StageKind
from vector_pipeline.release.reading_back import deleting
from vector_pipeline.release.registry import PushStatus, Registry
from vector_pipeline.release.remembering import forget, remember
from vector_pipeline.release.sending import Batch, Made, send_all
from vector_pipeline.release.settling import as_counted, settle
from vector_pipeline.targets.base import NamespaceState, Target, WriteReceipt

OnDelete = Callable[[int, int], None]
"""Called with (records deleted, records to delete) of a line."""


def collect(
    lake: Lake,
    registry: Registry,
    target: Target,
    dataset: str,
    environment: str,
    *,
    keep_versions: int,
    grace_s: float,
    run_id: str | None = None,
    by: str = "",
    parallel: int = 1,
    on_delete: OnDelete | None = None,
) -> Collection:
    """Delete what nothing reaches. Lines that somebody writes, or whose aliases moved meanwhile, are skipped and say so."""
    planned = plan_collection(
        lake, registry, target, dataset, environment, keep_versions=keep_versions, grace_s=grace_s
    )
    done = []
    for line in planned.lines:
        if line.empty:
            done.append(line)
            continue
        with ExitStack() as stack:
            try:
                held = stack.enter_context(writer(registry, target, line.namespace))
            except ConflictError as error:
                done.append(replace(line, skipped=error.what))
                continue
            again = lines_now(registry, target, dataset, environment, keep_versions, grace_s, only=line.namespace)
            work = _Work(lake, registry, target, dataset, environment, held, grace_s, run_id, by, on_delete, parallel)
            done.extend(work.collect(found) for found in again)
    return replace(planned, done=True, lines=tuple(done))


@dataclass(frozen=True, slots=True)
class _Work:
    """Collecting one line, under its lease."""

    lake: Lake
    registry: Registry
    target: Target
    dataset: str
    environment: str
    held: Held
    grace_s: float
    run_id: str | None
    by: str
    on_delete: OnDelete | None
    parallel: int

    def collect(self, line: LineState) -> LineCollection:
        """Retire, raise the fence, look again, delete. What cannot be retired now is skipped whole."""
        for push in line.interrupted:
            # Its holder lost the lease, or is dead: we hold it.
            self.registry.close_push(push, PushStatus.ABANDONED)
        nothing = LineCollection(self.target.name, line.namespace, False, (), (), (), 0, 0, 0)
        try:
            if not line.kept:
                found = look_at(self.lake, self.registry, self.target, self.environment, line)[0] or nothing
                drop_line(
                    self.registry, self.target, line.namespace, [one.id for one in line.ours], held=self.held,
                    grace_s=self.grace_s, run_id=self.run_id, by=self.by,
                )  # fmt: skip
                forget(self.lake, self.target, line.namespace)
                return found
            self.registry.retire_deployments([one.id for one in line.retire], grace_s=self.grace_s)
        except RefusedError as error:
            return replace(nothing, skipped=error.what)
        before = self.target.describe(line.namespace)
        if before is not None:
            fence_off(self.target, before.spec, self.held)
            if settle(self.registry, self.target, line.namespace):
                before = self.target.describe(line.namespace)
        now, garbage = look_at(self.lake, self.registry, self.target, self.environment, line)
        assert now is not None, "a line with a kept version always says something"
        if garbage is not None and before is not None and len(garbage.ids):
            self._delete(line, before, garbage)
        return now

    def _delete(self, line: LineState, before: NamespaceState, garbage: Garbage) -> None:
        done, total = 0, len(garbage.ids)
        newest = max((one for one in line.ours if one in line.kept), key=lambda one: one.version, default=line.ours[-1])
        note = {"goal": "collect", "namespace": line.namespace, "records": total, "by": self.by, "mark": before.mark}
        receipts: list[WriteReceipt] = []

        def landed(batch: Batch, receipt: WriteReceipt) -> None:
            nonlocal done
            done += batch.records
            receipts.append(receipt)
            if self.on_delete is not None:
                self.on_delete(done, total)

        with journalled(self.registry, self.held, newest, note, self.run_id, parallel=self.parallel) as journal:
            send_all(self._batches(line, garbage, journal), parallel=journal.writers, done=landed)
            for receipt in reversed(receipts):
                self.target.wait_until_fresh(line.namespace, receipt)
        self._record(line, before, journal)

    def _batches(self, line: LineState, garbage: Garbage, journal: Journalled) -> Made:
        for ids in id_batches(garbage.ids, self.target.capabilities):
            write = deleting(self.target, line.namespace, ids, journal.fence)
            payload = {"records": len(ids), "first": ids[0].as_py()}
            yield Batch(len(ids), partial(journal.write, StageKind.DELETE.value, payload, write))

    def _record(self, line: LineState, before: NamespaceState, journal: Journalled) -> None:
        """Law 4."""
        place = self.target.name, line.namespace
        left = "SELECT * FROM collect_marks ANTI JOIN collect_garbage USING (id)"
        if not as_counted(self.lake, self.target, line.namespace, left):
            return
        after = None
        for environment in sorted({one.environment for one in line_deployments(self.registry, *place)}):
            known = self.registry.namespace_record(environment, *place)
            if known is not None and explained(self.registry, environment, *place, before.mark):
                marks = {before.mark, *journal.marks}
                after = record(self.registry, self.dataset, environment, self.target, line.namespace, marks) or after
        if after is not None and journal.certain:
            remember(self.lake, self.target, line.namespace, after, left)
