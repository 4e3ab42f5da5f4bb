"""Moving aliases: by compare-and-swap only, one or several in one transaction.

Laws
----
1. A move names what it expects the alias to point at (None: that there is no alias). Of many that expect the same, one
   wins; the others get ``ConflictError`` and nothing of them is written.
2. Every move adds one to the generation and one line to the history, in the same transaction. Both are never taken
   back: a rollback is a move, and so is giving a name up. A name that comes back goes on counting.
3. A move to where the alias already is, with that expected, writes nothing.
4. Only a deployment that is ``pushed``, of the alias's dataset and environment, can be pointed at; never one whose version has
   expired. Moving and expiring cannot cross: both lock the version's row first and look afterwards.
5. What a move overrides is recorded with it, in the same transaction: see ``overrides``.
6. Several moves are made together or not at all: the error names the one that could not be made.
7. A move of production ends the route that is in force, in the same transaction; readers that listen are told when it commits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from vector_pipeline.errors import ConflictError, InputError, RefusedError
from vector_pipeline.release.registry import overrides as overriding
from vector_pipeline.release.registry import routes, withdrawals
from vector_pipeline.release.registry.aliases import Alias, Aliases, MoveKind, joined, to_alias
from vector_pipeline.release.registry.deployments import DeploymentStatus, unknown_deployment
from vector_pipeline.release.registry.overrides import NewOverride
from vector_pipeline.release.registry.schema import alias_moves, deployments, versions
from vector_pipeline.release.registry.schema import aliases as table


@dataclass(frozen=True, slots=True)
class Move:
    """One of several moves."""

    name: str
    to: int | None
    """Deployment; None: the name is given up."""
    expected: int | None
    """Deployment that it points at now; None: that there is no such alias."""


class Moving(Aliases):
    """How the registry's aliases move."""

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
        overrides: Iterable[NewOverride] = (),
    ) -> Alias:
        """Point an alias at deployment ``to``, if it points at deployment ``expected`` now.

        ``ConflictError`` says where it points instead; ``RefusedError`` when ``to`` is not pushed or belongs elsewhere.
        """
        (moved,) = self.move_aliases(
            dataset, environment, [Move(name, to, expected)], by=by, reason=reason, run_id=run_id, kind=kind,
            overrides=overrides,
        )  # fmt: skip
        return moved

    def move_aliases(
        self,
        dataset: str,
        environment: str,
        moves: Iterable[Move],
        *,
        by: str,
        reason: str,
        run_id: str | None = None,
        kind: MoveKind = "promote",
        withdraw: Iterable[str] = (),
        remove: Iterable[str] = (),
        overrides: Iterable[NewOverride] = (),
    ) -> list[Alias]:
        """Make all moves, or none (law 6); returns the aliases that there are afterwards, in the order of ``moves``.

        ``withdraw``: targets that are out of service from here on; ``remove``: those that are no places any more.
        ``overrides``: gates that the goals are let past; those of what does not move are left out. ``InputError`` without a reason.
        """
        if kind not in get_args(MoveKind):
            raise InputError(f"an alias cannot be moved by {kind!r}", fix=f"one of {', '.join(get_args(MoveKind))}")
        wanted = list(moves)
        if len({one.name for one in wanted}) < len(wanted):
            raise InputError("an alias cannot be moved twice at once")
        passed = list(overrides)
        overriding.require_reason(passed, reason)
        said = {"by": by, "reason": reason, "run_id": run_id}

        def work(connection: Connection) -> list[Alias]:
            place = _Place(connection, dataset, environment)
            # In one order, as everybody does who takes several.
            for name in sorted(one.name for one in wanted):
                self._db.serialise(connection, f"alias:{dataset}:{environment}:{name}")
            now = {one.name: place.alias(one.name) for one in wanted}
            for one in wanted:
                held = now[one.name]
                if one.expected != (held.deployment.id if held else None):
                    raise _lost(place, one, held)
            changing = [one for one in wanted if one.to != one.expected]
            goals = {
                identifier: _may_be_served(connection, identifier, dataset, environment)
                for identifier in sorted({one.to for one in changing if one.to is not None})
            }
            at = self._db.now(connection)
            for removed, targets in ((False, withdraw), (True, remove)):
                for target in sorted(targets):
                    withdrawals.begin(
                        connection, dataset, environment, target, removed=removed, said={**said, "at": at}
                    )
            withdrawals.serve(connection, dataset, environment, [one.target for one in goals.values()], by=by, at=at)
            lines: dict[int, int] = {}
            for one in changing:
                line = place.write(one, now[one.name], goals.get(one.to or 0), kind, {**said, "at": at})
                if one.to is not None:
                    lines[one.to] = line
            overriding.record(connection, passed, lines, {**said, "at": at}, place.names)
            if any(one.name == routes.ROUTED_ALIAS for one in changing):
                routes.end(connection, dataset, environment, by=by, at=at)
            if changing:
                self._db.notify(connection, dataset, environment)
            after = (place.alias(one.name) for one in wanted if one.to is not None)
            return [one for one in after if one is not None]

        return self._db.write(work)


@dataclass(frozen=True, slots=True)
class _Place:
    """A dataset in an environment, within a transaction."""

    connection: Connection
    dataset: str
    environment: str

    @property
    def names(self) -> dict[str, str]:
        return {"dataset": self.dataset, "environment": self.environment}

    def alias(self, name: str) -> Alias | None:
        query = joined().where(
            table.c.dataset == self.dataset, table.c.environment == self.environment, table.c.name == name
        )
        row = self.connection.execute(query).one_or_none()
        return None if row is None else to_alias(row)

    def write(self, one: Move, now: Alias | None, goal: Row[Any] | None, kind: MoveKind, said: dict[str, Any]) -> int:
        """The alias's row and its line of history; returns the latter's id."""
        key = {"dataset": self.dataset, "environment": self.environment, "name": one.name}
        generation = now.generation + 1 if now else self._last(key) + 1
        version = now.deployment.version if now else None
        history = {
            **key, **said, "generation": generation, "from_deployment": one.expected, "from_version": version
        }  # fmt: skip
        if goal is None:
            self.connection.execute(delete(table).filter_by(**key))
            history |= {"kind": "retire", "to_deployment": one.expected, "to_version": version}
        else:
            state = {
                "deployment_id": goal.id, "generation": generation, "moved_at": said["at"], "moved_by": said["by"],
                "reason": said["reason"],
            }  # fmt: skip
            self.connection.execute(
                update(table).filter_by(**key).values(state) if now else insert(table).values(**key, **state)
            )
            history |= {"kind": kind, "to_deployment": goal.id, "to_version": goal.version}
        made = insert(alias_moves).values(**history).returning(alias_moves.c.id)
        return int(self.connection.execute(made).scalar_one())

    def _last(self, key: dict[str, str]) -> int:
        """Generation that a name had when it was given up; 0 for one that never was."""
        return self.connection.execute(select(func.max(alias_moves.c.generation)).filter_by(**key)).scalar() or 0


def _lost(place: _Place, move: Move, now: Alias | None) -> ConflictError:
    alias = f"alias {move.name} of {place.dataset} in {place.environment}"
    points = (
        f"points at deployment {now.deployment.id} (v{now.deployment.version}, moved by {now.moved_by})"
        if now
        else "does not exist"
    )
    wanted = "to be absent" if move.expected is None else f"at deployment {move.expected}"
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
