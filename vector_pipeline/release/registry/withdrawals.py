"""Withdrawals: targets that a dataset is not served from for the time being, or no more. Recorded with the move that does it.

Laws
----
1. A target is withdrawn in the transaction that takes its aliases away: it is never served and withdrawn at once. While it is
   out of service no alias of the dataset moves to it.
2. One that was ``removed`` is no place any more: what it holds is kept by nothing but an alias, or a reader's grace. Serving
   from it again ends that.
3. Rows are only ever added; of one that is there only its end is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import withdrawals as table


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A target that a dataset was served from, and is not for now."""

    id: int
    dataset: str
    environment: str
    target: str
    removed: bool
    """It is no place of the dataset any more. False: it is out of service until somebody pushes to it by name."""
    at: datetime
    by: str
    reason: str
    run_id: str | None
    ended_at: datetime | None
    ended_by: str | None


class Withdrawals(Part):
    """The registry's withdrawals."""

    def withdrawals(self, dataset: str, environment: str | None = None, *, ended: bool = False) -> list[Withdrawal]:
        """Those in force, oldest first; ``ended``: those that have ended too."""
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.id)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        if not ended:
            query = query.where(table.c.ended_at.is_(None))
        return [Withdrawal(**row._mapping) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def end_withdrawal(self, dataset: str, environment: str, target: str, *, by: str) -> bool:
        """A target may be served from again; returns whether it could not before."""

        def work(connection: Connection) -> bool:
            return end(connection, dataset, environment, target, by=by, at=self._db.now(connection)) > 0

        return self._db.write(work)


def end(connection: Connection, dataset: str, environment: str, target: str, *, by: str, at: datetime) -> int:
    """End a target's withdrawals; returns how many were in force."""
    open_ones = update(table).where(
        table.c.dataset == dataset, table.c.environment == environment, table.c.target == target,
        table.c.ended_at.is_(None),
    )  # fmt: skip
    return connection.execute(open_ones.values(ended_at=at, ended_by=by)).rowcount


def begin(
    connection: Connection, dataset: str, environment: str, target: str, *, removed: bool, said: dict[str, Any]
) -> None:
    """Withdraw a target in the transaction that moves the aliases; one that is withdrawn already stays as it was, unless it is
    ``removed`` now.
    """
    place = {"dataset": dataset, "environment": environment, "target": target}
    held = connection.execute(select(table.c.removed).filter_by(**place, ended_at=None)).scalar()
    if held is not None and held >= removed:
        return
    if held is not None:
        end(connection, dataset, environment, target, by=said["by"], at=said["at"])
    connection.execute(insert(table).values(**place, removed=removed, **said))


def serve(
    connection: Connection, dataset: str, environment: str, targets: Iterable[str], *, by: str, at: datetime
) -> None:
    """Law 1 for the targets that aliases are about to point into: ``RefusedError``, or the end of a removal."""
    for target in sorted(set(targets)):
        place = {"dataset": dataset, "environment": environment, "target": target, "ended_at": None}
        held = connection.execute(select(table).filter_by(**place)).one_or_none()
        if held is None:
            continue
        if not held.removed:
            raise RefusedError(
                f"target {target} is out of service for {dataset} since {held.at:%Y-%m-%d %H:%M} UTC ({held.reason}, {held.by})",
                fix=f"Bring it back: vector-pipeline push {dataset} --target {target}",
            )
        end(connection, dataset, environment, target, by=by, at=at)
