"""Bridges: fitted maps from queries of one embedder to those of another, with the recall that each was measured to have.

Laws
----
1. A bridge is of one pair of embedders, by fingerprint, in one environment of one dataset; it is found by that pair and by nothing
   else.
2. Rows are only ever added. A fit is a row that is never in force; turning it on adds a row that is, with the same map, until its
   end is written. Of one pair at most one is in force: turning on another one ends it, in the same transaction.
3. Only a fit that passed can be turned on. There is no way around it.
4. The map is named by its bytes and both embedders; what turns it on looks whether it is still what was measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import bridges as table

PASSED, FIT = "passed", "fit"
"""Keys of ``detail``: whether a fit passed; the fit that was turned on (a row that is, or was, in force)."""
_HEAD = [column for column in table.columns if column.name != "map"]


@dataclass(frozen=True, slots=True)
class NewBridge:
    """A fit to record."""

    dataset: str
    environment: str
    from_embedder: str
    """Fingerprint of the embedder that queries come from."""
    to_embedder: str
    """Of the one whose vectors are searched."""
    kind: str
    fingerprint: str
    map: bytes
    recall: float
    detail: Mapping[str, Any]
    """How it was measured; ``passed`` says with what verdict."""
    by: str
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """One fit, or one time for which it was in force. The map itself: ``Bridges.bridge_map``."""

    id: int
    dataset: str
    environment: str
    from_embedder: str
    to_embedder: str
    kind: str
    fingerprint: str
    recall: float
    detail: Mapping[str, Any]
    at: datetime
    by: str
    run_id: str | None
    ended_at: datetime | None
    """When it was turned off; of a fit, when it was made."""
    ended_by: str | None

    @property
    def passed(self) -> bool:
        """Whether its measured recall was enough."""
        return self.detail.get(PASSED) is True

    @property
    def fit(self) -> int | None:
        """Id of the fit that was turned on; None of a fit."""
        return self.detail.get(FIT)

    @property
    def in_force(self) -> bool:
        return self.ended_at is None


class Bridges(Part):
    """The registry's bridges."""

    def record_bridge(self, new: NewBridge) -> Bridge:
        """Keep a fit. It is not in force."""

        def work(connection: Connection) -> Bridge:
            now = self._db.now(connection)
            values = {name: getattr(new, name) for name in new.__slots__} | {"detail": {**new.detail}}
            return _added(connection, {**values, "at": now, "ended_at": now, "ended_by": new.by})

        return self._db.write(work)

    def bridges(self, dataset: str, environment: str) -> list[Bridge]:
        """Fits and times in force, oldest first."""
        query = select(*_HEAD).filter_by(dataset=dataset, environment=environment).order_by(table.c.id)
        return [_bridge(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def bridge_in_force(self, dataset: str, environment: str, from_embedder: str, to_embedder: str) -> Bridge | None:
        """The one of exactly this pair."""
        pair = {"from_embedder": from_embedder, "to_embedder": to_embedder, "ended_at": None}
        query = select(*_HEAD).filter_by(dataset=dataset, environment=environment, **pair)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _bridge(row)

    def bridge_map(self, bridge: Bridge) -> bytes:
        """The map's bytes. ``NotFoundError`` for a bridge that is not there."""
        query = select(table.c.map).where(table.c.id == bridge.id)
        found = self._db.read(lambda connection: connection.execute(query).scalar_one_or_none())
        if found is None:
            raise NotFoundError(f"the registry has no bridge {bridge.id}")
        return bytes(found)

    def turn_bridge_on(self, fit: int, *, by: str, demand: Callable[[Bridge], None] | None = None) -> Bridge:
        """Put a fit in force; returns what is in force now. One that is so already stays as it is.

        ``demand``: raises what forbids it beside laws 3 and 4. ``NotFoundError`` for no such fit; ``RefusedError`` by law 3.
        """

        def work(connection: Connection) -> Bridge:
            row = connection.execute(select(table).where(table.c.id == fit)).one_or_none()
            if row is None:
                raise NotFoundError(f"the registry has no bridge {fit}")
            found = _bridge(row)
            _passed(found)
            if demand is not None:
                demand(found)
            self._db.serialise(connection, f"bridges/{found.dataset}/{found.environment}")
            pair = {name: getattr(found, name) for name in ("dataset", "environment", "from_embedder", "to_embedder")}
            known = connection.execute(select(*_HEAD).filter_by(**pair, ended_at=None)).one_or_none()
            if known is not None and known.fingerprint == found.fingerprint:
                return _bridge(known)
            now = self._db.now(connection)
            _end(connection, pair, by, now)
            values = {
                **pair, "kind": row.kind, "fingerprint": row.fingerprint, "map": row.map, "recall": row.recall,
                "detail": {**row.detail, FIT: found.fit or found.id}, "at": now, "by": by, "run_id": row.run_id,
            }  # fmt: skip
            return _added(connection, values)

        return self._db.write(work)

    def turn_bridges_off(self, dataset: str, environment: str, *, by: str, **pair: str) -> int:
        """End what is in force, of one pair (``from_embedder``, ``to_embedder``) or of all; returns how many were."""
        where = {"dataset": dataset, "environment": environment, **pair}
        return self._db.write(lambda connection: _end(connection, where, by, self._db.now(connection)))


def _passed(bridge: Bridge) -> None:
    if bridge.passed:
        return
    least = bridge.detail.get("min_recall")
    wanted = f", and {least:.0%} were wanted" if isinstance(least, float) else ""
    low = bridge.detail.get("low", bridge.recall)
    raise RefusedError(
        f"bridge {bridge.fingerprint} keeps {bridge.recall:.1%} of the answers, surely {low:.1%}{wanted}",
        fix=f"Fit another one: vector-pipeline bridge fit {bridge.dataset}",
    )


def _added(connection: Connection, values: Mapping[str, Any]) -> Bridge:
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return _bridge(connection.execute(select(*_HEAD).where(table.c.id == key[0])).one())


def _end(connection: Connection, where: Mapping[str, Any], by: str, now: datetime) -> int:
    open_ones = update(table).filter_by(**where, ended_at=None)
    return connection.execute(open_ones.values(ended_at=now, ended_by=by)).rowcount


def _bridge(row: Row[Any]) -> Bridge:
    held = row._mapping
    return Bridge(**{name: held[name] for name in Bridge.__slots__})
