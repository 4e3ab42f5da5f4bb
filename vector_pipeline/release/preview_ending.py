"""Take a preview down: its namespaces, its tables of the lake, and what the registry holds of it.

Laws
----
1. The end is written down first: whoever builds the preview stops at the next commit or write, and nobody begins anew.
2. Then what it holds is dropped, from the outside in: namespaces, tables, rows. Killed anywhere and run again, it ends as if it had
   not been killed: what is left is found by the one name that all of it has.
3. A namespace goes only by ``drop_line``, under its lease, and a table under its own: whoever writes still is waited for, and a
   dead writer is not. What no target answers for is left for the next time.
4. What the configuration does not lead to any more (``UNREACHED``), or does not answer for good, a person may give up, with a
   reason: the rest ends, and the preview's row keeps what may stand still, and who gave it up. A seal, or somebody who writes, is
   waited for. ``sweep`` drops it as soon as the configuration leads there again, however long ago it ended.
5. A writer that slept through all this may leave a namespace behind: ``sweep`` looks again, in previews that ended not long ago.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.erasing import tables_of_dataset
from vector_pipeline.release.dropping import drop_line
from vector_pipeline.release.holding import hold, hold_whole
from vector_pipeline.release.journalling import abandon_open
from vector_pipeline.release.preview_lake import drop_schema
from vector_pipeline.release.registry import PreviewRecord, Registry
from vector_pipeline.release.registry.previews import GIVEN_UP, GivenUp
from vector_pipeline.release.remembering import forget
from vector_pipeline.targets.base import Target

UNREACHED = "unreached"
"""Code of the ``RefusedError`` of what the configuration does not lead to."""
LAKE = "lake"
"""Stands for a preview's tables among what was given up."""
SWEPT_FOR = timedelta(days=7)
"""Law 5: a process does not sleep for longer."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What taking down works on."""

    registry: Registry
    lake: Callable[[], Lake | None]
    """None where there is none."""
    reach: Callable[[str], Target]
    by: str
    wait_s: float = 0.0
    """For those who write still."""
    on_step: Callable[[str], None] = lambda _: None


def take_down(
    ending: Ending, preview: PreviewRecord, reason: str, *, give_up: bool = False, overdue: bool = False
) -> PreviewRecord:
    """Do it (law 2). ``ConflictError`` while somebody writes still, ``UnavailableError`` where a target does not answer: run it
    again. ``give_up``: law 4. ``overdue``: one that was begun anew since somebody looked ``lives`` on, and nothing is done.
    """
    left: list[str] = []

    def done(what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except VectorPipelineError as error:
            if not (give_up and (error.code == UNREACHED or isinstance(error, UnavailableError))):
                raise
            left.append(what)

    registry = ending.registry
    found = registry.end_preview(preview.id, preview.held_as, by=ending.by, reason=reason, overdue=overdue)
    if found.lives:
        return found
    ending.on_step("ending")
    places = [(one.target, one.namespace) for one in registry.deployments(preview.held_as)]
    for name, namespace in sorted(set(places)):
        done(f"{name}/{namespace}", partial(_drop_namespace, ending, preview, name, namespace))
        ending.on_step("dropped namespace")
    done(LAKE, partial(_drop_tables, ending, preview))
    ending.on_step("dropped tables")
    given_up = GivenUp(tuple(left), ending.by, reason) if left else None
    return registry.forget_preview(preview.id, preview.held_as, places, given_up=given_up)


def sweep(ending: Ending, previews: Iterable[PreviewRecord], *, now: datetime | None = None) -> list[str]:
    """Laws 4 and 5: drop what stands (again) under a name of a preview that has ended; returns those namespaces."""
    found = []
    for preview in previews:
        given_up = preview.given_up
        late = preview.ended_at is None or preview.ended_at < (now or datetime.now(UTC)) - SWEPT_FOR
        if late and given_up is None:
            continue
        gone = []
        for name, namespace in preview.places:
            try:
                target = ending.reach(name)
                if target.describe(namespace) is None:
                    continue
                with hold(ending.registry, f"{name}/{namespace}") as held:
                    target.drop_namespace(namespace, fence=held.fence)
            except VectorPipelineError:
                continue  # The next time finds it again.
            found.append(namespace)
            gone.append(f"{name}/{namespace}")
        if given_up is not None:
            _settle(ending, preview, given_up, gone)
    return found


def _settle(ending: Ending, preview: PreviewRecord, given_up: GivenUp, gone: list[str]) -> None:
    """Law 4: what was given up and is gone by now is not told any more."""
    if LAKE in given_up.left:
        with suppress(VectorPipelineError):
            _drop_tables(ending, preview)
            gone.append(LAKE)
    if gone:
        left = tuple(one for one in given_up.left if one not in gone)
        ending.registry.note_preview(preview.id, {GIVEN_UP: replace(given_up, left=left).to_json() if left else None})


def _drop_namespace(ending: Ending, preview: PreviewRecord, name: str, namespace: str) -> None:
    registry, target = ending.registry, ending.reach(name)
    there = [one for one in registry.deployments(preview.held_as) if (one.target, one.namespace) == (name, namespace)]
    with hold(registry, f"{name}/{namespace}", wait_s=ending.wait_s) as held:
        for environment in sorted({one.environment for one in there}):
            abandon_open(registry, environment, name, namespace)
        drop_line(registry, target, namespace, [one.id for one in there], held=held, grace_s=0, by=ending.by)
        lake = ending.lake()
        if lake is not None:
            forget(lake, target, namespace)


def _drop_tables(ending: Ending, preview: PreviewRecord) -> None:
    lake = ending.lake()
    if lake is None:
        return
    with ExitStack() as stack:
        for table in {"documents", *tables_of_dataset(lake, preview.held_as)}:
            resource = f"lake/{preview.held_as}/{table}"
            stack.enter_context(hold_whole(ending.registry, resource, wait_s=ending.wait_s))
        drop_schema(lake, preview.held_as)
