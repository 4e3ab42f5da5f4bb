"""Several places of one dataset: which alias belongs to which target, and how all of them move together. Reads the registry only.

Laws
----
1. Names tell the rank, deployments the target: of a rank there is one alias a target at most. The first goal takes the plain name,
   every other one the name with its target; what no goal wants is given up.
2. Moves are made from what stands and what shall stand: the same function for a promotion, a rollback, a push and their undoing.
3. Going back is by version: moves that changed only places are no step back. So is a step that was made when there were several
   places; one that was made with one place, before or after, goes back to the very deployment that it left.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.release.nowhere import nothing_below
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.promote import ALL_MOVES, BACK, PRODUCTION
from vector_pipeline.release.registry import (
    Alias,
    AliasMove,
    Deployment,
    DeploymentStatus,
    Move,
    Registry,
    mirror_name,
    plain_name,
)


def standing(registry: Registry, dataset: str, environment: str, name: str) -> list[Alias]:
    """The aliases of a rank (``production``), that with the plain name first."""
    found = [one for one in registry.aliases(dataset, environment) if plain_name(one.name) == name]
    return sorted(found, key=lambda one: (one.name != name, one.name))


def at(aliases: Iterable[Alias], target: str) -> Alias | None:
    """The one of a target."""
    return next((one for one in aliases if one.deployment.target == target), None)


def goes_back_apart(registry: Registry, dataset: str, environment: str, to: int | None = None) -> bool:
    """Whether production has several places, or had them when it made a step that going back (to version ``to``, else one step)
    undoes: such steps are taken back by version, each place to its own deployment.
    """
    mirrors: set[str] = set()
    steps: list[tuple[AliasMove, bool]] = []
    every = reversed(registry.alias_moves(dataset, environment, limit=ALL_MOVES))
    for _, made in groupby((one for one in every if plain_name(one.name) == PRODUCTION), lambda one: one.at):
        together, before = list(made), bool(mirrors)
        for one in together:
            if one.name != PRODUCTION:
                (mirrors.discard if one.kind == "retire" else mirrors.add)(one.name)
        steps += [(one, before or bool(mirrors)) for one in together if one.name == PRODUCTION]
    moves = [one for one, _ in reversed(steps)]
    undone = _trail(moves)[-1:] if to is None else [one for one in moves if to in (one.from_version, one.to_version)]
    return bool(mirrors) or any(apart for one, apart in steps if undone and one.id >= undone[0].id)


def arranged(name: str, now: Sequence[Alias], goals: Sequence[Deployment]) -> list[Move]:
    """The moves of a rank that bring it from where it stands to its goals, the first place's first (laws 1 and 2)."""
    held = {one.name: one.deployment.id for one in now}
    wanted = {mirror_name(name, goal.target) if rank else name: goal.id for rank, goal in enumerate(goals)}
    given_up = [Move(one, None, held[one]) for one in held if one not in wanted]
    return [*(Move(one, to, held.get(one)) for one, to in wanted.items()), *given_up]


def version_to_return(registry: Registry, dataset: str, environment: str, to: int | None) -> tuple[Alias, int]:
    """Production's plain alias, and the version to go back to: ``to``, or the one before the last that was promoted (law 3)."""
    now = registry.alias(dataset, environment, PRODUCTION)
    if now is None:
        raise NotFoundError(
            f"{dataset} has no production alias", fix=f"Promote first: vector-pipeline promote {dataset}"
        )
    moves = registry.alias_moves(dataset, environment, PRODUCTION, limit=ALL_MOVES)
    if to is None:
        below = [one.to_version for one in reversed(_trail(moves)) if one.to_version != now.deployment.version]
        if not below:
            raise nothing_below(dataset, now.deployment.version, moves)
        to = below[0]
    elif to not in {number for one in moves for number in (one.from_version, one.to_version)}:
        raise NotFoundError(
            f"no version {to} of {dataset} was ever in production here",
            fix=f"See: vector-pipeline history {dataset}",
        )
    if registry.version(dataset, to).expired_at is not None:
        raise RefusedError(
            f"version {to} of {dataset} has expired: it cannot be served again",
            fix=f"Go back to another one: vector-pipeline history {dataset}",
        )
    return now, to


def _trail(moves: Sequence[AliasMove]) -> list[AliasMove]:
    """The moves that brought the versions that production stands on, the present one's last. ``moves``: newest first."""
    trail: list[AliasMove] = []
    for move in reversed(moves):
        if move.kind in BACK and any(one.to_version == move.to_version for one in trail):
            while trail[-1].to_version != move.to_version:
                trail.pop()
        elif not trail or trail[-1].to_version != move.to_version:
            trail.append(move)
    return trail


def whole_on(registry: Registry, dataset: str, environment: str, target: str, version: int) -> list[Deployment]:
    """Whole deployments of a version in a target, those that production served before the others, then the newest first.

    One in place only where it was served: going back to it moves names and writes nothing.
    """
    served = {
        one
        for move in registry.alias_moves(dataset, environment, limit=ALL_MOVES)
        if plain_name(move.name) == PRODUCTION
        for one in (move.from_deployment, move.to_deployment)
    }
    found = [
        one
        for one in registry.deployments(dataset, environment)
        if (one.target, one.version, one.status) == (target, version, DeploymentStatus.PUSHED)
        and (one.strategy is not Strategy.IN_PLACE or one.id in served)
    ]
    return sorted(found, key=lambda one: (one.id in served, one.updated_at), reverse=True)


def was_served(registry: Registry, deployment: Deployment) -> bool:
    """Whether production ever pointed at it."""
    return any(
        plain_name(move.name) == PRODUCTION and deployment.id in (move.from_deployment, move.to_deployment)
        for move in registry.alias_moves(deployment.dataset, deployment.environment, limit=ALL_MOVES)
    )


def before_last_move(
    registry: Registry, seen: Alias, places: Collection[str], run_id: str | None = None
) -> list[Deployment] | None:
    """Where a rank stood before its last move, of one name or several, its first place first; of ``places`` only.

    None when a place cannot go back, nothing of it stood anywhere, or the last move was not this run's: it made none.
    ``ConflictError`` when it moved on since ``seen``.
    """
    rank, dataset, environment = plain_name(seen.name), seen.dataset, seen.environment
    now = standing(registry, dataset, environment, rank)
    if not now or now[0].name != seen.name or now[0].generation != seen.generation:
        raise ConflictError(f"{rank} of {dataset} has moved on since it was checked", fix="Look at it again")
    history = registry.alias_moves(dataset, environment, limit=ALL_MOVES)
    moves = [one for one in history if plain_name(one.name) == rank]
    if run_id is not None and moves[0].run_id != run_id:
        return None
    together = [one for one in moves if one.at == moves[0].at]
    before: dict[str, int | None] = {one.name: one.deployment.id for one in now}
    before |= {one.name: one.from_deployment for one in together}
    names = sorted(before, key=lambda name: (name != rank, name))
    stood = [registry.deployment(held) for name in names if (held := before[name]) is not None]
    goals = [one for one in stood if one.target in places]
    if not goals or any(one.status != DeploymentStatus.PUSHED for one in goals):
        return None
    return goals if any(one.to != one.expected for one in arranged(rank, now, goals)) else None
