"""The journal: what every push was about to do, and what came of it. Intents and outcomes are only ever added.

Laws
----
1. An intent is committed before its write is sent; its outcome after. A killed process leaves intents without outcome.
2. ``unknown`` is an outcome too, of a write whose answer was lost. Both kinds are *unsettled*: the target is read back,
   and what it shows is added as another outcome. The latest outcome counts.
3. ``landed`` is final: what contradicts it is ``ConflictError``. ``not-landed`` may be followed by anything.
4. A closed push takes no more intents. It does take outcomes: an unknown one may be settled later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update

from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.pushes import Push, PushStatus, locked_push, to_push
from vector_pipeline.release.registry.schema import intents as intents_table
from vector_pipeline.release.registry.schema import outcomes as outcomes_table
from vector_pipeline.release.registry.schema import pushes as pushes_table

_CHUNK = 500
"""Ids in one IN list: below every limit on parameters."""


class Outcome(StrEnum):
    """What came of a write."""

    LANDED = "landed"
    NOT_LANDED = "not-landed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Intent:
    """A write about to be sent: its step, and what finds it again in the target (JSON)."""

    step: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """What came of an intent."""

    intent_id: int
    outcome: Outcome
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An intent with its latest outcome; None where the process was killed in between."""

    intent_id: int
    push_id: int
    step: str
    payload: Mapping[str, Any]
    at: datetime
    outcome: Outcome | None
    outcome_payload: Mapping[str, Any] | None
    outcome_at: datetime | None


class Journal(Part):
    """The registry's journal."""

    def intent(self, push_id: int, step: str, payload: Mapping[str, Any] | None = None) -> int:
        """Id of a new intent, committed when this returns: send the write now."""
        return self.intents(push_id, [Intent(step, payload or {})])[0]

    def intents(self, push_id: int, items: Sequence[Intent]) -> list[int]:
        """Ids of new intents, in the order given, all in one transaction."""

        return self.note(push_id, items, ())

    def outcome(self, push_id: int, intent_id: int, outcome: Outcome, payload: Mapping[str, Any] | None = None) -> None:
        """Add what came of an intent. Saying ``landed`` twice is no error; contradicting it is ``ConflictError``."""
        self.outcomes(push_id, [OutcomeRecord(intent_id, outcome, payload or {})])

    def outcomes(self, push_id: int, items: Sequence[OutcomeRecord]) -> None:
        """Add what came of many intents, all in one transaction."""
        self.note(push_id, (), items)

    def note(self, push_id: int, intents: Sequence[Intent], outcomes: Sequence[OutcomeRecord]) -> list[int]:
        """Add outcomes and new intents, all in one transaction; ids of the intents, in the order given."""
        if len({item.intent_id for item in outcomes}) < len(outcomes):
            raise InputError(f"two outcomes of one intent in one call (push {push_id})")

        def work(connection: Connection) -> list[int]:
            status, dataset = locked_push(connection, push_id)
            common = {"push_id": push_id, "dataset": dataset, "at": self._db.now(connection)}
            if outcomes:
                _add_outcomes(connection, common, outcomes)
            if not intents:
                return []
            if status is not PushStatus.OPEN:
                raise RefusedError(f"push {push_id} of {dataset} is closed ({status})", fix="open another push")
            rows = [{**common, "step": item.step, "payload": dict(item.payload)} for item in intents]
            write = insert(intents_table).returning(intents_table.c.id, sort_by_parameter_order=True)
            return list(connection.execute(write, rows).scalars())

        return self._db.write(work) if intents or outcomes else []

    def close_push(self, push_id: int, status: PushStatus | Literal["done", "failed", "abandoned"]) -> Push:
        """Say how a push ended. ``done`` is refused while an intent is unsettled."""
        status = PushStatus(status)
        if status is PushStatus.OPEN:
            raise InputError("a push cannot be closed as open")

        def work(connection: Connection) -> Push:
            locked_push(connection, push_id)
            unread = len(connection.execute(_unsettled(push_id)).all()) if status is PushStatus.DONE else 0
            if unread:
                raise RefusedError(
                    f"push {push_id} has {unread} unsettled writes", fix="read them back from the target"
                )
            write = update(pushes_table).where(pushes_table.c.id == push_id)
            write = write.values(status=status, closed_at=self._db.now(connection))
            return to_push(connection.execute(write.returning(pushes_table)).one())

        return self._db.write(work)

    def journal(self, push_id: int) -> list[JournalEntry]:
        """Every intent of a push with its latest outcome, in the order of the intents."""
        query = _entries(push_id)
        return [_entry(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def unsettled(self, push_id: int) -> list[JournalEntry]:
        """Intents without outcome, or with outcome ``unknown``: what must be read back from the target."""
        query = _unsettled(push_id)
        return [_entry(row) for row in self._db.read(lambda connection: connection.execute(query).all())]


def _add_outcomes(connection: Connection, common: Mapping[str, Any], items: Sequence[OutcomeRecord]) -> None:
    """Law 3."""
    before = _latest_outcomes(connection, common["push_id"], [item.intent_id for item in items])
    rows = []
    for item in items:
        said = Outcome(item.outcome)
        if before[item.intent_id] == Outcome.LANDED:
            if said is not Outcome.LANDED:
                raise ConflictError(
                    f"intent {item.intent_id} of push {common['push_id']} has landed and cannot become {said}"
                )
            continue
        rows.append({**common, "intent_id": item.intent_id, "outcome": said, "payload": dict(item.payload)})
    if rows:
        connection.execute(insert(outcomes_table), rows)


def _entries(push_id: int, some: Sequence[int] | None = None) -> Select[Any]:
    """Intents of a push, or some of them, with their latest outcomes. The rest of a long journal is not read for a few."""
    newest = select(func.max(outcomes_table.c.id)).where(outcomes_table.c.push_id == push_id)
    if some is not None:
        newest = newest.where(outcomes_table.c.intent_id.in_(some))
    newest = newest.group_by(outcomes_table.c.intent_id)
    latest = select(outcomes_table).where(outcomes_table.c.id.in_(newest.scalar_subquery())).subquery()
    entries = (
        select(
            intents_table,
            latest.c.outcome,
            latest.c.payload.label("outcome_payload"),
            latest.c.at.label("outcome_at"),
        )
        .outerjoin(latest, latest.c.intent_id == intents_table.c.id)
        .where(intents_table.c.push_id == push_id)
        .order_by(intents_table.c.id)
    )
    return entries if some is None else entries.where(intents_table.c.id.in_(some))


def _unsettled(push_id: int) -> Select[Any]:
    entries = _entries(push_id)
    said = entries.selected_columns["outcome"]
    return entries.where(or_(said.is_(None), said == Outcome.UNKNOWN))


def _entry(row: Row[Any]) -> JournalEntry:
    outcome = None if row.outcome is None else Outcome(row.outcome)
    return JournalEntry(
        row.id, row.push_id, row.step, row.payload, row.at, outcome, row.outcome_payload, row.outcome_at
    )


def _latest_outcomes(connection: Connection, push_id: int, intent_ids: Sequence[int]) -> dict[int, Outcome | None]:
    """Latest outcome of each intent. ``NotFoundError`` names one that is not of this push."""
    found: dict[int, Outcome | None] = {}
    for start in range(0, len(intent_ids), _CHUNK):
        some = intent_ids[start : start + _CHUNK]
        for row in connection.execute(_entries(push_id, some)):
            found[row.id] = _entry(row).outcome
    for intent_id in intent_ids:
        if intent_id not in found:
            raise NotFoundError(f"push {push_id} has no intent {intent_id}")
    return found
