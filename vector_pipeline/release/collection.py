"""What a collection would delete of a dataset's lines: a function of the registry and of what the target holds. Reads only.

Laws
----
1. Nothing that is visible at a kept version of its line is garbage, nor anything whose marks no version explains: what somebody
   else put there is drift's business.
2. A line is shared by every environment whose deployments name the same target and namespace: what another environment has not
   retired is kept, whatever this one thinks of it.
3. What is written in place is only ever dropped whole: its readers do not filter, so no record of it is invisible.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.garbage import Garbage, find_garbage
from vector_pipeline.release.registry import Deployment, DeploymentStatus, PushStatus, Registry
from vector_pipeline.release.retention import kept
from vector_pipeline.targets.base import Target

_ALL = 1_000_000
_FINAL = frozenset({DeploymentStatus.RETIRED, DeploymentStatus.REPLACED})


@dataclass(frozen=True, slots=True)
class LineCollection:
    """What is (or would be) deleted of one line."""

    target: str
    namespace: str
    drop: bool
    """The whole namespace: nothing in it is reachable."""
    retire: tuple[int, ...]
    """Ids of the deployments that are retired first."""
    versions: tuple[int, ...]
    """Their versions."""
    kept: tuple[int, ...]
    """Versions that stay readable in it."""
    records: int
    """Records that are deleted."""
    closed: int
    """Of them, closed at or before the oldest kept version; the others are of versions that were abandoned or expired."""
    bytes: int
    """An estimate, from the namespace's size and the share of its records."""
    examples: tuple[str, ...] = ()
    """Up to ten ids of documents that records are deleted of."""
    interrupted: tuple[int, ...] = ()
    """Pushes that earlier collections left open when they were killed."""
    skipped: str | None = None
    """Why it was left alone."""

    @property
    def empty(self) -> bool:
        return not (self.drop or self.retire or self.records or self.interrupted)


@dataclass(frozen=True, slots=True)
class Collection:
    """What is (or would be) deleted of a dataset on one target in one environment."""

    dataset: str
    environment: str
    target: str
    done: bool
    lines: tuple[LineCollection, ...]

    @property
    def records(self) -> int:
        """Records deleted: those of skipped lines are not."""
        return sum(line.records for line in self.lines if line.skipped is None)

    @property
    def empty(self) -> bool:
        return all(line.empty or line.skipped is not None for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "records": self.records}


@dataclass(frozen=True, slots=True)
class LineState:
    """What the registry says of one line."""

    namespace: str
    retire: tuple[Deployment, ...]
    kept: tuple[Deployment, ...]
    ours: tuple[Deployment, ...]
    """Every deployment of this environment in it, oldest first."""
    interrupted: tuple[int, ...]
    newest: int
    """The last version of the dataset that exists, expired or not."""


def plan_collection(
    lake: Lake,
    registry: Registry,
    target: Target,
    dataset: str,
    environment: str,
    *,
    keep_versions: int,
    grace_s: float,
) -> Collection:
    """What ``collect`` would delete now. Reads only: the listing of every line that may be shortened."""
    look = partial(look_at, lake, registry, target, environment)
    found = [look(line)[0] for line in lines_now(registry, target, dataset, environment, keep_versions, grace_s)]
    return Collection(dataset, environment, target.name, False, tuple(line for line in found if line is not None))


def lines_now(
    registry: Registry,
    target: Target,
    dataset: str,
    environment: str,
    keep_versions: int,
    grace_s: float,
    *,
    only: str | None = None,
) -> list[LineState]:
    """The lines of a dataset on a target, as the registry has them now."""
    # Asked before what is kept: a version that is made, or begun to be pushed, in between is kept by the look that follows.
    deployments = [one for one in registry.deployments(dataset) if one.target == target.name]
    reachable = kept(registry, dataset, environment, keep_versions=keep_versions, grace_s=grace_s).deployments
    newest = max((version.number for version in registry.versions(dataset)), default=0)
    opened = registry.pushes(dataset, environment, limit=_ALL, status=PushStatus.OPEN)
    lines = []
    for namespace in sorted({one.namespace for one in deployments if one.environment == environment}):
        if only not in (None, namespace):
            continue
        there = [one for one in deployments if one.namespace == namespace]
        ours = [one for one in there if one.environment == environment]
        others = [one for one in there if one.environment != environment and one.status not in _FINAL]
        stay = [one for one in ours if one.id in reachable]
        ids = {one.id for one in ours}
        lines.append(
            LineState(
                namespace,
                # What was replaced keeps its status while the line lives: it is history, and nothing of it is there.
                tuple(one for one in ours if one.id not in reachable and one.status not in _FINAL),
                (*stay, *others),
                tuple(ours),
                tuple(push.id for push in opened if push.deployment_id in ids and push.plan.get("goal") == "collect"),
                newest,
            )
        )
    return lines


def look_at(
    lake: Lake, registry: Registry, target: Target, environment: str, line: LineState
) -> tuple[LineCollection | None, Garbage | None]:
    """What there is to delete of a line, and which records; None for a line that was collected to its end."""
    state = target.describe(line.namespace)
    versions = tuple(sorted({one.version for one in line.kept}))
    found = LineCollection(
        target.name, line.namespace, False, tuple(one.id for one in line.retire),
        tuple(one.version for one in line.retire), versions, 0, 0, 0, interrupted=line.interrupted,
    )  # fmt: skip
    if not line.kept:
        known = registry.namespace_record(environment, target.name, line.namespace)
        if state is None and known is None:
            return (found if not found.empty else None), None
        size = (state.records, state.bytes) if state is not None else (0, 0)
        return replace(found, drop=True, records=size[0], bytes=size[1]), None
    if state is None or any(one.strategy == "in-place" for one in line.kept):
        return found, None
    garbage = find_garbage(
        lake, target, line.namespace, state, space=line.kept[0].fingerprint, kept=versions, newest=line.newest
    )
    share = len(garbage.ids) / max(1, state.records)
    return (
        replace(
            found, records=len(garbage.ids), closed=garbage.closed, bytes=int(state.bytes * share),
            examples=garbage.examples,
        ),
        garbage,
    )  # fmt: skip
