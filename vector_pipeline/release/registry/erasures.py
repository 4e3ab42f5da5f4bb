"""Erasures: documents that were taken out for good. What stays of one is its key, a hash: a build never brings it back.

Laws
----
1. The row is written before anything is deleted, and says ``open`` until everything is: while one is open, its dataset is not
   built, and whoever erases next finishes it. Only an open one holds the document's id.
2. ``scrub`` is the one exception to "rows are only ever added": in the plans, journal, verdicts, overrides, audits and messages of
   the dataset, the document's id and key are replaced by ``erased``, and nothing else is but the questions (and their names) of
   canaries that expect the document: such a question may be a sentence of it.
3. An id may be any word: ``staging``, ``records``, ``12``. Names of fields and what fields of fixed meaning say (a strategy, a
   status) are never changed. Where a field holds ids, the id alone counts; in words for people an ordinary word or number counts
   only where it is quoted, named as an example or followed by a record id.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, Text, and_, cast, insert, or_, select, update

from vector_pipeline.errors import NotFoundError
from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import Json, metadata
from vector_pipeline.release.registry.schema import erasures as table

ERASED = "erased"
"""What stands in place of a document's id or key."""
OPEN, DONE = "open", "done"
_FREE_TEXT = {"message", "reason", "summary"}
_IDS = frozenset({
    "examples", "first", "values", "observed", "expect", "missing", "absent", "forbidden", "got", "filter", "id", "answers",
    "charts", "document", "documents", "document_id", "topic",
})  # fmt: skip
"""Fields that hold ids, themselves or in what is below them."""
_WORDS = frozenset(
    {"message", "reason", "summary", "why", "notes", "faults", "not_judged", "query", "expectation", "skipped", "error"}
)
"""Fields that hold words for people."""
_CODES = frozenset({
    "status", "before", "match", "fault", "type", "column", "kind", "name", "space", "tags", "metadata_hash", "content_hash",
})  # fmt: skip
"""Fields of fixed meaning that stand below one of ``_IDS``."""
_ORDINARY = re.compile(r"\w+|[\d.,:%+-]+")
"""An id that may be any word or number of a sentence."""
_RECORD = r"[0-9a-f]{24}#"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One document that was, or is being, erased."""

    id: int
    dataset: str
    document_key: str
    """24 hex characters: first half of its record ids."""
    at: datetime
    by: str
    reason: str
    report: Mapping[str, Any]
    """``state`` (``open`` or ``done``), and what was found and left where."""

    @property
    def open(self) -> bool:
        return self.report.get("state") == OPEN


class Erasures(Part):
    """The registry's erasures."""

    def record_erasure(
        self, *, dataset: str, document_key: str, by: str, reason: str, report: Mapping[str, Any]
    ) -> Erasure:
        """Add an erasure: from now on the document stays out, whatever its source says."""

        def work(connection: Connection) -> Erasure:
            self._db.serialise(connection, f"erasures:{dataset}")
            values = {"dataset": dataset, "document_key": document_key, "by": by, "reason": reason}
            made = insert(table).values(**values, at=self._db.now(connection), report=dict(report))
            return _erasure(connection.execute(made.returning(table)).one())

        return self._db.write(work)

    def update_erasure(self, identifier: int, report: Mapping[str, Any]) -> Erasure:
        """Say how far an erasure is. ``NotFoundError`` for an unknown one."""

        def work(connection: Connection) -> Erasure:
            write = update(table).where(table.c.id == identifier).values(report=dict(report)).returning(table)
            row = connection.execute(write).one_or_none()
            if row is None:
                raise NotFoundError(f"the registry has no erasure {identifier}")
            return _erasure(row)

        return self._db.write(work)

    def erasures(self, dataset: str) -> list[Erasure]:
        """Every erasure of a dataset, newest first."""
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.id.desc())
        return [_erasure(row) for row in self._db.read(lambda connection: connection.execute(query).all())]

    def erased_keys(self, dataset: str) -> set[str]:
        """Keys of the documents that must stay out of a dataset."""
        query = select(table.c.document_key).where(table.c.dataset == dataset)
        return set(self._db.read(lambda connection: connection.execute(query).scalars().all()))

    def open_erasure(self, dataset: str) -> Erasure | None:
        """The erasure that is under way, or was interrupted."""
        return next((one for one in self.erasures(dataset) if one.open), None)

    def traces(self, dataset: str, document: str, key: str) -> dict[str, int]:
        """Rows that name a document, by column (``vp_pushes.plan``); those without any are left out."""

        def work(connection: Connection) -> dict[str, int]:
            found, words = {}, (document, *_questions(connection, dataset, document))
            for owner, column in _columns():
                rows = connection.execute(select(column).where(_names(owner, column, dataset, (*words, key))))
                count = sum(1 for (value,) in rows if _scrubbed(value, words, key, column.name) != value)
                if count:
                    found[f"{owner.name}.{column.name}"] = count
            return found

        return self._db.read(work)

    def scrub(self, dataset: str, document: str, key: str) -> dict[str, int]:
        """Law 2. Rows that were changed, by column."""

        def work(connection: Connection) -> dict[str, int]:
            found, words = {}, (document, *_questions(connection, dataset, document))
            for owner, column in _columns():
                own = list(owner.primary_key.columns)
                named = select(*own, column.label("scrubbed_value")).where(
                    _names(owner, column, dataset, (*words, key))
                )
                count = 0
                for row in connection.execute(named).all():
                    value = _scrubbed(row.scrubbed_value, words, key, column.name)
                    if value != row.scrubbed_value:
                        this = and_(*(one == row._mapping[one.name] for one in own))
                        connection.execute(update(owner).where(this).values({column.name: value}))
                        count += 1
                if count:
                    found[f"{owner.name}.{column.name}"] = count
            return found

        return self._db.write(work)

    def compact(self) -> None:
        """Overwrite what changed rows left in a SQLite file. A server is vacuumed by itself."""
        self._db.compact()


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(**row._mapping)


def _columns() -> list[tuple[Table, Column[Any]]]:
    """Every column that may hold an example or a person's words, of tables that name their dataset."""
    return [
        (owner, column)
        for owner in metadata.sorted_tables
        if owner is not table and "dataset" in owner.c
        for column in owner.c
        if isinstance(column.type, Json) or column.name in _FREE_TEXT
    ]


def _questions(connection: Connection, dataset: str, document: str) -> list[str]:
    """Questions of canaries that expect the document, in any verdict, and their names."""
    found: dict[str, None] = {}
    for owner, column in _columns():
        if isinstance(column.type, Json):
            rows = connection.execute(select(column).where(_names(owner, column, dataset, (document,))))
            found |= dict.fromkeys(word for (value,) in rows for word in _asked(value, document))
    return sorted(found, key=len, reverse=True)


def _asked(value: Any, document: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        # Other fields than a canary's have questions too, and list what came: `match` is a canary's alone.
        if {"query", "match"} <= value.keys() and document in list(value.get("expect") or ()):
            yield from (str(value[name]) for name in ("query", "id") if value.get(name))
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _asked(one, document)


def _names(owner: Table, column: Column[Any], dataset: str, words: Sequence[str]) -> ColumnElement[bool]:
    """Rows that may hold one of the words: a superset, because LIKE knows neither case nor JSON."""
    text = cast(column, Text)
    forms = dict.fromkeys(
        form for word in words for form in (word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])
    )
    return and_(owner.c.dataset == dataset, or_(*(text.contains(form, autoescape=True) for form in forms)))


def _scrubbed(value: Any, words: Sequence[str], key: str, field: str, ids: bool = False) -> Any:
    """The same JSON with every mention of the document (the first of ``words``) and of its questions replaced (law 3).

    ``field``: the nearest name above; ``ids``: it stands below ``_IDS``.
    """
    ids = (ids or field in _IDS) and field not in _CODES
    if isinstance(value, str):
        if ids or field in _WORDS:
            for word in words:
                value = _in_words(value, word, alone=ids or (field == "query" and word != words[0]))
        # Record ids begin with the key, and no word of anybody's does.
        return value.replace(key, ERASED)
    if isinstance(value, Mapping):
        return {name: _scrubbed(one, words, key, name, ids) for name, one in value.items()}
    if isinstance(value, list):
        return [_scrubbed(one, words, key, field, ids) for one in value]
    return value


def _in_words(text: str, document: str, *, alone: bool) -> str:
    """A whole word, so that ``a.md`` changes neither ``data.md`` nor ``a.md.old``. ``alone``: all of the text may be the id."""
    if alone and text == document:
        return ERASED
    word = re.escape(document)
    if not _ORDINARY.fullmatch(document):
        return re.sub(rf"(?<![\w./-]){word}(?![\w/-]|\.\w)", ERASED, text)
    before = "|".join(rf"(?<=\b{one} )" for one in ("such as", "such as one of", "a text of"))
    told = rf"(?<=['\"`]){word}(?=['\"`])|(?:{before}){word}(?![\w/-]|\.\w)|(?<![\w./-]){word}(?= {_RECORD})"
    return re.sub(told, ERASED, text)
