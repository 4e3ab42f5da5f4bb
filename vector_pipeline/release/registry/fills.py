"""Fills: shards of a space that were brought to hold every document of theirs, and attempts that failed.

Laws
----
1. Rows are only ever added. A shard is filled from its first ``done`` row on, until the space is retired: what was said before a
   ``retired`` row counts no more. What a filled shard lacks now, the lake says.
2. An attempt that failed is forgotten with the shard's next row of another kind.
3. ``part`` rows tell what was spent, and end no attempt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import fills as table


class FillStatus(StrEnum):
    """How an attempt to fill a shard ended."""

    DONE = "done"
    FAILED = "failed"
    PART = "part"
    """Some of its texts were embedded, and the rest was left to another turn."""
    RETIRED = "retired"
    """The space was retired, and its tables are gone: no attempt, but the end of all before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFill:
    """One attempt to fill a shard, about to be recorded."""

    shard: int
    status: FillStatus
    documents: int = 0
    """Of the shard, then."""
    records: int = 0
    embedded: int = 0
    """Texts that the model embedded for it in this attempt: fewer than its records where vectors were there already."""
    seconds: float = 0.0
    """Spent embedding."""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(NewFill):
    """One attempt."""

    id: int
    dataset: str
    space: str
    fingerprint: str
    at: datetime
    run_id: str | None


class Fills(Part):
    """The registry's fills."""

    def record_fills(
        self, dataset: str, space: str, fingerprint: str, made: Sequence[NewFill], *, run_id: str | None = None
    ) -> None:
        """Add attempts, in one transaction."""
        if not made:
            return

        def work(connection: Connection) -> None:
            place = {"dataset": dataset, "space": space, "fingerprint": fingerprint, "run_id": run_id}
            at = self._db.now(connection)
            connection.execute(insert(table), [{**asdict(one), **place, "at": at} for one in made])

        self._db.write(work)

    def fills(self, dataset: str, space: str, fingerprint: str) -> list[Fill]:
        """Attempts in a space of that name and fingerprint since it was retired last, oldest first. Tables of the lake are named by
        both: under another name nothing of them is there.
        """
        known = (table.c.dataset == dataset, table.c.space == space, table.c.fingerprint == fingerprint)
        retired = select(func.coalesce(func.max(table.c.id), 0)).where(*known, table.c.status == FillStatus.RETIRED)
        query = select(table).where(*known, table.c.id > retired.scalar_subquery()).order_by(table.c.id)
        return [_fill(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def filled_shards(self, dataset: str, space: str, fingerprint: str) -> set[int]:
        """Law 1."""
        attempts = self.fills(dataset, space, fingerprint)
        return {one.shard for one in attempts if one.status is FillStatus.DONE}


def failed_now(attempts: Iterable[Fill]) -> dict[int, Fill]:
    """Law 2: of each shard whose newest attempt failed, that attempt. ``attempts``: oldest first."""
    last = {one.shard: one for one in attempts}
    return {shard: one for shard, one in last.items() if one.status is FillStatus.FAILED}


def _fill(row: Row[Any]) -> Fill:
    values = dict(row._mapping)
    return Fill(status=FillStatus(values.pop("status")), **values)
