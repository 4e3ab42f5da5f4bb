"""Aliases: names (``staging``, ``production``) that point at one deployment, moved by compare-and-swap only.

Laws
----
1. A move names what it expects the alias to point at (None: that there is no alias). Of many that expect the same, one
   wins; the others get ``ConflictError`` and nothing of them is written.
2. Every move adds one to the generation and one line to the history, in the same transaction. Both are never taken
   back: a rollback is a move.
3. A move to where the alias already is, with that expected, writes nothing.
4. Only a deployment that is ``pushed``, of the alias's dataset and environment, can be pointed at; never one whose version has
   expired. Moving and expiring cannot cross: both lock the version's row first and look afterwards.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, Select, insert, select, update

from vector_pipeline.errors import ConflictError, InputError, RefusedError
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry.deployments import Deployment, DeploymentStatus, unknown_deployment
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import alias_moves, deployments, versions
from vector_pipeline.release.registry.schema import aliases as table

MoveKind = Literal["promote", "rollback", "push", "self-check"]
"""``self-check``: an automatic rollback, because what the alias had just been moved to failed its checks."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Where a name points."""

    dataset: str
    environment: str
    name: str
    deployment: Deployment
    generation: int
    """1 for the first move, one more with every move: readers compare it to see a cutover."""
    moved_at: datetime
    moved_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One line of an alias's history."""

    id: int
    dataset: str
    environment: str
    name: str
    generation: int
    kind: MoveKind
    from_deployment: int | None
    """None for the first move."""
    to_deployment: int
    from_version: int | None
    to_version: int
    at: datetime
    by: str
    reason: str
    run_id: str | None


class Aliases(Part):
    """The registry's aliases and their history."""

    def alias(self, dataset: str, environment: str, name: str) -> Alias | None:
        """Where an alias points, in one query: cheap enough to poll. None when it was never moved."""
        query = _joined().where(table.c.dataset == dataset, table.c.environment == environment, table.c.name == name)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _alias(row)

    def aliases(self, dataset: str, environment: str | None = None) -> list[Alias]:
        """Every alias of a dataset, by environment and name."""
        query = _joined().where(table.c.dataset == dataset)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        found = [_alias(row) for row in self._db.read(lambda connection: connection.execute(query).all())]
        return sorted(found, key=lambda alias: (alias.environment, alias.name))

    def move_alias(
        self,
        dataset: str,
        environment: str,
        name: str,
        *,
        to: int,
        expected: int | None,
        by: str,
        reason: str,
        run_id: str | None = None,
        kind: MoveKind = "promote",
    ) -> Alias:
        """Point an alias at deployment ``to``, if it points at deployment ``expected`` now.

        ``ConflictError`` says where it points instead; ``RefusedError`` when ``to`` is not pushed or belongs elsewhere.
        """
        if kind not in get_args(MoveKind):
            raise InputError(f"an alias cannot be moved by {kind!r}", fix=f"one of {', '.join(get_args(MoveKind))}")
        place = {"dataset": dataset, "environment": environment, "name": name}

        def work(connection: Connection) -> Alias:
            self._db.serialise(connection, f"alias:{dataset}:{environment}:{name}")
            query = _joined().where(
                table.c.dataset == dataset, table.c.environment == environment, table.c.name == name
            )
            row = connection.execute(query).one_or_none()
            now = None if row is None else _alias(row)
            if expected != (now.deployment.id if now else None):
                raise _lost(place, now, expected)
            if now is not None and now.deployment.id == to:
                return now
            goal = _may_be_served(connection, to, dataset, environment)
            generation = now.generation + 1 if now else 1
            at = self._db.now(connection)
            state = {
                "deployment_id": to, "generation": generation, "moved_at": at, "moved_by": by, "reason": reason
            }  # fmt: skip
            connection.execute(
                update(table).filter_by(**place).values(state) if now else insert(table).values(**place, **state)
            )
            connection.execute(
                insert(alias_moves).values(
                    **place,
                    generation=generation,
                    kind=kind,
                    from_deployment=expected,
                    to_deployment=to,
                    from_version=now.deployment.version if now else None,
                    to_version=goal.version,
                    at=at,
                    by=by,
                    reason=reason,
                    run_id=run_id,
                )
            )
            return _alias(connection.execute(query).one())

        return self._db.write(work)

    def alias_moves(
        self, dataset: str, environment: str | None = None, name: str | None = None, limit: int = 50
    ) -> list[AliasMove]:
        """History of a dataset's aliases, newest first."""
        query = select(alias_moves).where(alias_moves.c.dataset == dataset)
        if environment is not None:
            query = query.where(alias_moves.c.environment == environment)
        if name is not None:
            query = query.where(alias_moves.c.name == name)
        query = query.order_by(alias_moves.c.id.desc()).limit(limit)
        return [AliasMove(**row._mapping) for row in self._db.read(lambda connection: connection.execute(query).all())]


_DEPLOYMENT_FIELDS = [field.name for field in fields(Deployment)]


def _joined() -> Select[Any]:
    labelled = [deployments.c[field].label(f"deployment_{field}") for field in _DEPLOYMENT_FIELDS]
    own = [column for column in table.c if column.name != "deployment_id"]
    return select(*own, *labelled).join(deployments, deployments.c.id == table.c.deployment_id)


def _alias(row: Row[Any]) -> Alias:
    values = row._mapping
    inner = {field: values[f"deployment_{field}"] for field in _DEPLOYMENT_FIELDS}
    inner["status"], inner["strategy"] = DeploymentStatus(inner["status"]), Strategy(inner["strategy"])
    own = {column.name: values[column.name] for column in table.c if column.name != "deployment_id"}
    return Alias(**own, deployment=Deployment(**inner))


def _lost(place: dict[str, str], now: Alias | None, expected: int | None) -> ConflictError:
    alias = f"alias {place['name']} of {place['dataset']} in {place['environment']}"
    points = (
        f"points at deployment {now.deployment.id} (v{now.deployment.version}, moved by {now.moved_by})"
        if now
        else "does not exist"
    )
    wanted = "to be absent" if expected is None else f"at deployment {expected}"
    return ConflictError(f"{alias} {points} and was expected {wanted}", fix="look at it again, then repeat the command")


def _may_be_served(connection: Connection, to: int, dataset: str, environment: str) -> Row[Any]:
    # Locked against a push that begins, or a clean-up that retires it, before this move commits.
    goal = connection.execute(
        select(deployments).where(deployments.c.id == to).with_for_update(read=True)
    ).one_or_none()
    if goal is None:
        raise unknown_deployment(to)
    if (goal.dataset, goal.environment) != (dataset, environment):
        raise RefusedError(
            f"deployment {to} belongs to {goal.dataset} in {goal.environment}, not to {dataset} in {environment}"
        )
    if goal.status != DeploymentStatus.PUSHED:
        raise RefusedError(
            f"deployment {to} (v{goal.version} of {dataset}) is {goal.status}, not pushed",
            fix="push it, then move the alias",
        )
    expired = connection.execute(
        select(versions.c.expired_at)
        .where(versions.c.dataset == dataset, versions.c.number == goal.version)
        .with_for_update(read=True)
    ).scalar()
    if expired is not None:
        raise RefusedError(
            f"v{goal.version} of {dataset} expired on {expired:%Y-%m-%d}: it cannot be served again",
            fix=f"see: vector-pipeline versions {dataset}",
        )
    return goal
