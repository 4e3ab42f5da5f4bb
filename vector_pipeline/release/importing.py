"""Fill a namespace that does not exist from files: written from the lake, then read by the target itself.

Laws
----
1. An import of one content is started once: one that is under way is watched, one that ended whole is only counted. Its intent is
   journalled before it is started, its id after. A start whose answer was lost is found in an import that was not there before it.
2. A namespace is imported into when nothing is there. What a cancelled or failed import left is dropped first, under the lease, and
   only where no deployment of any environment is whole in it.
3. An interrupt leaves the import going on at the service: the next push watches it, or cancels it where upserts are asked for.
4. What was imported is counted before it is called landed.
5. Its files are deleted however it ended (``clearing``): also where it was cancelled, failed, or never began.
6. Memory holds one batch, and what a file's row group takes.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import pyarrow as pa

from vector_pipeline.errors import (
    ConflictError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
    VectorPipelineError,
)
from vector_pipeline.release.clearing import WAIT_S, cancel, clear_up, under_way, within
from vector_pipeline.release.dropping import line_deployments
from vector_pipeline.release.journalling import Journalled
from vector_pipeline.release.loading import DONE, DROP, START, UNDER_WAY, WATCH, content_of
from vector_pipeline.release.plan import Plan, Stage, StageKind
from vector_pipeline.release.reading_back import PATIENCE_S, Write, dropping
from vector_pipeline.release.registry import DeploymentStatus, Registry
from vector_pipeline.release.sending import Batch
from vector_pipeline.targets.base import (
    Capabilities,
    Importer,
    ImportState,
    ImportStatus,
    NamespaceSpec,
    Target,
    WriteReceipt,
)

_FIRST_LOOK_S, _LAST_LOOK_S = 0.1, 10.0
"""Between looks at an import: soon at first, then less often."""
_BATCH = {"max_batch_records": 20_000, "max_batch_bytes": 64_000_000}
"""What is read from the lake at once (law 6)."""
OnFiles = Callable[[int, int], None]
"""Called with (records written to files, records of the stage)."""


def reading(limits: Capabilities) -> Capabilities:
    """Limits of the batches that files are written from: no request's."""
    return replace(limits, **_BATCH)  # type: ignore[arg-type]


def make_way(registry: Registry, target: Target, plan: Plan, journal: Journalled) -> None:
    """Before a plan is executed that found nothing: end and drop what another import is doing or has left where it will write
    (law 2). Files that nothing reads any more are deleted, where whoever would have done it was killed.
    """
    if not target.capabilities.imports:
        return
    importer = _importer(target, plan)
    found = importer.find()
    going = found is not None and found.status in UNDER_WAY
    if found is not None and found.status is not ImportStatus.DONE and plan.preconditions.mark is None and plan.writes:
        if going:
            if found.uri == importer.uri and any(stage.kind is StageKind.IMPORT for stage in plan.stages):
                return
            _refuse_whole(registry, target, plan.namespace)
            cancel(importer, found, journal)
            going = False
        _drop_what_it_left(registry, target, plan, journal)
    if not going:
        clear_up(importer)


def _drop_what_it_left(registry: Registry, target: Target, plan: Plan, journal: Journalled) -> None:
    if target.describe(plan.namespace) is None:
        return
    _refuse_whole(registry, target, plan.namespace)
    journal.write(DROP, {"namespace": plan.namespace}, dropping(target, plan.namespace, journal.fence))
    if not within(WAIT_S, lambda: target.describe(plan.namespace) is None):
        raise UnavailableError(
            f"what an import left in {plan.namespace} of target {target.name} is not gone after {WAIT_S:.0f} s",
            fix="Run the command again",
        )


def import_batches(
    target: Target,
    plan: Plan,
    stage: Stage,
    journal: Journalled,
    tables: Callable[[], Iterable[pa.Table]],
    on_files: OnFiles | None = None,
) -> Iterator[Batch]:
    """Import a stage's records, in the caller's thread; what is yielded tells how far it came, and at last what it was.

    ``tables``: whole records (``record_schema``), read once where files must be written; ``on_files`` hears how far that came.
    """
    importer = _importer(target, plan)
    found = importer.find()
    here = target.describe(plan.namespace)
    if found is None or not _goes_on(found, importer, there=here is not None):
        with _clearing_up(BaseException, importer, journal):
            size = importer.write(_told(tables(), stage.records, on_files))
        with _clearing_up(VectorPipelineError, importer, journal):
            found = _start(importer, plan, stage, size, journal, before=found)
    with _says_what_goes_on(importer):
        yield from _watched(target, importer, found, plan, stage, journal)


def _told(tables: Iterable[pa.Table], total: int, on_files: OnFiles | None) -> Iterator[pa.Table]:
    done = 0
    for table in tables:
        yield table
        done += table.num_rows
        if on_files is not None:
            on_files(done, total)


@contextmanager
def _clearing_up(on: type[BaseException], importer: Importer, journal: Journalled) -> Iterator[None]:
    """Law 5. Files stay where an import of them may yet begin, and where whoever took the lease over may be writing them."""
    try:
        yield
    except (ConflictError, UnknownOutcomeError):
        raise
    except on:
        # What cannot be looked at now must not hide what went wrong: the next push clears up.
        with suppress(VectorPipelineError):
            journal.check()
            if under_way(importer) is None:
                clear_up(importer)
        raise


def _importer(target: Target, plan: Plan) -> Importer:
    before = plan.preconditions
    return target.importer(_spec(plan), content_of(before.version_digest, plan.version, before.actions_digest))


def _spec(plan: Plan) -> NamespaceSpec:
    return NamespaceSpec(plan.namespace, plan.dimension, plan.metric, plan.fingerprint)


def _goes_on(found: ImportState, importer: Importer, *, there: bool) -> bool:
    """Law 1. One that ended whole, and whose namespace was dropped since, is made again."""
    if found.uri != importer.uri:
        return False
    return found.status in UNDER_WAY or (found.status is ImportStatus.DONE and there)


def _start(
    importer: Importer, plan: Plan, stage: Stage, size: int, journal: Journalled, *, before: ImportState | None
) -> ImportState:
    """``before``: what ``find`` gave until then. An older import of the same content may have ended as well as this one will."""
    started: list[ImportState] = []

    def send() -> WriteReceipt:
        started.append(importer.start())
        return WriteReceipt(0, size)

    def there() -> bool:
        found = importer.find()
        if found is None or found.uri != importer.uri:
            return False
        if before is not None and found.id == before.id and found.status not in UNDER_WAY:
            return False
        started.append(found)
        return True

    payload = {"namespace": plan.namespace, "uri": importer.uri, "records": stage.records}
    journal.write(START, payload, Write(send, there, patience_s=PATIENCE_S))
    return started[-1]


def _watched(
    target: Target, importer: Importer, found: ImportState, plan: Plan, stage: Stage, journal: Journalled
) -> Iterator[Batch]:
    """Looks until the import has ended, counts (law 4), and clears up."""
    payload: dict[str, object] = {"namespace": plan.namespace, "uri": found.uri, "id": found.id}
    journal.write(WATCH, payload, Write(lambda: WriteReceipt(0, 0, 0), lambda: True))
    told, pause = 0, _FIRST_LOOK_S
    while found.status in UNDER_WAY:
        # The last record is told of when all were counted.
        seen = min(max(found.records, int(found.share * stage.records)), stage.records - 1)
        if seen > told:
            yield Batch(seen - told, lambda: WriteReceipt(0, 0, 0))
            told = seen
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK_S)
        journal.check()
        found = importer.state(found.id)
    if found.status is not ImportStatus.DONE:
        clear_up(importer)
        raise _ended_badly(found, target, plan)
    receipt = journal.write(DONE, payload, Write(partial(_counted, target, plan, stage, journal.fence), lambda: False))
    clear_up(importer)
    yield Batch(stage.records - told, lambda: receipt)


def _counted(target: Target, plan: Plan, stage: Stage, fence: int) -> WriteReceipt:
    """Law 4: the namespace, once reads see all that was imported. It is made ours first: whatever the target wants in it beside the
    records.
    """
    target.ensure_namespace(_spec(plan), fence=fence)

    def whole() -> bool:
        state = target.describe(plan.namespace)
        return state is not None and state.records >= stage.records

    complete, state = within(WAIT_S, whole), target.describe(plan.namespace)
    if not complete or state is None:
        held = state.records if state is not None else 0
        raise UnavailableError(
            f"the import into {plan.namespace} of {target.name} has ended, and {held:,} of {stage.records:,} records are there",
            fix="Run the command again: it writes what is missing",
        )
    return WriteReceipt(stage.records, state.bytes, 1, state.mark)


def _refuse_whole(registry: Registry, target: Target, namespace: str) -> None:
    """Law 2. Nothing is dropped that anybody might read."""
    for one in line_deployments(registry, target.name, namespace):
        if one.status in (DeploymentStatus.PUSHED, DeploymentStatus.REPLACED):
            raise RefusedError(
                f"an import is under way, or was cut off, in {namespace} of target {target.name}, which holds v{one.version} of "
                f"{one.dataset} for {one.environment}: it is not dropped",
                fix="Wait for the import to end, or cancel it with the target's own tools",
            )


def _ended_badly(found: ImportState, target: Target, plan: Plan) -> RefusedError:
    said = f": {found.error}" if found.error else ""
    return RefusedError(
        f"the import into {plan.namespace} of target {target.name} ({found.uri}, id {found.id}) {_ENDED[found.status]}{said}",
        fix="Push again: upserts then, or --load import to try once more; what it left is dropped first",
    )


_ENDED = {ImportStatus.FAILED: "failed", ImportStatus.CANCELLED: "was cancelled"}


@contextmanager
def _says_what_goes_on(importer: Importer) -> Iterator[None]:
    """Law 3."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception | GeneratorExit):
            error.add_note(
                f"the import of {importer.uri} goes on at the service: the next push watches it; push --load upsert cancels it"
            )
        raise
