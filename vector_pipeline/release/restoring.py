"""Whether a version can be served again, and how. Reads only.

Laws
----
1. An alias goes back at once only to a deployment that is whole: pushed, not retired, not written over, its target configured;
   and only to a version that has not expired: what has may be collected at any moment.
2. Else the version is pushed again, from what the lake keeps of it: nothing is embedded.
3. What neither an index nor the lake holds is gone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.hands import explained
from vector_pipeline.release.past import ALL, Span
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import (
    Audit,
    Deployment,
    DeploymentStatus,
    Override,
    Registry,
    Verdict,
    VerdictStatus,
    Version,
)
from vector_pipeline.release.snapshot import require_kept
from vector_pipeline.targets.base import Target


class How(StrEnum):
    """The way back to a version."""

    SERVING = "serving"
    """Production points at it."""
    ROLLBACK = "rollback"
    """By moving the alias: at once, no write to the target (but in the in-place strategy)."""
    PROMOTE = "promote"
    """It is in the index and was never in production: the gates, then the alias."""
    PUSH = "push"
    """From the lake: written again, nothing is embedded."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Restore:
    """How to serve a version again."""

    how: How
    why: str
    commands: tuple[tuple[str, ...], ...] = ()
    """What to run, in this order: verb and options, without program and dataset."""


class Touch(StrEnum):
    """What an index's mark says about other hands."""

    UNTOUCHED = "untouched"
    """Nothing has written since our last write."""
    TOUCHED = "touched"
    """Something has."""
    UNFINISHED = "unfinished"
    """A write of ours did not end, or is under way: the mark says nothing."""
    UNKNOWN = "unknown"
    GONE = "gone"
    """The namespace does not exist."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """A namespace now against what it was after our last write."""

    touch: Touch
    since: datetime | None = None
    """Our last write."""
    recorded: str | None = None
    """The mark after it."""
    mark: str | None = None
    """The mark now."""
    why: str = ""
    """What kept the question from being answered."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a version was deployed, and what is known of that place."""

    deployment: Deployment
    aliases: tuple[str, ...]
    """That point at it now."""
    served: tuple[Span, ...]
    """When production did, newest first."""
    verdicts: tuple[Verdict, ...]
    audit: Audit | None
    """The last one of it."""
    index: IndexState
    overrides: tuple[Override, ...] = ()
    """Gates that it was let past, oldest first."""


@dataclass(frozen=True, slots=True)
class VersionPast:
    """One version's whole story in this environment."""

    version: Version
    model: str | None
    """Name and revision of what made its vectors; None where that was not recorded and is not configured here any more."""
    changes: VersionDiff | None
    """Against its parent; None for a first version, or where one of the two is not kept."""
    placed: tuple[Placed, ...]
    restore: Restore


@dataclass(frozen=True, slots=True)
class Served:
    """What production served for a time, and how to serve it again."""

    span: Span
    version: Version
    restore: Restore


def restore(
    registry: Registry,
    version: Version,
    environment: str,
    *,
    lake: Lake | None,
    targets: Collection[str],
    places: Sequence[str] = (),
) -> Restore:
    """The fastest way back to a version in an environment whose configured targets are ``targets``.

    ``places``: where a dataset with mirrors is served from; each must hold the version for any to go back to it.
    """
    number = str(version.number)
    back = (("rollback", "--to", number),)
    production = registry.alias(version.dataset, environment, PRODUCTION)
    now = production.deployment if production is not None else None
    if now is not None and now.version == version.number and now.status != DeploymentStatus.REPLACED:
        return Restore(How.SERVING, "production serves it")
    there = [
        one
        for one in registry.deployments(version.dataset, environment)
        if one.version == version.number and one.target in targets
    ]
    if version.expired_at is not None:
        return Restore(How.GONE, f"it expired on {version.expired_at:%Y-%m-%d}")
    whole = [one for one in there if one.status == DeploymentStatus.PUSHED]
    lacking = [place for place in places if not any(one.target == place for one in whole)]
    if whole and lacking:
        if (gone := _lost(version, lake)) is not None:
            return Restore(How.GONE, f"not whole on {', '.join(lacking)}: {gone}")
        pushes = tuple(("push", "--version", number, "--target", place) for place in lacking)
        why = f"it is not whole on {', '.join(lacking)}: written there again from the lake"
        return Restore(How.PUSH, why, (*pushes, ("verify", "--version", number), ("promote", "--version", number)))
    served = {
        one
        for move in registry.alias_moves(version.dataset, environment, PRODUCTION, limit=ALL)
        for one in (move.from_deployment, move.to_deployment)
    }
    if any(one.id in served for one in whole):
        return Restore(How.ROLLBACK, "at once: the index still holds it whole", back)
    lost = _lost(version, lake)
    over = [one for one in there if one.status == DeploymentStatus.REPLACED and one.strategy is Strategy.IN_PLACE]
    if lost is None and any(one.id in served for one in over):
        return Restore(How.ROLLBACK, "by writing what differs back in place, while readers look", back)
    if whole:
        commands = (("verify", "--version", number), ("promote", "--version", number))
        why = f"the index holds it whole; it was never in production{_stopped(registry, whole)}"
        return Restore(How.PROMOTE, why, commands)
    if lost is not None:
        return Restore(How.GONE, lost)
    commands = (("push", "--version", number), ("promote", "--version", number))
    return Restore(How.PUSH, "the lake keeps it: it is written again, nothing is embedded", commands)


def _stopped(registry: Registry, deployments: Sequence[Deployment]) -> str:
    """Gates that failed when they were last asked: the promotion asks them again."""
    failed = {
        verdict.check
        for one in deployments
        for verdict in registry.verdicts(one.id)
        if verdict.status == VerdictStatus.FAILED
    }
    return f", and failed {', '.join(sorted(failed))}: its gates are asked again" if failed else ""


def _lost(version: Version, lake: Lake | None) -> str | None:
    """Why the lake cannot give a version back; None when it can."""
    if lake is None:
        return "the lake cannot be opened"
    try:
        require_kept(lake, version)
    except VectorPipelineError as error:
        return error.what
    return None


def index_state(registry: Registry, deployment: Deployment, target: Target) -> IndexState:
    """Whether something else wrote to a deployment's namespace since our last write. Reads one mark."""
    place = deployment.environment, deployment.target, deployment.namespace
    recorded = registry.namespace_record(*place)
    state = target.describe(deployment.namespace)
    if state is None:
        return IndexState(Touch.GONE, why="the namespace does not exist")
    if recorded is None:
        return IndexState(Touch.UNKNOWN, mark=state.mark, why="no write of ours was recorded")
    touch, why = Touch.TOUCHED, ""
    if not target.capabilities.sees_foreign_writes and recorded.mark == state.mark:
        touch, why = Touch.UNKNOWN, "its mark does not see everybody's writes: look at the level ids"
    elif recorded.mark == state.mark:
        touch = Touch.UNTOUCHED
    elif explained(registry, *place, state.mark):
        touch, why = Touch.UNFINISHED, "a write of ours is under way, or did not end"
    return IndexState(touch, recorded.updated_at, recorded.mark, state.mark, why)
