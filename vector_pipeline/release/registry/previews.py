"""Previews: what a pull request built beside everybody else, until when, and how it ended.

Laws
----
1. Everything that the registry holds of a preview has ``held_as`` as its dataset: a name that no dataset can have, and that no
   other preview has, of whatever registry. So it is nobody else's, and all of it can be told and forgotten by that name.
   A number is another preview's in another registry: whoever ends one says the name with it.
2. A name of a dataset's previews in an environment has one that lives at most. It ends twice: from ``ending_at`` on nobody goes
   on with it; from ``ended_at`` on nothing is left of it. In between whoever comes takes the rest down.
3. With the end its rows go, in one transaction, also those of tables that are only ever added to: they were nobody's history. The
   preview's own row stays, and says where it was and who took it down.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import leases, metadata
from vector_pipeline.release.registry.schema import previews as table

PLACES = "places"
"""Key of a preview's detail: ``[target, namespace]`` of each namespace that it had."""
GIVEN_UP = "given_up"
"""Key of a preview's detail: what could not be taken down, and who gave it up."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What of a preview nobody could reach when it ended, and may stand still."""

    left: tuple[str, ...]
    """``target/namespace``, or ``lake``."""
    by: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"left": list(self.left), "by": self.by, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRecord:
    """One preview."""

    id: int
    origin: str
    """The dataset that it is a preview of."""
    environment: str
    name: str
    held_as: str
    """The dataset under which lake, registry and target hold it."""
    revision: str | None
    """Commit that it was built from."""
    begun_at: datetime
    begun_by: str
    expires_at: datetime
    ending_at: datetime | None = None
    ended_by: str | None = None
    reason: str = ""
    """Why it ended."""
    ended_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What was built, for people."""

    @property
    def lives(self) -> bool:
        return self.ending_at is None

    @property
    def places(self) -> list[tuple[str, str]]:
        """Target and namespace of each place that it had. Known once it has ended."""
        return [(str(target), str(namespace)) for target, namespace in self.detail.get(PLACES, [])]

    @property
    def given_up(self) -> GivenUp | None:
        """None: it ended whole, or has not ended."""
        found = self.detail.get(GIVEN_UP)
        return GivenUp(tuple(found["left"]), found["by"], found["reason"]) if found else None


class Previews(Part):
    """The registry's previews."""

    def begin_preview(
        self, origin: str, environment: str, name: str, *, ttl_s: float, by: str, revision: str | None = None,
        most: int | None = None,
    ) -> tuple[PreviewRecord, bool]:  # fmt: skip
        """The preview of that name, and whether it began now; one that lives already lives on for ``ttl_s`` from now.

        ``most``: previews of a dataset and environment that may live at once; ``RefusedError`` for one more. ``ConflictError``
        while the one before of this name is being taken down.
        """

        def work(connection: Connection) -> tuple[PreviewRecord, bool]:
            self._db.serialise(connection, f"previews:{origin}:{environment}")
            now = self._db.now(connection)
            until = now + timedelta(seconds=ttl_s)
            there = _not_ended(connection, origin, environment)
            found = next((one for one in there if one.name == name), None)
            if found is not None and not found.lives:
                raise ConflictError(
                    f"preview {name} of {origin} is being taken down", fix="Wait, or take the rest down"
                )
            if found is not None:
                mine = update(table).where(table.c.id == found.id)
                connection.execute(mine.values(expires_at=max(until, found.expires_at), revision=revision))
                return _known(connection, found.id), False
            if most is not None and len(there) >= most:
                raise RefusedError(
                    f"{origin} has {len(there)} previews in environment {environment}, as many as previews.at_once allows",
                    fix="Take one down: vector-pipeline ci destroy, or vector-pipeline ci reap",
                )
            row: dict[str, Any] = {
                "origin": origin, "environment": environment, "name": name, "revision": revision,
                "held_as": f"{origin}--{name}--{secrets.token_hex(4)}",
                "begun_at": now, "begun_by": by, "expires_at": until, "reason": "", "detail": {},
            }  # fmt: skip
            key = connection.execute(insert(table).values(row)).inserted_primary_key
            assert key is not None
            return _known(connection, int(key[0])), True

        return self._db.write(work)

    def preview(self, origin: str, environment: str, name: str) -> PreviewRecord:
        """The preview of that name that has not ended. ``NotFoundError`` names those that there are."""
        there = self.previews(origin, environment)
        found = next((one for one in there if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in there) or "none"
            raise NotFoundError(
                f"{origin} has no preview {name!r} in environment {environment}; it has: {known}",
                fix=f"Make one: vector-pipeline ci create {origin} --name {name}",
            )
        return found

    def previews(
        self, origin: str | None = None, environment: str | None = None, *, ended: bool = False
    ) -> list[PreviewRecord]:
        """Previews (None: of all datasets and environments) that have not ended, or (``ended``) that have; oldest first."""
        query = select(table).order_by(table.c.id)
        query = query.where(table.c.ended_at.is_not(None) if ended else table.c.ended_at.is_(None))
        if origin is not None:
            query = query.where(table.c.origin == origin)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        return [_preview(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def overdue_previews(self) -> list[PreviewRecord]:
        """Those whose time is over, or that somebody began to take down; of all datasets and environments."""

        def work(connection: Connection) -> list[PreviewRecord]:
            over = or_(table.c.expires_at <= self._db.now(connection), table.c.ending_at.is_not(None))
            query = select(table).where(table.c.ended_at.is_(None), over).order_by(table.c.id)
            return [_preview(row) for row in connection.execute(query)]

        return self._db.read(work)

    def require_preview(self, number: int) -> None:
        """``RefusedError`` once a preview is being taken down: whoever builds it stops."""
        query = select(table.c.name, table.c.origin, table.c.ended_by).where(
            table.c.id == number, table.c.ending_at.is_not(None)
        )
        gone = self._db.read(lambda connection: connection.execute(query).one_or_none())
        if gone is not None:
            raise RefusedError(f"preview {gone.name} of {gone.origin} was taken down by {gone.ended_by}")

    def note_preview(self, number: int, detail: Mapping[str, Any]) -> None:
        """Add to what is told of a preview; None takes away."""

        def work(connection: Connection) -> None:
            self._db.serialise(connection, f"preview:{number}")
            told = {**_known(connection, number).detail, **detail}
            kept = {name: value for name, value in told.items() if value is not None}
            connection.execute(update(table).where(table.c.id == number).values(detail=kept))

        self._db.write(work)

    def end_preview(self, number: int, held_as: str, *, by: str, reason: str, overdue: bool = False) -> PreviewRecord:
        """Law 2: nobody goes on with it from here on. Asked again, it keeps who ended it first. ``NotFoundError``: see law 1.

        ``overdue``: only where its time is over still; what was begun anew since somebody looked lives on.
        """

        def work(connection: Connection) -> PreviewRecord:
            _known(connection, number, held_as)
            now = self._db.now(connection)
            mine = update(table).where(table.c.id == number, table.c.ending_at.is_(None))
            if overdue:
                mine = mine.where(table.c.expires_at <= now)
            connection.execute(mine.values(ending_at=now, ended_by=by, reason=reason))
            return _known(connection, number)

        return self._db.write(work)

    def forget_preview(
        self, number: int, held_as: str, places: Iterable[tuple[str, str]], *, given_up: GivenUp | None = None
    ) -> PreviewRecord:
        """Law 3: whatever the registry holds of a preview but its own row. The caller has dropped what it names elsewhere.

        ``places``: of each namespace that it had. What is forgotten already is no error. ``NotFoundError``: see law 1.
        """
        named = sorted(set(places))

        def work(connection: Connection) -> PreviewRecord:
            self._db.serialise(connection, f"preview:{number}")
            found = _known(connection, number, held_as)
            every = sorted({*named, *found.places})
            # Those that others refer to come last.
            for one in reversed(metadata.sorted_tables):
                if "dataset" in one.c:
                    connection.execute(delete(one).where(one.c.dataset == found.held_as))
            resource = leases.c.resource
            parts = [resource.startswith(f"lake/{found.held_as}/", autoescape=True)]
            parts += [resource == f"{target}/{namespace}" for target, namespace in every]
            connection.execute(delete(leases).where(or_(*parts)))
            detail = {**found.detail, PLACES: [list(one) for one in every]}
            if given_up is not None:
                detail[GIVEN_UP] = given_up.to_json()
            state = {"ended_at": self._db.now(connection), "detail": detail}
            connection.execute(update(table).where(table.c.id == number).values(state))
            return _known(connection, number)

        return self._db.write(work)


def _not_ended(connection: Connection, origin: str, environment: str) -> list[PreviewRecord]:
    query = select(table).filter_by(origin=origin, environment=environment).where(table.c.ended_at.is_(None))
    return [_preview(row) for row in connection.execute(query)]


def _known(connection: Connection, number: int, held_as: str | None = None) -> PreviewRecord:
    found = connection.execute(select(table).where(table.c.id == number)).one_or_none()
    if found is None or held_as not in (None, found.held_as):
        raise NotFoundError(f"this registry has no preview {held_as or number}", fix="See: vector-pipeline ci list")
    return _preview(found)


def _preview(row: Row[Any]) -> PreviewRecord:
    return PreviewRecord(**row._mapping)
