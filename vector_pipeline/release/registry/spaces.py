"""Spaces as the registry knows them: which there were, what is in use of one, and that one is retired.

Laws
----
1. A space is in use while an alias or an open route of any environment points at a version of it, while one left it less than the
   readers' grace ago, and while a version of it is pinned.
2. Retiring a space expires all its versions in one transaction, or none. Expired versions can get no alias and no push any more, so
   what is deleted afterwards is needed by nobody. Moving an alias and this cannot cross: both lock the versions' rows.
3. What was filled of a retired space counts as not filled: should it be configured again, it is filled again from the beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.fills import FillStatus
from vector_pipeline.release.registry.schema import alias_moves, aliases, deployments, fills, routes, versions
from vector_pipeline.release.registry.versions import versions_key


@dataclass(frozen=True, slots=True)
class Use:
    """Something that needs a version, or needed it so lately that readers may not have looked since."""

    kind: str
    """``alias``, ``route``, ``left`` (an alias or a route did, less than the grace ago) or ``pinned``."""
    version: int
    name: str = ""
    """The alias's; ``route`` for a route; empty for a pin."""
    environment: str = ""
    share: float | None = None
    """Of a route: of production's readers, 0 to 1."""
    until: datetime | None = None
    """When the grace is over, for what left."""


class Spaces(Part):
    """The registry's spaces."""

    def filled_spaces(self, dataset: str) -> list[tuple[str, str]]:
        """Name and fingerprint of every space that a shard was ever filled of, sorted: also of those without a version."""
        query = select(fills.c.space, fills.c.fingerprint).where(fills.c.dataset == dataset).distinct()
        found = self._db.read(lambda connection: connection.execute(query).all())
        return sorted((row.space, row.fingerprint) for row in found)

    def uses(self, dataset: str, numbers: Sequence[int], *, grace_s: float) -> list[Use]:
        """What uses some versions (law 1), in any environment: aliases first, then routes, pins and what left."""
        wanted = set(numbers)

        def work(connection: Connection) -> list[Use]:
            return [
                one for one in _uses(connection, dataset, grace_s, self._db.now(connection)) if one.version in wanted
            ]

        return self._db.read(work)

    def retire_space(self, dataset: str, space: str, fingerprint: str, *, grace_s: float) -> list[int]:
        """Law 2; returns the versions that were not expired before. ``RefusedError`` when something uses one of them."""
        same = (versions.c.dataset == dataset, versions.c.space == space, versions.c.fingerprint == fingerprint)

        def work(connection: Connection) -> list[int]:
            self._db.serialise(connection, versions_key(dataset))
            query = select(versions.c.number, versions.c.expired_at).where(*same).order_by(versions.c.number)
            rows = connection.execute(query.with_for_update()).all()
            numbers, now = {row.number for row in rows}, self._db.now(connection)
            for use in _uses(connection, dataset, grace_s, now):
                if use.version in numbers:
                    raise RefusedError(f"{said(use)}: space {space} of {dataset} is in use", fix=way_out(use, dataset))
            connection.execute(update(versions).where(*same, versions.c.expired_at.is_(None)).values(expired_at=now))
            _unfill(connection, dataset, space, fingerprint, now)
            return [row.number for row in rows if row.expired_at is None]

        return self._db.write(work)


def said(use: Use) -> str:
    """What uses a version, as the beginning of a sentence."""
    if use.kind == "pinned":
        return f"v{use.version} is pinned"
    if use.kind == "left":
        when = use.until.isoformat(timespec="seconds") if use.until is not None else "?"
        return f"{_of(use)} left v{use.version} lately, and readers may read it until {when}"
    share = f" ({use.share:.0%} of production's readers)" if use.share is not None else ""
    return f"{_of(use)} points at v{use.version}{share}"


def way_out(use: Use, dataset: str) -> str:
    """What to do about it."""
    if use.kind == "pinned":
        return f"Unpin it first: vector-pipeline unpin {dataset} {use.version}"
    if use.kind == "left":
        return "Wait until then, and run it again (retention.reader_grace_s)"
    if use.kind == "route":
        return f"End the route first: vector-pipeline route {dataset} --off"
    return "Release and promote a version of another space first"


def _of(use: Use) -> str:
    return f"{'a route' if use.name == 'route' else f'alias {use.name}'} of {use.environment}"


def _uses(connection: Connection, dataset: str, grace_s: float, now: datetime) -> list[Use]:
    # In this order: what an alias leaves between the looks is seen by one of them.
    query = select(aliases.c.name, aliases.c.environment, deployments.c.version)
    query = query.join(deployments, deployments.c.id == aliases.c.deployment_id).where(aliases.c.dataset == dataset)
    found = [Use("alias", row.version, row.name, row.environment) for row in connection.execute(query)]
    grace = timedelta(seconds=grace_s)
    ended: list[Use] = []
    there = routes.c.ended_at.is_(None) | (routes.c.ended_at > now - grace)
    for row in connection.execute(select(routes).where(routes.c.dataset == dataset, there).order_by(routes.c.id)):
        if row.ended_at is None:
            found.append(Use("route", row.version, "route", row.environment, share=row.share))
        else:
            ended.append(Use("left", row.version, "route", row.environment, until=row.ended_at + grace))
    pins = select(versions.c.number).where(versions.c.dataset == dataset, versions.c.pinned)
    found += [Use("pinned", number) for number in connection.execute(pins).scalars()]
    moves = select(alias_moves).where(
        alias_moves.c.dataset == dataset, alias_moves.c.from_version.is_not(None), alias_moves.c.at > now - grace
    )
    for row in connection.execute(moves.order_by(alias_moves.c.id)):
        ended.append(Use("left", row.from_version, row.name, row.environment, until=row.at + grace))
    # Of what left several times, the last time counts.
    last = {(one.version, one.name, one.environment): one for one in ended}
    return [*found, *last.values()]


def _unfill(connection: Connection, dataset: str, space: str, fingerprint: str, now: datetime) -> None:
    """Law 3."""
    same = {"dataset": dataset, "space": space, "fingerprint": fingerprint}
    last: dict[int, str] = {}
    for row in connection.execute(select(fills.c.shard, fills.c.status).filter_by(**same).order_by(fills.c.id)):
        last[row.shard] = row.status
    known = {"status": FillStatus.RETIRED, "documents": 0, "records": 0, "embedded": 0, "seconds": 0.0, "at": now}
    rows = [{**same, **known, "shard": shard} for shard, status in last.items() if status != FillStatus.RETIRED]
    if rows:
        connection.execute(insert(fills), rows)
