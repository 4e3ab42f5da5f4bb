"""What is kept, and why; and which versions expire. Reads the registry, and marks versions in it: no target, no lake.

Laws
----
1. Reachable is: what an alias or a route names, what one left less than the readers' grace ago, where a plain rollback of
   production goes, what is pinned, the newest ``keep_versions`` of each space, and what is being pushed. Only what is not reachable
   expires or is collected.
2. A deployment is kept for its version's sake while it is whole, or can still be finished: one that never was, and that a later
   version of its line has superseded, is kept by nothing but an alias.
   What was killed while it was pushed is not being pushed: it is kept as long as its version is, to be finished.
3. On a target that is no place of the dataset any more (it was removed), nothing is kept but what an alias names, or has just left.
4. Expiry says that a version may go. It deletes nothing, in the lake or in a target, and is never taken back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.release.holding import holder_name
from vector_pipeline.release.mirrors import goes_back_apart, version_to_return
from vector_pipeline.release.promote import PRODUCTION, rollback_target
from vector_pipeline.release.registry import Alias, Deployment, DeploymentStatus, Registry, Version

_UNFINISHED = frozenset({DeploymentStatus.PUSHING, DeploymentStatus.FAILED})


@dataclass(frozen=True, slots=True)
class Kept:
    """What is reachable of a dataset."""

    dataset: str
    environment: str | None
    """None: in every environment that shares the registry."""
    deployments: frozenset[int]
    """Ids of the deployments that must stay readable, or may still be finished."""
    versions: frozenset[int]
    """Numbers of the versions that are kept, deployed or not."""
    why: dict[int, list[str]]
    """The reasons, by version number."""


def kept(registry: Registry, dataset: str, environment: str | None, *, keep_versions: int, grace_s: float) -> Kept:
    """What is reachable (law 1) in an environment; None for all that share the registry. ``grace_s``: of readers, seconds."""
    why: dict[int, list[str]] = {}
    held: set[int] = set()

    def keep(version: int, reason: str) -> None:
        reasons = why.setdefault(version, [])
        if reason not in reasons:
            reasons.append(reason)

    # In this order: what an alias leaves between the two looks is seen by one of them.
    aliases = registry.aliases(dataset, environment)
    for alias in aliases:
        held.add(alias.deployment.id)
        keep(alias.deployment.version, f"{alias.name} of {alias.environment} points at it")
    left = registry.recently_left(dataset, environment, grace_s)
    deployments = registry.deployments(dataset, environment)
    superseded = superseded_deployments(deployments)
    removed = {(one.environment, one.target) for one in registry.withdrawals(dataset, environment) if one.removed}
    for route in registry.routes(dataset, environment, grace_s=grace_s):
        share = f"{route.share:.0%}" if route.share >= 0.01 else f"{route.share:.2%}"
        state = "are" if route.ended_at is None else "were a moment ago"
        keep(route.version, f"{share} of the readers in {route.environment} {state} routed to it")
    for one in deployments:
        if one.id in left and one.status != DeploymentStatus.RETIRED:
            held.add(one.id)
            keep(one.version, f"an alias of {one.environment} left it less than {grace_s:g} s ago")
        elif one.status == DeploymentStatus.PUSHING and one.id not in superseded and _is_written(registry, one):
            held.add(one.id)
            keep(one.version, f"it is being pushed to {one.target} in {one.environment}")
    for alias in aliases:
        if alias.name != PRODUCTION:
            continue
        reason = f"a rollback of {alias.name} in {alias.environment} goes back to it"
        if goes_back_apart(registry, dataset, alias.environment):
            # To each place's own deployment of it: those are kept with their version, below.
            number = _version_back(registry, alias)
            if number is not None:
                keep(number, reason)
            continue
        back = _way_back(registry, alias)
        if back is not None:
            keep(back.version, reason)
            # What was written over in place is written back from the lake: its line holds another version.
            if back.status == DeploymentStatus.PUSHED:
                held.add(back.id)
    for version, reason in _for_themselves(registry.versions(dataset), keep_versions):
        keep(version.number, reason)
    for one in deployments:
        whole = one.status == DeploymentStatus.PUSHED or (one.status in _UNFINISHED and one.id not in superseded)
        if whole and one.version in why and (one.environment, one.target) not in removed:
            held.add(one.id)
    return Kept(dataset, environment, frozenset(held), frozenset(why), why)


def version_back(registry: Registry, production: Alias) -> int | None:
    """Number of the version that a plain rollback goes back to now; None where it goes nowhere."""
    if goes_back_apart(registry, production.dataset, production.environment):
        return _version_back(registry, production)
    back = _way_back(registry, production)
    return back.version if back is not None else None


def _way_back(registry: Registry, production: Alias) -> Deployment | None:
    try:
        return rollback_target(registry, production.dataset, production.environment, None)[1]
    except (NotFoundError, RefusedError):
        return None


def _version_back(registry: Registry, production: Alias) -> int | None:
    try:
        return version_to_return(registry, production.dataset, production.environment, None)[1]
    except (NotFoundError, RefusedError):
        return None


def _is_written(registry: Registry, one: Deployment) -> bool:
    """Whether somebody is at it: nobody who was killed is, nor whoever asks and holds the line to collect it."""
    lease = registry.lease(f"{one.target}/{one.namespace}")
    return lease is not None and lease.holder != holder_name()


def superseded_deployments(deployments: Iterable[Deployment]) -> set[int]:
    """Those that never got whole and never will: a later version was pushed whole into the same line after them."""
    ones = list(deployments)
    newest: dict[tuple[str, str, str], int] = {}
    for one in ones:
        if one.status == DeploymentStatus.PUSHED:
            newest[_line(one)] = max(newest.get(_line(one), 0), one.version)
    return {one.id for one in ones if one.status in _UNFINISHED and one.version < newest.get(_line(one), 0)}


def _line(one: Deployment) -> tuple[str, str, str]:
    return one.environment, one.target, one.namespace


def _for_themselves(versions: list[Version], keep_versions: int) -> list[tuple[Version, str]]:
    """Versions that are kept wherever they are deployed, with the reason; those that have expired are not."""
    found = []
    counted: dict[str, int] = {}
    for version in reversed(versions):
        if version.expired_at is not None:
            continue
        counted[version.space] = counted.get(version.space, 0) + 1
        if counted[version.space] <= keep_versions:
            found.append((version, f"one of the newest {keep_versions} of space {version.space}"))
        if version.pinned:
            found.append((version, "pinned"))
    return found


@dataclass(frozen=True, slots=True)
class Expiry:
    """Which versions of a dataset expired (or would), and why the others did not."""

    dataset: str
    dry_run: bool
    expired: tuple[int, ...]
    kept: dict[int, list[str]]
    """Reasons by version number."""

    def to_json(self) -> dict[str, Any]:
        kept = {str(number): reasons for number, reasons in sorted(self.kept.items())}
        return {"dataset": self.dataset, "dry_run": self.dry_run, "expired": list(self.expired), "kept": kept}


def expire_versions(
    registry: Registry, dataset: str, *, keep_versions: int, grace_s: float, dry_run: bool = False
) -> Expiry:
    """Expire what nothing reaches, in any environment that shares the registry. Older ones first; all or none.

    ``RefusedError`` when one was served or pinned between the look and the deed: nothing was expired.
    """
    reachable = kept(registry, dataset, None, keep_versions=keep_versions, grace_s=grace_s)
    doomed = [
        version.number
        for version in registry.versions(dataset)
        if version.expired_at is None and version.number not in reachable.versions
    ]
    if doomed and not dry_run:
        try:
            registry.mark_expired(dataset, doomed)
        except RefusedError as error:
            raise RefusedError(
                f"nothing of {dataset} was expired: {error.what}", fix="it changed just now: run it again"
            ) from None
    return Expiry(dataset, dry_run, tuple(doomed), reachable.why)
