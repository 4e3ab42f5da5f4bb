"""Retiring deployments: the step before anything of them is deleted.

Laws
----
1. All or none: a set that holds one deployment that somebody still needs is refused whole.
2. Needed is what an alias points at or readers are routed to, and what one left so recently that a reader may not have looked
   since.
3. Retiring and moving an alias cannot cross. Both lock the deployment's row first and look afterwards: whoever comes second sees
   what the first one did, and is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.release.registry.deployments import DeploymentStatus, unknown_deployment
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.routes import refuse_routed
from vector_pipeline.release.registry.schema import alias_moves, aliases, deployments

_CHUNK = 500
"""Ids in one IN list: below every limit on parameters."""
_LONGEST = 10**9


class Retiring(Part):
    """Which deployments nobody needs, and the one way out for them."""

    def retire_deployments(self, ids: Iterable[int], *, grace_s: float) -> list[int]:
        """Retire deployments, all or none, in one transaction; returns those that were not retired before.

        ``grace_s``: how long readers may still read what their alias left. ``RefusedError`` names the first that an alias points
        at, or left within that time; ``NotFoundError`` for an unknown one.
        """
        wanted = sorted(set(ids))
        grace = _grace(grace_s)

        def work(connection: Connection) -> list[int]:
            fresh: list[int] = []
            for start in range(0, len(wanted), _CHUNK):
                fresh += _locked(connection, wanted[start : start + _CHUNK])
            since = alias_moves.c.at > self._db.now(connection) - grace
            for start in range(0, len(fresh), _CHUNK):
                some = fresh[start : start + _CHUNK]
                # In this order: a move that commits between the two looks is seen by one of them.
                _refuse_served(connection, some)
                _refuse_left(connection, some, since)
                refuse_routed(connection, some, self._db.now(connection) - grace)
                state = {"status": DeploymentStatus.RETIRED, "updated_at": self._db.now(connection)}
                connection.execute(update(deployments).where(deployments.c.id.in_(some)).values(state))
            return fresh

        return self._db.write(work) if wanted else []

    def recently_left(self, dataset: str, environment: str | None, grace_s: float) -> set[int]:
        """Ids of the deployments that an alias left within the last ``grace_s`` seconds: readers may still read them."""
        grace = _grace(grace_s)
        query = select(alias_moves.c.from_deployment).distinct()
        query = query.where(alias_moves.c.dataset == dataset, alias_moves.c.from_deployment.is_not(None))
        if environment is not None:
            query = query.where(alias_moves.c.environment == environment)

        def work(connection: Connection) -> set[int]:
            since = self._db.now(connection) - grace
            return set(connection.execute(query.where(alias_moves.c.at > since)).scalars())

        return self._db.read(work)


def _grace(seconds: float) -> timedelta:
    # Asked this way round, what is not a number is refused.
    if not 0 <= seconds <= _LONGEST:
        raise InputError(f"a grace cannot be {seconds} seconds")
    return timedelta(seconds=seconds)


def _locked(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those of the ids that are not retired. Locked in one order, against moves (which take a shared lock) and pushes."""
    query = select(deployments.c.id, deployments.c.status).where(deployments.c.id.in_(ids)).order_by(deployments.c.id)
    rows = connection.execute(query.with_for_update(key_share=True)).all()
    if missing := set(ids) - {row.id for row in rows}:
        raise unknown_deployment(min(missing))
    return [row.id for row in rows if row.status != DeploymentStatus.RETIRED]


def _refuse_served(connection: Connection, ids: Sequence[int]) -> None:
    query = select(aliases.c.name, aliases.c.environment, deployments.c.id, deployments.c.version, aliases.c.dataset)
    query = query.join(deployments, deployments.c.id == aliases.c.deployment_id).where(deployments.c.id.in_(ids))
    if (held := connection.execute(query.limit(1)).one_or_none()) is not None:
        raise RefusedError(f"alias {held.name} points at {_named(held._mapping)}", fix="move the alias first")


def _refuse_left(connection: Connection, ids: Sequence[int], since: ColumnElement[bool]) -> None:
    query = select(alias_moves.c.name, alias_moves.c.environment, deployments.c.id, deployments.c.version)
    query = query.add_columns(alias_moves.c.dataset, alias_moves.c.at)
    query = query.join(deployments, deployments.c.id == alias_moves.c.from_deployment)
    if (held := connection.execute(query.where(deployments.c.id.in_(ids), since).limit(1)).one_or_none()) is not None:
        when = held.at.isoformat(timespec="seconds")
        raise RefusedError(
            f"alias {held.name} left {_named(held._mapping)} at {when}, and a reader may still read it",
            fix="wait until the readers' grace is over, then repeat",
        )


def _named(row: Mapping[Any, Any]) -> str:
    return f"deployment {row['id']} (v{row['version']} of {row['dataset']} in {row['environment']})"
