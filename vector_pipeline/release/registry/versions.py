"""Versions of datasets: what each snapshot is, in which numbering, and which of them are kept.

Laws
----
1. Numbers are 1, 2, 3, … per dataset, over all its spaces, without gaps and never used twice, whoever records at once.
2. Recording what the newest kept version of that space already holds (same digest) makes nothing, unless the caller has found
   that the lake no longer holds that version (``not_as``).
3. A row never goes away and nothing in it changes, but ``pinned`` and ``expired_at``. Expiry is one-way. The one exception is
   an erasure, which leaves a version without a document, and must be able to say so (``rewrite_version``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import aliases, deployments, routes
from vector_pipeline.release.registry.schema import versions as table


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A snapshot about to be recorded. The registry adds number, parent and time."""

    dataset: str
    space: str
    """Name of the embedding space."""
    fingerprint: str
    """Of the space: 16 hex characters."""
    embedder_fingerprint: str
    dimension: int
    metric: str
    digest: str
    """Of the snapshot's content: equal digests mean equal snapshots."""
    lake_snapshot: int
    documents: int
    records: int
    chunk_table: str
    embedding_table: str
    run_id: str | None = None
    code_revision: str | None = None
    message: str = ""
    model: str | None = None
    """The embedder's name and revision, for people. None where it was not recorded."""
    chunker: str | None = None
    """The chunker's settings as JSON, for people."""

    @property
    def lake_dataset(self) -> str:
        """Whose tables of the lake hold it."""
        return self.dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(NewVersion):
    """A recorded snapshot: v1, v2, …"""

    number: int
    parent: int | None
    """The version recorded before it in the same space (same fingerprint), expired or not."""
    created_at: datetime
    expired_at: datetime | None = None
    pinned: bool = False
    """Kept from expiry."""


class Versions(Part):
    """The registry's versions."""

    def record_version(self, new: NewVersion, *, not_as: int | None = None) -> tuple[Version, bool]:
        """The version that holds this snapshot, and whether it was made now.

        ``not_as``: number of a version that will not do although its digest is the same, because its lake snapshot is gone.
        """

        def work(connection: Connection) -> tuple[Version, bool]:
            self._db.serialise(connection, versions_key(new.dataset))
            in_space = (
                table.c.dataset == new.dataset,
                table.c.space == new.space,
                table.c.fingerprint == new.fingerprint,
            )
            newest = _newest(connection, *in_space, table.c.expired_at.is_(None))
            if newest is not None and newest.digest == new.digest and newest.number != not_as:
                return newest, False
            last = select(func.max(table.c.number))
            version = Version(
                **asdict(new),
                number=1 + (connection.execute(last.where(table.c.dataset == new.dataset)).scalar() or 0),
                parent=connection.execute(last.where(*in_space)).scalar(),
                created_at=self._db.now(connection),
            )
            connection.execute(insert(table).values(asdict(version)))
            return version, True

        return self._db.write(work)

    def version(self, dataset: str, number: int) -> Version:
        """One version, expired or not. ``NotFoundError`` lists those that exist."""
        return self._db.read(lambda connection: _known(connection, dataset, [number])[0])

    def versions(self, dataset: str) -> list[Version]:
        """Every version of a dataset, expired ones too, oldest first; empty for an unknown dataset."""
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.number)
        return [_version(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def latest_version(self, dataset: str, space: str | None = None, fingerprint: str | None = None) -> Version | None:
        """Newest version that is not expired, of the dataset or of one space of it."""
        conditions = [table.c.dataset == dataset, table.c.expired_at.is_(None)]
        if space is not None:
            conditions.append(table.c.space == space)
        if fingerprint is not None:
            conditions.append(table.c.fingerprint == fingerprint)
        return self._db.read(lambda connection: _newest(connection, *conditions))

    def pin(self, dataset: str, number: int, pinned: bool = True) -> Version:
        """Keep a version from expiry, or stop keeping it. ``RefusedError`` for pinning one that has expired."""

        def work(connection: Connection) -> Version:
            self._db.serialise(connection, versions_key(dataset))
            version = _known(connection, dataset, [number])[0]
            if pinned and version.expired_at is not None:
                raise RefusedError(f"v{number} of {dataset} has expired and cannot be pinned", fix="pin a kept version")
            connection.execute(update(table).where(_is(dataset, [number])).values(pinned=pinned))
            return _known(connection, dataset, [number])[0]

        return self._db.write(work)

    def mark_expired(self, dataset: str, numbers: Iterable[int]) -> list[int]:
        """Mark versions as expired, all or none; returns those that were not yet.

        ``RefusedError`` when one is pinned, or an alias or a route names it: its readers and its rollback need the lake's rows.
        """
        wanted = sorted(set(numbers))

        def work(connection: Connection) -> list[int]:
            self._db.serialise(connection, versions_key(dataset))
            # Locked against aliases that move there (they take a shared lock): whoever comes second sees what the first one did.
            connection.execute(select(table.c.number).where(_is(dataset, wanted)).with_for_update())
            found = _known(connection, dataset, wanted)
            for version in found:
                if version.pinned:
                    raise RefusedError(f"v{version.number} of {dataset} is pinned", fix="unpin it first")
            _refuse_served(connection, dataset, wanted)
            fresh = [version.number for version in found if version.expired_at is None]
            connection.execute(update(table).where(_is(dataset, fresh)).values(expired_at=self._db.now(connection)))
            return fresh

        return self._db.write(work) if wanted else []

    def rewrite_version(
        self, dataset: str, number: int, *, lake_snapshot: int, digest: str, documents: int, records: int
    ) -> Version:
        """Only for erasing: what is left of a version after a document was taken out of the lake's history.

        ``NotFoundError`` for an unknown version, ``RefusedError`` for an expired one: there is nothing left to rewrite.
        """
        values = {"lake_snapshot": lake_snapshot, "digest": digest, "documents": documents, "records": records}

        def work(connection: Connection) -> Version:
            self._db.serialise(connection, versions_key(dataset))
            if _known(connection, dataset, [number])[0].expired_at is not None:
                raise RefusedError(f"v{number} of {dataset} has expired: nothing of it can be rewritten")
            connection.execute(update(table).where(_is(dataset, [number])).values(values))
            return _known(connection, dataset, [number])[0]

        return self._db.write(work)

    def datasets(self) -> list[str]:
        """Names of the datasets that have a version, sorted."""
        query = select(table.c.dataset).distinct()
        # Sorted here: the two databases collate differently.
        return sorted(self._db.read(lambda connection: connection.execute(query).scalars().all()))

    def kept_lake_snapshots(self) -> set[int]:
        """Lake snapshots that versions still need, over all datasets: what the lake must not expire."""
        query = select(table.c.lake_snapshot).where(table.c.expired_at.is_(None))
        return set(self._db.read(lambda connection: connection.execute(query).scalars().all()))


def versions_key(dataset: str) -> str:
    """Under which everybody queues who adds or expires versions of a dataset."""
    return f"versions:{dataset}"


def _is(dataset: str, numbers: Sequence[int]) -> ColumnElement[bool]:
    return (table.c.dataset == dataset) & table.c.number.in_(numbers)


def _version(row: Row[Any]) -> Version:
    return Version(**row._mapping)


def _newest(connection: Connection, *conditions: ColumnElement[bool]) -> Version | None:
    row = connection.execute(select(table).where(*conditions).order_by(table.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _version(row)


def _known(connection: Connection, dataset: str, numbers: Sequence[int]) -> list[Version]:
    rows = connection.execute(select(table).where(_is(dataset, numbers)).order_by(table.c.number)).all()
    missing = set(numbers) - {row.number for row in rows}
    if missing:
        raise unknown_version(connection, dataset, min(missing))
    return [_version(row) for row in rows]


def unknown_version(connection: Connection, dataset: str, number: int) -> NotFoundError:
    """The error for a version that does not exist: it lists those that do, or the datasets that do."""
    known = connection.execute(select(table.c.number).where(table.c.dataset == dataset).order_by(table.c.number))
    if numbers := known.scalars().all():
        shown = ", ".join(f"v{known_number}" for known_number in numbers[-10:])
        earlier = "" if len(numbers) <= 10 else "…, "
        return NotFoundError(f"{dataset} has no version v{number}", fix=f"it has {earlier}{shown}")
    return NotFoundError(f"{dataset} has no versions yet", fix="run a build first")


def _refuse_served(connection: Connection, dataset: str, numbers: Sequence[int]) -> None:
    query = (
        select(aliases.c.environment, aliases.c.name, deployments.c.version)
        .join(deployments, deployments.c.id == aliases.c.deployment_id)
        .where(aliases.c.dataset == dataset, deployments.c.version.in_(numbers))
        .limit(1)
    )
    if served := connection.execute(query).one_or_none():
        raise RefusedError(
            f"alias {served.name} of {dataset} in {served.environment} points at v{served.version}",
            fix="keep that version",
        )
    routed = select(routes.c.environment, routes.c.version).where(routes.c.ended_at.is_(None))
    routed = routed.where(routes.c.dataset == dataset, routes.c.version.in_(numbers)).limit(1)
    if found := connection.execute(routed).one_or_none():
        raise RefusedError(
            f"readers of {dataset} in {found.environment} are routed to v{found.version}",
            fix="keep that version, or end the route",
        )
