"""The catalogue: one row a namespace, in the same database as the records, so that both change in one transaction.

Laws
----
1. A write locks its namespace's row first, then checks the fence: writers come one after the other, whoever they are.
2. ``mark`` counts writes and ``nonce`` is drawn anew at each: no mark ever comes twice, not after a drop, and not after the
   database was restored from a backup.
3. A trigger on the records' table counts everybody else's statements, TRUNCATE too, before they begin.
4. A dropped namespace keeps its row: its fence is remembered.
5. What a namespace is, its table says: one that somebody dropped is gone, one whose vectors somebody changed differs.
"""

from dataclasses import dataclass

from psycopg import sql

from vector_pipeline.errors import ConflictError, InputError, NotFoundError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import NamespaceSpec, NamespaceState
from vector_pipeline.targets.pgvector.engine import Engine, Session
from vector_pipeline.targets.pgvector.tables import has_catalog, quoted, records_ddl, table_name

_MARK = "mark || '-' || left(nonce::text, 8)"


@dataclass(frozen=True, slots=True)
class Row:
    """A namespace, as the catalogue and its table say. ``table`` None: dropped."""

    spec: NamespaceSpec
    table: str | None
    mark: str
    fence: int
    records: int | None
    """None: somebody else has written since we counted."""


class Catalog:
    """Statements over the catalogue, each within a session of the caller's."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.schema = engine.config.db_schema

    def table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.schema, name)

    def find(self, session: Session, namespace: str, *, lock: bool = False) -> Row | None:
        """The row, locked on request; None where there is none."""
        check_name(namespace)
        if lock:
            # Alone: what else is read must be as it is once the lock is held.
            session.run(
                sql.SQL("SELECT FROM {} WHERE name = %(name)s FOR UPDATE").format(self.table("namespaces")),
                {"name": namespace},
            )
        found = session.row(
            sql.SQL(
                """SELECT n.dimension, n.metric, n.space, n.table_name, n.mark || '-' || left(n.nonce::text, 8), n.fence, n.records,
                          t.oid, a.atttypmod, coalesce(to_jsonb(n)->>'owner', '')
                   FROM {} n LEFT JOIN pg_class t ON t.oid = to_regclass({}::text || '.' || quote_ident(n.table_name))
                   LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'vector' AND NOT a.attisdropped
                   WHERE n.name = %(name)s"""
            ).format(self.table("namespaces"), quoted(self.schema)),
            {"name": namespace},
        )
        if found is None:
            return None
        dimension, metric, space, table, mark, fence, records, oid, width, owner = found
        spec = NamespaceSpec(namespace, dimension if width is None else width, metric, space, owner)
        return Row(spec, None if oid is None else table, mark, fence, records)

    def existing(
        self, session: Session, namespace: str, *, lock: bool = False, fence: int | None = None
    ) -> tuple[Row, str]:
        """The row and its table; ``NotFoundError`` without one, ``ConflictError`` where the fence is behind."""
        row = self.find(session, namespace, lock=lock) if self.there(session) else None
        if row is None or row.table is None:
            raise NotFoundError(
                f"target {self.engine.name} has no namespace {namespace} ({self.engine.where}, schema {self.schema})"
            )
        if fence is not None:
            check_fence(row, fence)
        return row, row.table

    def there(self, session: Session) -> bool:
        return has_catalog(session, self.schema)

    def names(self, session: Session) -> list[str]:
        if not self.there(session):
            return []
        rows = session.rows(
            sql.SQL(
                "SELECT name FROM {} WHERE to_regclass({}::text || '.' || quote_ident(table_name)) IS NOT NULL"
            ).format(self.table("namespaces"), quoted(self.schema)),
            {},
        )
        return sorted(row[0] for row in rows)

    def state(self, session: Session, row: Row) -> NamespaceState:
        """The row's state; its records are counted where somebody else has written."""
        assert row.table is not None
        table = self.table(row.table)
        counted = sql.SQL("SELECT count(*) FROM {}").format(table) if row.records is None else sql.Literal(row.records)
        found = session.row(
            sql.SQL("SELECT ({})::bigint, pg_total_relation_size(to_regclass({}))").format(
                counted, sql.Literal(table.as_string(session.connection))
            ),
            {},
        )
        records, size = found or (0, 0)
        return NamespaceState(row.spec, records, size, row.mark)

    def changed(self, session: Session, row: Row, fence: int, delta: int, *, any_change: bool = True) -> str:
        """Count one write of ours and remember its fence; returns the new mark. Called at the write's end, the row locked."""
        assert row.table is not None
        counting = (
            sql.SQL("(SELECT count(*) FROM {})").format(self.table(row.table))
            if row.records is None
            else sql.SQL("records + {}").format(sql.Literal(delta))
        )
        bump = sql.SQL("mark = mark + 1, nonce = gen_random_uuid(), records = {},").format(counting)
        found = session.row(
            sql.SQL(
                "UPDATE {} SET {} fence = greatest(fence, %(fence)s) WHERE name = %(name)s RETURNING " + _MARK
            ).format(self.table("namespaces"), bump if any_change else sql.SQL("")),
            {"fence": fence, "name": row.spec.name},
        )
        assert found is not None
        return str(found[0])

    def create(self, session: Session, spec: NamespaceSpec, fence: int) -> tuple[Row, bool]:
        """Make the namespace where it is not there; the row, locked, and whether it was made.

        ``ConflictError`` where the fence is behind.
        """
        name = table_name(spec.name)
        session.run(
            sql.SQL(
                "INSERT INTO {} (name, dimension, metric, space) VALUES (%(name)s, 0, '', '') ON CONFLICT (name) DO NOTHING"
            ).format(self.table("namespaces")),
            {"name": spec.name},
        )
        row = self.find(session, spec.name, lock=True)
        assert row is not None
        check_fence(row, fence)
        made = row.table is None
        if made:
            session.run(records_ddl(self.schema, name, spec.dimension, roomy=self.engine.config.hnsw))
            session.run(
                sql.SQL(
                    "UPDATE {} SET table_name = %(table)s, dimension = %(dimension)s, metric = %(metric)s, space = %(space)s,"
                    " mark = mark + 1, nonce = gen_random_uuid(), records = 0 WHERE name = %(name)s"
                ).format(self.table("namespaces")),
                {
                    "table": name,
                    "dimension": spec.dimension,
                    "metric": spec.metric,
                    "space": spec.space,
                    "name": spec.name,
                },
            )
        session.run(
            sql.SQL("UPDATE {} SET fence = greatest(fence, %(fence)s) WHERE name = %(name)s").format(
                self.table("namespaces")
            ),
            {"fence": fence, "name": spec.name},
        )
        if made or (spec.owner and not row.spec.owner):
            self._own(session, spec)
        row = self.find(session, spec.name)
        assert row is not None
        return row, made

    def _own(self, session: Session, spec: NamespaceSpec) -> None:
        """Keep whose the namespace is. A catalogue of before there were owners gets the column with its first one."""
        column = sql.SQL("SELECT FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = 'owner'").format(
            sql.Literal(self.table("namespaces").as_string(session.connection))
        )
        if not session.rows(column, {}):
            if not spec.owner:
                return
            session.run(
                sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS owner text NOT NULL DEFAULT ''").format(
                    self.table("namespaces")
                )
            )
        session.run(
            sql.SQL("UPDATE {} SET owner = %(owner)s WHERE name = %(name)s").format(self.table("namespaces")),
            {"owner": spec.owner, "name": spec.name},
        )

    def drop(self, session: Session, namespace: str, fence: int) -> None:
        row = self.find(session, namespace, lock=True) if self.there(session) else None
        if row is None:
            return
        check_fence(row, fence)
        if row.table is not None:
            session.run(sql.SQL("DROP TABLE {}").format(self.table(row.table)))
        session.run(
            sql.SQL(
                "UPDATE {} SET table_name = NULL, records = NULL, fence = greatest(fence, %(fence)s) WHERE name = %(name)s"
            ).format(self.table("namespaces")),
            {"fence": fence, "name": namespace},
        )


def check_fence(row: Row, fence: int) -> None:
    if fence < row.fence:
        raise ConflictError(
            f"namespace {row.spec.name} was written under fence {row.fence}: {fence} is behind; nothing was changed"
        )


def check_name(namespace: str) -> str:
    if not 1 <= len(namespace) <= 512 or "\x00" in namespace or not namespace.isprintable():
        raise InputError(f"{namespace[:60]!r} is no name of a namespace: 1 to 512 printable characters")
    return namespace


def same_place(row: Row, spec: NamespaceSpec) -> None:
    """``ConflictError`` where a namespace was dropped and made anew, as something else, since its spec was read."""
    if different := checks.difference(spec, row.spec):
        raise ConflictError(f"namespace {spec.name} was made anew meanwhile: {different}")
