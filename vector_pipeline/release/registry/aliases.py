"""Aliases: names (``staging``, ``production``) that point at one deployment. How they move: see ``moving``.

A dataset that is served from several targets has one name a target: ``production`` of the first, ``production@<target>`` of the
others. The name says the rank only: which target it is, the deployment says.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, select

from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry.deployments import Deployment, DeploymentStatus
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import alias_moves, deployments
from vector_pipeline.release.registry.schema import aliases as table

MoveKind = Literal["promote", "rollback", "push", "self-check", "retire"]
"""``self-check``: an automatic rollback, because what the alias had just been moved to failed its checks. ``retire``: the name is
given up; ``to`` is where it stood."""
_MIRROR = "@"


def mirror_name(name: str, target: str) -> str:
    """What a mirror's alias is called: ``production@pgvector``."""
    return f"{name}{_MIRROR}{target}"


def plain_name(name: str) -> str:
    """``production`` of ``production`` and of ``production@pgvector``."""
    return name.partition(_MIRROR)[0]


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
        query = joined().where(table.c.dataset == dataset, table.c.environment == environment, table.c.name == name)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else to_alias(row)

    def aliases(self, dataset: str, environment: str | None = None) -> list[Alias]:
        """Every alias of a dataset, by environment and name."""
        query = joined().where(table.c.dataset == dataset)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        found = [to_alias(row) for row in self._db.read(lambda connection: connection.execute(query).all())]
        return sorted(found, key=lambda alias: (alias.environment, alias.name))

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


def joined() -> Select[Any]:
    """Aliases with the deployments that they point at."""
    labelled = [deployments.c[field].label(f"deployment_{field}") for field in _DEPLOYMENT_FIELDS]
    own = [column for column in table.c if column.name != "deployment_id"]
    return select(*own, *labelled).join(deployments, deployments.c.id == table.c.deployment_id)


def to_alias(row: Row[Any]) -> Alias:
    """A row of ``joined`` as a value."""
    values = row._mapping
    inner = {field: values[f"deployment_{field}"] for field in _DEPLOYMENT_FIELDS}
    inner["status"], inner["strategy"] = DeploymentStatus(inner["status"]), Strategy(inner["strategy"])
    own = {column.name: values[column.name] for column in table.c if column.name != "deployment_id"}
    return Alias(**own, deployment=Deployment(**inner))
