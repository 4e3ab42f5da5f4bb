"""Deployments: one version in one namespace of one target, and how far it got.

Laws
----
1. There is one deployment per (environment, target, namespace, version): beginning it again finds it, and its state is
   ``pushing`` until it is finished again, because nobody knows meanwhile what the namespace holds.
2. Space and fingerprint are those of its version, and a namespace belongs to one dataset.
3. What an alias points at cannot be retired. Retired and replaced are final: only a new push begins them again.
4. A namespace that is written in place holds one version: beginning another one in it replaces all that were there.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import aliases, versions
from vector_pipeline.release.registry.schema import deployments as table
from vector_pipeline.release.registry.versions import unknown_version


class DeploymentStatus(StrEnum):
    """How far a deployment got."""

    PUSHING = "pushing"
    """Being written, or killed while it was: the namespace may hold half of it."""
    PUSHED = "pushed"
    """Written and read back. Only this one may get an alias."""
    FAILED = "failed"
    RETIRED = "retired"
    """Its records are collected or about to be: nothing may point at it again."""
    REPLACED = "replaced"
    """Its namespace was written over in place: it holds another version now."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version in a namespace of a target."""

    id: int
    dataset: str
    environment: str
    target: str
    """The target's name in the configuration."""
    namespace: str
    version: int
    space: str
    fingerprint: str
    """Of the space: 16 hex characters."""
    status: DeploymentStatus
    digest: str | None
    """Of what was pushed; None until a push finished."""
    records: int
    created_at: datetime
    updated_at: datetime
    run_id: str | None
    """Run that pushed it last."""
    strategy: Strategy = Strategy.VERSIONED
    """How it was pushed last."""


class Deployments(Part):
    """The registry's deployments."""

    def begin_deployment(
        self,
        *,
        dataset: str,
        environment: str,
        target: str,
        namespace: str,
        version: int,
        space: str,
        fingerprint: str,
        records: int,
        run_id: str | None = None,
        strategy: str = Strategy.VERSIONED,
    ) -> Deployment:
        """The deployment of that version in that namespace, made or set back to ``pushing`` (its digest is gone then).

        ``records``: how many the version has. ``strategy="in-place"`` sets every other deployment of the namespace to
        ``replaced``, even one that an alias points at: its readers see the new one from here on. ``NotFoundError`` for
        an unknown version; ``RefusedError`` for an expired one, another space than the version's, or a namespace of
        another dataset.
        """
        if strategy not in tuple(Strategy):
            raise InputError(f"there is no strategy {strategy!r}", fix=f"one of {', '.join(Strategy)}")
        place = {"environment": environment, "target": target, "namespace": namespace, "version": version}
        identity = {"dataset": dataset, "space": space, "fingerprint": fingerprint}

        def work(connection: Connection) -> Deployment:
            self._db.serialise(connection, f"deployment:{environment}:{target}:{namespace}")
            _may_be_pushed(connection, dataset, version, space, fingerprint)
            now = self._db.now(connection)
            state = {
                "status": DeploymentStatus.PUSHING, "digest": None, "records": records, "updated_at": now,
                "strategy": strategy,
            }  # fmt: skip
            _may_hold(connection, dataset, environment, target, namespace)
            if strategy == Strategy.IN_PLACE:
                _replace_others(connection, place, now)
            existing = connection.execute(select(table.c.id).filter_by(**place)).one_or_none()
            if existing is None:
                made = insert(table).values(**place, **identity, **state, run_id=run_id, created_at=now)
                return to_deployment(connection.execute(made.returning(table)).one())
            again = update(table).where(table.c.id == existing.id).values(**state, run_id=run_id)
            return to_deployment(connection.execute(again.returning(table)).one())

        return self._db.write(work)

    def finish_deployment(
        self, deployment_id: int, status: DeploymentStatus, digest: str | None = None, *, records: int | None = None
    ) -> Deployment:
        """Say how a push ended, or that a deployment is retired. ``pushed`` needs the digest of what was pushed.

        ``RefusedError`` for retiring what an alias points at, and for finishing what was retired or replaced meanwhile.
        """
        status = DeploymentStatus(status)
        if status is DeploymentStatus.PUSHING:
            raise InputError("a deployment cannot finish as pushing", fix="begin_deployment says that")
        if status is DeploymentStatus.PUSHED and not digest:
            raise InputError("a pushed deployment needs its digest")

        def work(connection: Connection) -> Deployment:
            # The row is locked: no alias can move here between this look and the commit.
            held = connection.execute(select(table).where(table.c.id == deployment_id).with_for_update()).one_or_none()
            if held is None:
                raise unknown_deployment(deployment_id)
            pointing = select(aliases.c.name).where(aliases.c.deployment_id == deployment_id).limit(1)
            if status is DeploymentStatus.RETIRED and (name := connection.execute(pointing).scalar()):
                raise RefusedError(
                    f"alias {name} points at deployment {deployment_id} (v{held.version} of {held.dataset})",
                    fix="move the alias first",
                )
            if held.status in _FINAL and status not in (held.status, DeploymentStatus.RETIRED):
                raise RefusedError(
                    f"deployment {deployment_id} (v{held.version} of {held.dataset}) was {held.status} meanwhile",
                    fix="push that version again",
                )
            values: dict[str, Any] = {"status": status, "updated_at": self._db.now(connection)}
            if digest is not None:
                values["digest"] = digest
            if records is not None:
                values["records"] = records
            write = update(table).where(table.c.id == deployment_id).values(**values).returning(table)
            return to_deployment(connection.execute(write).one())

        return self._db.write(work)

    def deployment(self, deployment_id: int) -> Deployment:
        """One deployment. ``NotFoundError`` when there is none of that id."""
        query = select(table).where(table.c.id == deployment_id)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise unknown_deployment(deployment_id)
        return to_deployment(row)

    def deployments(self, dataset: str, environment: str | None = None) -> list[Deployment]:
        """Every deployment of a dataset, retired ones too, oldest first."""
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.id)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        return [to_deployment(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def find_deployment(self, environment: str, target: str, namespace: str, version: int) -> Deployment | None:
        """The deployment of a version in a namespace of a target; None when it was never begun."""
        query = select(table).filter_by(environment=environment, target=target, namespace=namespace, version=version)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else to_deployment(row)

    def redigest_deployments(self, dataset: str, version: int, digest: str, *, records: int | None = None) -> list[int]:
        """Only for erasing: every finished deployment of a version that was rewritten gets its new digest. Returns ids.

        ``records``: how many the version has now.
        """
        write = update(table).where(
            table.c.dataset == dataset, table.c.version == version, table.c.digest.is_not(None)
        )  # fmt: skip

        def work(connection: Connection) -> list[int]:
            state = {"digest": digest, "updated_at": self._db.now(connection)}
            state |= {"records": records} if records is not None else {}
            changed = write.values(state).returning(table.c.id)
            return sorted(connection.execute(changed).scalars())

        return self._db.write(work)


_FINAL = (DeploymentStatus.RETIRED, DeploymentStatus.REPLACED)


def _replace_others(connection: Connection, place: dict[str, Any], now: datetime) -> None:
    others = select(table.c.id).where(
        table.c.environment == place["environment"],
        table.c.target == place["target"],
        table.c.namespace == place["namespace"],
        table.c.version != place["version"],
        table.c.status.not_in(_FINAL),
    )
    # Locked in one order, as everybody does who takes several.
    ids = connection.execute(others.order_by(table.c.id).with_for_update(key_share=True)).scalars().all()
    replaced = {"status": DeploymentStatus.REPLACED, "updated_at": now}
    connection.execute(update(table).where(table.c.id.in_(ids)).values(replaced))


def _may_hold(connection: Connection, dataset: str, environment: str, target: str, namespace: str) -> None:
    query = select(table.c.dataset).filter_by(environment=environment, target=target, namespace=namespace)
    owner = connection.execute(query.where(table.c.dataset != dataset).limit(1)).scalar()
    if owner is not None:
        raise RefusedError(f"namespace {namespace} of {target} belongs to {owner}, not to {dataset}")


def _may_be_pushed(connection: Connection, dataset: str, version: int, space: str, fingerprint: str) -> None:
    query = select(versions.c.space, versions.c.fingerprint, versions.c.expired_at)
    found = connection.execute(query.where(versions.c.dataset == dataset, versions.c.number == version)).one_or_none()
    if found is None:
        raise unknown_version(connection, dataset, version)
    if found.expired_at is not None:
        raise RefusedError(f"v{version} of {dataset} has expired and cannot be pushed", fix="push a kept version")
    if (found.space, found.fingerprint) != (space, fingerprint):
        raise RefusedError(
            f"v{version} of {dataset} is in space {found.space} ({found.fingerprint}), not in {space} ({fingerprint})"
        )


def to_deployment(row: Row[Any]) -> Deployment:
    """A row of the deployments' table as a value."""
    values = dict(row._mapping)
    values["status"], values["strategy"] = DeploymentStatus(values["status"]), Strategy(values["strategy"])
    return Deployment(**values)


def unknown_deployment(deployment_id: int) -> NotFoundError:
    """The error for a deployment that does not exist."""
    return NotFoundError(f"the registry has no deployment {deployment_id}", fix="list them with status")
