"""Leases: one writer per resource, with a fencing number that the target compares.

Laws
----
1. A resource's fence only grows, for ever: over expiry, release and re-acquisition. Whoever got a larger one later may
   write; a writer that slept through its lease is told apart by its smaller one.
2. A lease is lost when somebody else acquired it or it was released, not by the clock alone: renewing one that expired
   unnoticed and untaken is allowed, because its fence is still the largest. But for what it is part of, and its parts
   (``<resource>/<part>``): who took one of those after the end relied on it.
3. Time is the database server's where there is a server, else this machine's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from vector_pipeline.errors import ConflictError, InputError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import leases as table


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a resource until a moment."""

    resource: str
    holder: str
    fence: int
    """Goes with every write to the resource."""
    expires_at: datetime


class Leases(Part):
    """The registry's leases."""

    def acquire_lease(self, resource: str, holder: str, ttl_s: float, *, instead_of: str | None = None) -> Lease:
        """A lease with a new fence. The holder itself may ask again, and its former lease is lost.

        ``instead_of``: a holder that the caller knows to be dead; the lease is taken from it, and from nobody else.
        ``ConflictError`` names who holds it and until when. ``ttl_s``: seconds, above 0.
        """
        lifetime = _lifetime(ttl_s)

        def work(connection: Connection) -> Lease:
            self._alone(connection, resource)
            held = connection.execute(select(table).where(table.c.resource == resource)).one_or_none()
            now = self._db.now(connection)
            if held is not None and held.holder not in (None, holder, instead_of) and held.expires_at > now:
                until = held.expires_at.isoformat(timespec="seconds")
                raise ConflictError(
                    f"{resource} is being written by {held.holder}, until {until}", fix="wait, then repeat"
                )
            lease = Lease(resource, holder, 1 if held is None else held.fence + 1, now + lifetime)
            state = {"holder": holder, "fence": lease.fence, "expires_at": lease.expires_at}
            if held is None:
                connection.execute(insert(table).values(resource=resource, **state))
            else:
                connection.execute(update(table).where(table.c.resource == resource).values(**state))
            return lease

        return self._db.write(work)

    def renew_lease(self, lease: Lease, ttl_s: float) -> Lease:
        """The lease with its end moved to ``ttl_s`` seconds from now, and the same fence. ``ConflictError`` when it is
        lost (law 2).
        """
        lifetime = _lifetime(ttl_s)

        def work(connection: Connection) -> Lease:
            self._alone(connection, lease.resource)
            held = connection.execute(select(table).where(table.c.resource == lease.resource)).one_or_none()
            now = self._db.now(connection)
            if held is None or (held.holder, held.fence) != (lease.holder, lease.fence):
                raise _lost(lease, f"taken by {held.holder}" if held is not None and held.holder else "released")
            # Whoever took the whole or a part reads who else is there after that: this has to be written by then.
            if held.expires_at <= now + lifetime / 8 and (other := _beside(connection, lease, now)) is not None:
                raise _lost(lease, f"it had run out, and {other.holder} took {other.resource}")
            renewed = Lease(lease.resource, lease.holder, lease.fence, now + lifetime)
            mine = update(table).where(table.c.resource == lease.resource)
            connection.execute(mine.values(expires_at=renewed.expires_at))
            return renewed

        return self._db.write(work)

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back. A lease that is lost already is no error: somebody else's is left alone."""
        mine = (
            update(table)
            .where(table.c.resource == lease.resource, table.c.holder == lease.holder, table.c.fence == lease.fence)
            .values(holder=None)
        )
        self._db.write(lambda connection: connection.execute(mine).rowcount)

    def lease(self, resource: str) -> Lease | None:
        """Who holds a resource now; None when it is free. For people: it may change before the answer is read."""

        def work(connection: Connection) -> Lease | None:
            held = connection.execute(select(table).where(table.c.resource == resource)).one_or_none()
            if held is None or held.holder is None or held.expires_at <= self._db.now(connection):
                return None
            return Lease(held.resource, held.holder, held.fence, held.expires_at)

        return self._db.read(work)

    def _alone(self, connection: Connection, resource: str) -> None:
        """Nobody else takes or renews the resource, what it is part of, or a part of it, until the commit."""
        # From above to below, everywhere: so two never wait for each other.
        self._db.serialise(connection, f"lease:{resource.rpartition('/')[0]}")
        self._db.serialise(connection, f"lease:{resource}")

    def leases_below(self, resource: str) -> list[Lease]:
        """Leases that are held now on parts of a resource (``<resource>/<part>``)."""

        def work(connection: Connection) -> list[Lease]:
            mine = _part_of(resource), table.c.holder.is_not(None)
            now = self._db.now(connection)
            rows = connection.execute(select(table).where(*mine).order_by(table.c.resource)).all()
            return [Lease(one.resource, one.holder, one.fence, one.expires_at) for one in rows if one.expires_at > now]

        return self._db.read(work)


def _part_of(resource: str) -> ColumnElement[bool]:
    return table.c.resource.startswith(f"{resource}/", autoescape=True)


def _beside(connection: Connection, lease: Lease, now: datetime) -> Row[Any] | None:
    """A lease in force of somebody else, on what this one's resource is part of or on a part of it."""
    near = or_(table.c.resource == lease.resource.rpartition("/")[0], _part_of(lease.resource))
    others = select(table).where(near, table.c.holder.is_not(None), table.c.holder != lease.holder)
    return next((one for one in connection.execute(others.order_by(table.c.resource)) if one.expires_at > now), None)


def _lost(lease: Lease, why: str) -> ConflictError:
    return ConflictError(f"the lease on {lease.resource} was lost: {why}", fix="stop writing, and begin again")


def _lifetime(ttl_s: float) -> timedelta:
    if not 0 < ttl_s < 10**8:
        raise InputError(f"a lease cannot last {ttl_s} seconds")
    return timedelta(seconds=ttl_s)
