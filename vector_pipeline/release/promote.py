"""Move an alias: promote and roll back are one compare-and-swap, and write nothing to the target.

Laws
----
1. An alias moves only to a deployment that was pushed whole and whose required checks passed for exactly its digest. A check that
   is missing or unknown counts as not passed.
2. The move names what it expects; whoever was faster wins, and the loser is told where the alias points now.
3. Rolling back is the same move, to a deployment that the alias pointed to before; its checks are those it had then.
"""

from collections.abc import Iterable

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.release.registry import Alias, Deployment, DeploymentStatus, Registry

PRODUCTION = "production"
STAGING = "staging"


def promote(
    registry: Registry,
    deployment: Deployment,
    *,
    required: Iterable[str],
    by: str,
    reason: str = "",
    run_id: str | None = None,
    alias: str = PRODUCTION,
) -> tuple[Alias, bool]:
    """Move ``production`` to a verified deployment; returns the alias, and whether it moved."""
    require_verified(registry, deployment, required)
    now = registry.alias(deployment.dataset, deployment.environment, alias)
    if now is not None and now.deployment.id == deployment.id:
        return now, False
    moved = registry.move_alias(
        deployment.dataset, deployment.environment, alias, to=deployment.id,
        expected=now.deployment.id if now is not None else None, by=by, reason=reason, run_id=run_id, kind="promote",
    )  # fmt: skip
    return moved, True


def require_verified(registry: Registry, deployment: Deployment, required: Iterable[str]) -> None:
    """Law 1, or ``RefusedError`` that names the checks that are missing."""
    name = f"version {deployment.version} of {deployment.dataset}"
    if deployment.status != DeploymentStatus.PUSHED or deployment.digest is None:
        raise RefusedError(
            f"{name} is not pushed whole to {deployment.target} (state: {deployment.status})",
            fix=f"Push it again: vector-pipeline push {deployment.dataset}",
        )
    missing = registry.verified(deployment.id, deployment.digest, list(required))
    if missing:
        raise RefusedError(
            f"{name} has not passed: {', '.join(missing)}",
            fix=f"Look at the gates: vector-pipeline verify {deployment.dataset} --version {deployment.version}",
        )


def point_staging(registry: Registry, deployment: Deployment, *, by: str, run_id: str | None = None) -> Alias:
    """Move ``staging`` to what was just pushed. Staging serves nobody: the last push wins."""
    now = registry.alias(deployment.dataset, deployment.environment, STAGING)
    if now is not None and now.deployment.id == deployment.id:
        return now
    return registry.move_alias(
        deployment.dataset, deployment.environment, STAGING, to=deployment.id,
        expected=now.deployment.id if now is not None else None, by=by, reason="pushed", run_id=run_id, kind="push",
    )  # fmt: skip


def rollback_target(registry: Registry, dataset: str, environment: str, to: int | None) -> tuple[Alias, Deployment]:
    """Where production points, and the deployment to go back to: version ``to``, or the one before the last move."""
    now = registry.alias(dataset, environment, PRODUCTION)
    if now is None:
        raise NotFoundError(
            f"{dataset} has no production alias", fix=f"Promote first: vector-pipeline promote {dataset}"
        )
    moves = registry.alias_moves(dataset, environment, PRODUCTION, limit=1000)
    served: list[int] = []
    for move in moves:
        for deployment_id in (move.to_deployment, move.from_deployment):
            if deployment_id is not None and deployment_id not in served:
                served.append(deployment_id)
    candidates = [registry.deployment(identifier) for identifier in served if identifier != now.deployment.id]
    candidates = [one for one in candidates if one.status == DeploymentStatus.PUSHED]
    if to is None:
        # The newest one that is older than what is served: rolling back twice goes back twice, never forth.
        candidates = [one for one in candidates if one.version < now.deployment.version]
        candidates.sort(key=lambda one: one.version, reverse=True)
    else:
        if now.deployment.version == to:
            return now, now.deployment
        candidates = [one for one in candidates if one.version == to]
    if not candidates:
        wanted = "no earlier version" if to is None else f"no version {to}"
        raise NotFoundError(
            f"{wanted} of {dataset} was ever in production here", fix=f"See: vector-pipeline history {dataset}"
        )
    return now, candidates[0]


def rollback(
    registry: Registry,
    dataset: str,
    environment: str,
    *,
    to: int | None,
    by: str,
    reason: str = "",
    run_id: str | None = None,
) -> tuple[Alias, bool]:
    """Move ``production`` back; returns the alias, and whether it moved. Nothing is written to the target."""
    now, deployment = rollback_target(registry, dataset, environment, to)
    if deployment.id == now.deployment.id:
        return now, False
    moved = registry.move_alias(
        dataset, environment, PRODUCTION, to=deployment.id, expected=now.deployment.id, by=by, reason=reason,
        run_id=run_id, kind="rollback",
    )  # fmt: skip
    return moved, True
