"""Move an alias: promote and roll back are one compare-and-swap, and write nothing to the target.

Laws
----
1. An alias moves only to a deployment that was pushed whole and whose required checks passed for exactly its digest, those of the
   index for exactly the state (mark) that it is in now. A check that is missing or unknown counts as not passed. A person may let
   it past a check, with a reason: never past what it is (not whole, not there).
2. The move names what it expects; whoever was faster wins, and the loser is told where the alias points now.
3. Rolling back is the same move, to a deployment that the alias pointed to before; its checks are those it had then. Never to a
   version that has expired.
4. Moves are a stack: promoting puts a deployment on it, rolling back takes off what lies above its goal. What was rolled back
   from is thought bad: it is gone back to by its number only. Nobody goes further back than one step without naming the version.
5. In place, a write that did not end is ended first: going back goes on; a promotion is undone, what the alias names is written
   back. The same command is all that takes.
"""

from collections.abc import Collection, Iterable, Sequence

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.release.nowhere import nothing_below
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry import (
    Alias,
    AliasMove,
    Deployment,
    DeploymentStatus,
    MoveKind,
    NewOverride,
    Registry,
)

PRODUCTION = "production"
STAGING = "staging"
BACK = ("rollback", "self-check")
"""Kinds of moves that go back."""
_GONE = (DeploymentStatus.REPLACED, DeploymentStatus.RETIRED)
ALL_MOVES = 1_000_000
"""Lines of history that are asked for where all are needed."""
STAGING_ATTEMPTS = 10
"""Pushes of several spaces or processes may end together: the last one wins, the others are not errors."""


def promote(
    registry: Registry,
    deployment: Deployment,
    *,
    required: Iterable[str],
    observed: Iterable[str] = (),
    mark: str | None = None,
    by: str,
    reason: str = "",
    run_id: str | None = None,
    alias: str = PRODUCTION,
    overrides: Sequence[NewOverride] = (),
) -> tuple[Alias, bool]:
    """Move ``production`` to a verified deployment; returns the alias, and whether it moved.

    ``required``: checks that must have passed; ``observed``: those that must have for the target's present ``mark`` too.
    ``overrides``: those that it is let past, recorded with the move.
    """
    past = [one.check for one in overrides]
    require_verified(registry, deployment, required, observed, mark, past=past)
    now = registry.alias(deployment.dataset, deployment.environment, alias)
    if now is not None and now.deployment.id == deployment.id:
        return now, False
    moved = registry.move_alias(
        deployment.dataset, deployment.environment, alias, to=deployment.id,
        expected=now.deployment.id if now is not None else None, by=by, reason=reason, run_id=run_id, kind="promote",
        overrides=overrides,
    )  # fmt: skip
    return moved, True


def require_verified(
    registry: Registry,
    deployment: Deployment,
    required: Iterable[str],
    observed: Iterable[str] = (),
    mark: str | None = None,
    *,
    past: Collection[str] = (),
) -> None:
    """Law 1, or ``RefusedError`` that names the checks that are missing. ``mark`` None: there is no index. ``past``: checks that
    it is let past.
    """
    name = f"version {deployment.version} of {deployment.dataset}"
    if deployment.status != DeploymentStatus.PUSHED or deployment.digest is None:
        raise RefusedError(
            f"{name} is not pushed whole to {deployment.target} (state: {deployment.status})",
            fix=f"Push it again: vector-pipeline push {deployment.dataset}",
        )
    wanted = [one for one in required if one not in past]
    looks = list(observed)
    if looks and mark is None and past:
        raise RefusedError(
            f"{name} is not in {deployment.namespace} of {deployment.target}: there is nothing to serve",
            fix=f"Push it again: vector-pipeline push {deployment.dataset}",
        )
    observed = [one for one in looks if one not in past]
    command = f"vector-pipeline verify {deployment.dataset} --version {deployment.version}"
    missing = registry.verified(deployment.id, deployment.digest, [*wanted, *observed])
    if missing:
        raise RefusedError(f"{name} has not passed: {', '.join(missing)}", fix=f"Look at the gates: {command}")
    stale = registry.verified(deployment.id, deployment.digest, observed, mark=mark) if mark is not None else observed
    if stale:
        raise RefusedError(
            f"{name} was checked before the index changed: {', '.join(stale)}", fix=f"Verify it again: {command}"
        )


def point_staging(registry: Registry, deployment: Deployment, *, by: str, run_id: str | None = None) -> Alias:
    """Move ``staging`` to what was just pushed. Staging serves nobody: the last push wins."""

    def move() -> Alias:
        now = registry.alias(deployment.dataset, deployment.environment, STAGING)
        if now is not None and now.deployment.id == deployment.id:
            return now
        return registry.move_alias(
            deployment.dataset, deployment.environment, STAGING, to=deployment.id,
            expected=now.deployment.id if now is not None else None, by=by, reason="pushed", run_id=run_id, kind="push",
        )  # fmt: skip

    again = retry_if_exception_type(ConflictError)
    return Retrying(retry=again, stop=stop_after_attempt(STAGING_ATTEMPTS), reraise=True)(move)


def rollback_target(registry: Registry, dataset: str, environment: str, to: int | None) -> tuple[Alias, Deployment]:
    """Where production points, and the deployment to go back to: version ``to``, or the one before the last move."""
    now = registry.alias(dataset, environment, PRODUCTION)
    if now is None:
        raise NotFoundError(
            f"{dataset} has no production alias", fix=f"Promote first: vector-pipeline promote {dataset}"
        )
    if to == now.deployment.version:
        return now, now.deployment
    moves = registry.alias_moves(dataset, environment, PRODUCTION, limit=ALL_MOVES)
    below = [identifier for identifier in reversed(trail(moves)) if identifier != now.deployment.id]
    begun = _begun_in_place(registry, now, below) if to is None else None
    if begun is not None:
        return now, begun
    if to is not None:
        # Asked for by name: whatever was served once, even what was rolled back from.
        below = [
            identifier for move in moves for identifier in (move.to_deployment, move.from_deployment) if identifier
        ]
    gone = None
    for identifier in dict.fromkeys(below):
        found = registry.deployment(identifier)
        if to in (None, found.version):
            if _returns(found) and registry.version(dataset, found.version).expired_at is None:
                return now, found
            gone = gone or found
            if to is None:
                # Further back than was asked for goes only who names it.
                break
    if gone is not None:
        raise _cannot_return(registry, gone, named=to is not None)
    if to is not None:
        raise NotFoundError(
            f"no version {to} of {dataset} was ever in production here", fix=f"See: vector-pipeline history {dataset}"
        )
    raise nothing_below(dataset, now.deployment.version, moves)


def _begun_in_place(registry: Registry, now: Alias, below: Sequence[int]) -> Deployment | None:
    """Law 5: what a write over what production reads was for, when it did not end. None when there is no such write."""
    newest = _written_over(registry, now.deployment)
    return newest if newest is None or newest.id in below else now.deployment


def stands_at(registry: Registry, now: Alias, version: int) -> bool:
    """Whether readers of ``production`` get a version, be it that a write of it over what they read began and did not end."""
    newest = _written_over(registry, now.deployment)
    return (newest or now.deployment).version == version


def _written_over(registry: Registry, held: Deployment) -> Deployment | None:
    if held.strategy is not Strategy.IN_PLACE or held.status == DeploymentStatus.PUSHED:
        return None
    there = [
        one
        for one in registry.deployments(held.dataset, held.environment)
        if (one.target, one.namespace) == (held.target, held.namespace) and one.status not in _GONE
    ]
    return max(there, key=lambda one: (one.updated_at, one.id), default=held)


def _cannot_return(registry: Registry, gone: Deployment, *, named: bool) -> RefusedError:
    """Why production does not go back there, and what can be done. ``named``: it was asked for by its number."""
    name, dataset = f"version {gone.version} of {gone.dataset}", gone.dataset
    further = "" if named else f", or go further back: vector-pipeline rollback {dataset} --to VERSION"
    if registry.version(dataset, gone.version).expired_at is not None:
        return RefusedError(
            f"{name} has expired: it cannot be served again",
            fix=f"Go back to another one: vector-pipeline history {dataset}{further}",
        )
    if gone.status == DeploymentStatus.RETIRED:
        return RefusedError(
            f"{name} was collected from {gone.namespace} of {gone.target}",
            fix=f"Restore it, then promote it: vector-pipeline push {dataset} --version {gone.version}{further}",
        )
    return RefusedError(
        f"{name} is not whole in {gone.namespace} of {gone.target} (state: {gone.status})",
        fix=f"Push it again: vector-pipeline push {dataset} --version {gone.version}{further}",
    )


def left_behind(registry: Registry, alias: Alias) -> Deployment | None:
    """Where an alias stood before the move that brought it where it was seen; None when it stood nowhere that it can return to.

    ``ConflictError`` when it has moved on since.
    """
    now = registry.alias(alias.dataset, alias.environment, alias.name)
    if now is None or now.generation != alias.generation:
        raise ConflictError(
            f"{alias.name} of {alias.dataset} has moved on since it was checked", fix="Look at it again"
        )
    last = registry.alias_moves(alias.dataset, alias.environment, alias.name, limit=1)
    before = last[0].from_deployment if last else None
    if before is None:
        return None
    found = registry.deployment(before)
    return found if _returns(found) else None


def _returns(deployment: Deployment) -> bool:
    """Whether an alias that was there can go back: it is whole, or was written over in place, and is written back."""
    if deployment.strategy is Strategy.IN_PLACE:
        return deployment.status != DeploymentStatus.RETIRED
    return deployment.status == DeploymentStatus.PUSHED


def trail(moves: Sequence[AliasMove]) -> list[int]:
    """Law 4: the deployments that the alias stands on, the present one last. ``moves``: newest first."""
    trail: list[int] = []
    for move in reversed(moves):
        if not trail and move.from_deployment is not None:
            trail.append(move.from_deployment)
        if move.kind in BACK and move.to_deployment in trail:
            while trail[-1] != move.to_deployment:
                trail.pop()
        else:
            trail.append(move.to_deployment)
    return trail


def move_back(
    registry: Registry,
    now: Alias,
    deployment: Deployment,
    *,
    by: str,
    reason: str = "",
    run_id: str | None = None,
    kind: MoveKind = "rollback",
) -> tuple[Alias, bool]:
    """Move ``production`` from where it was seen to a deployment that it served; returns the alias, and whether it moved."""
    if deployment.id == now.deployment.id:
        return now, False
    moved = registry.move_alias(
        now.dataset, now.environment, now.name, to=deployment.id, expected=now.deployment.id, by=by, reason=reason,
        run_id=run_id, kind=kind,
    )  # fmt: skip
    return moved, True
