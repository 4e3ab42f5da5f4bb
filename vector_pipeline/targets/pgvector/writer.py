"""Writes: each one transaction that stages Arrow columns by COPY, locks its namespace, changes it by one statement, and counts.

What travels is staged before the lock is taken: two writes overlap where it takes longest.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from vector_pipeline.errors import RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import Capabilities, NamespaceSpec, NamespaceState, WriteReceipt, record_schema
from vector_pipeline.targets.pgvector.catalog import Catalog, same_place
from vector_pipeline.targets.pgvector.engine import Engine, Session
from vector_pipeline.targets.pgvector.rights import locked_out, say_locked_out
from vector_pipeline.targets.pgvector.search import check_lengths
from vector_pipeline.targets.pgvector.tables import check_supported, prepare
from vector_pipeline.targets.pgvector.values import check_no_nul, rows_stream, stored, vectors_stream, with_filterable

_STAGED = {
    "n": "integer",
    "id": "text",
    "source_id": "text",
    "document_id": "text",
    "content_hash": "text",
    "metadata_hash": "text",
    "space": "text",
    "added_in": "bigint",
    "removed_in": "bigint",
    "text": "text",
    "metadata": "text",
    "exact": "text",
}
_STORED = (*record_schema(1).names, "exact", "exact_of")
_METADATA = ("metadata_hash", "metadata", "exact", "exact_of")
# That ``exact`` speaks of this very ``metadata`` is seen when it is read: somebody else may have changed the one alone.
_EXACT_OF = "CASE WHEN r.exact IS NOT NULL THEN sha256(convert_to(r.metadata::jsonb::text, 'UTF8')) END"

Change = tuple[int, int]
"""Records that a write changed, and how many more there are."""


class Writer:
    """The writing half of the target."""

    def __init__(self, engine: Engine, catalog: Catalog, capabilities: Callable[[], Capabilities]) -> None:
        self._engine, self._catalog, self._capabilities = engine, catalog, capabilities

    def ensure(self, spec: NamespaceSpec, fence: int) -> NamespaceState:
        checks.check_spec(spec, self._capabilities())
        check_supported(spec, self._engine)
        prepare(self._engine)

        def work(session: Session) -> tuple[NamespaceState, list[str]]:
            row, made = self._catalog.create(session, spec, fence)
            if different := checks.difference(spec, row.spec):
                raise RefusedError(f"namespace {spec.name} exists: {different}", fix="Use another namespace or drop it")
            return self._catalog.state(session, row), locked_out(
                session, self._catalog.schema, row.table
            ) if made else []

        state, outside = self._engine.write(work)
        say_locked_out(self._engine, spec.name, outside)
        return state

    def drop(self, namespace: str, fence: int) -> None:
        self._engine.write(lambda session: self._catalog.drop(session, namespace, fence))

    def upsert(self, namespace: str, records: pa.Table, fence: int) -> WriteReceipt:
        spec = self._spec(namespace)
        table = checks.conform(records, spec, self._capabilities())
        check_no_nul(table.column("id"))
        check_lengths(table, spec)
        rows = with_filterable(table.drop_columns(["vector"]))

        def stage(session: Session) -> None:
            self._stage(session, rows)
            vectors = table.column("vector")
            session.copy(
                sql.SQL("COPY pg_temp.vp_vectors FROM STDIN (FORMAT binary)"), vectors_stream(vectors, spec.dimension)
            )

        def merge(session: Session, target: sql.Identifier) -> Change:
            source = "SELECT {} FROM pg_temp.vp_rows r JOIN pg_temp.vp_vectors v USING (n)"
            return _merged(session, target, source, {"vector": "v.vector"})

        return self._write(namespace, fence, records.nbytes, stage, merge, spec=spec, empty=not table.num_rows)

    def derive(self, namespace: str, records: pa.Table, fence: int) -> WriteReceipt:
        table = with_filterable(checks.conform_derived(records, self._capabilities()))
        check_no_nul(table.column("id"))

        def merge(session: Session, target: sql.Identifier) -> Change:
            unknown = session.row(
                sql.SQL(
                    'SELECT count(DISTINCT source_id), min(source_id COLLATE "C") FROM pg_temp.vp_rows r'
                    " WHERE NOT EXISTS (SELECT FROM {} s WHERE s.id = r.source_id)"
                ).format(target)
            )
            if unknown is not None and unknown[0]:
                raise RefusedError(f"{unknown[0]} sources are not in namespace {namespace}, such as {unknown[1]}")
            taken = {name: f"s.{name}" for name in ("vector", "document_id", "content_hash", "space", "text")}
            return _merged(
                session, target, "SELECT {} FROM pg_temp.vp_rows r JOIN {target} s ON s.id = r.source_id", taken
            )

        return self._write(
            namespace,
            fence,
            records.nbytes,
            lambda session: self._stage(session, table),
            merge,
            empty=not table.num_rows,
        )

    def set_metadata(self, namespace: str, records: pa.Table, fence: int) -> WriteReceipt:
        table = with_filterable(checks.conform_metadata(records, self._capabilities()))
        values = ", ".join(_EXACT_OF if name == "exact_of" else _typed(name) for name in _METADATA)

        def update(session: Session, target: sql.Identifier) -> Change:
            changed = session.run(
                sql.SQL(
                    f"UPDATE {{}} t SET ({', '.join(_METADATA)}) = ROW({values}) FROM pg_temp.vp_rows r WHERE t.id = r.id"
                    f" AND (t.metadata_hash, t.metadata::text, t.exact) IS DISTINCT FROM"
                    " (r.metadata_hash, r.metadata::jsonb::text, r.exact)"
                ).format(target)
            )
            return changed.rowcount, 0

        return self._write(
            namespace,
            fence,
            records.nbytes,
            lambda session: self._stage(session, table),
            update,
            empty=not table.num_rows,
        )

    def set_removed(self, namespace: str, ids: pa.Array, removed_in: int, fence: int) -> WriteReceipt:
        def update(session: Session, target: sql.Identifier) -> Change:
            changed = session.run(
                sql.SQL(
                    "UPDATE {} SET removed_in = %(mark)s WHERE id = ANY(%(ids)s) AND removed_in <> %(mark)s"
                ).format(target),
                {"mark": removed_in, "ids": names},
            )
            return changed.rowcount, 0

        names = known_ids(ids)
        return self._write(namespace, fence, 8 * len(names), None, update, empty=not names)

    def delete(self, namespace: str, ids: pa.Array, fence: int) -> WriteReceipt:
        def delete(session: Session, target: sql.Identifier) -> Change:
            gone = session.run(sql.SQL("DELETE FROM {} WHERE id = ANY(%(ids)s)").format(target), {"ids": names})
            return gone.rowcount, -gone.rowcount

        names = known_ids(ids)
        return self._write(namespace, fence, 8 * len(names), None, delete, empty=not names)

    def _spec(self, namespace: str) -> NamespaceSpec:
        return self._engine.read(lambda session: self._catalog.existing(session, namespace)[0].spec)

    def _write(
        self,
        namespace: str,
        fence: int,
        travelled: int,
        stage: Callable[[Session], None] | None,
        change: Callable[[Session, sql.Identifier], Change],
        *,
        spec: NamespaceSpec | None = None,
        empty: bool,
    ) -> WriteReceipt:
        def work(session: Session) -> WriteReceipt:
            if stage is not None and not empty:
                self._catalog.existing(session, namespace, fence=fence)
                session.run(_STAGING)
                stage(session)
            row, table = self._catalog.existing(session, namespace, lock=True, fence=fence)
            if spec is not None:
                same_place(row, spec)
            changed, delta = 0, 0
            if not empty:
                session.run(sql.SQL("SET LOCAL vector_pipeline.own = 'yes'"))
                changed, delta = change(session, self._catalog.table(table))
            mark = self._catalog.changed(session, row, fence, delta, any_change=changed > 0)
            return WriteReceipt(changed, travelled if changed else 0, mark=mark, retried=dict(session.retried))

        return self._engine.write(work)

    def _stage(self, session: Session, table: pa.Table) -> None:
        """Fill the staging table with Arrow columns of the same names, and number the rows."""
        columns = {name: table.column(name) for name in table.column_names}
        for name in ("document_id", "content_hash", "metadata_hash", "space", "text"):
            if name in columns:
                columns[name] = stored(columns[name])
        columns["n"] = pa.chunked_array([pa.array(np.arange(table.num_rows, dtype=np.int32))])
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        session.copy(sql.SQL("COPY pg_temp.vp_rows ({}) FROM STDIN").format(names), rows_stream(pa.table(columns)))


# Kept for the session, emptied by each COMMIT: making tables anew for every write would fill the system's catalogues.
_STAGING = sql.SQL(
    "CREATE TEMPORARY TABLE IF NOT EXISTS vp_rows ({}) ON COMMIT DELETE ROWS;"
    " CREATE TEMPORARY TABLE IF NOT EXISTS vp_vectors (n integer, vector vector) ON COMMIT DELETE ROWS"
).format(sql.SQL(", ".join(f"{name} {kind}" for name, kind in _STAGED.items())))


def known_ids(ids: "pa.Array | pa.ChunkedArray") -> list[str]:
    """Distinct ids that may be there: none with a NUL is."""
    column = checks.id_table(ids).column("id")
    names: list[str] = column.filter(pc.invert(pc.match_substring(column, "\x00"))).to_pylist()
    return names


def _typed(name: str) -> str:
    return f"r.{name}::jsonb" if name == "metadata" else f"r.{name}"


def _merged(session: Session, target: sql.Identifier, source: str, taken: dict[str, str]) -> Change:
    """Insert or replace what the source selects; ``taken``: columns that do not come from the staging table ``r``."""
    values = ", ".join(taken.get(name) or (_EXACT_OF if name == "exact_of" else _typed(name)) for name in _STORED)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in _STORED if name != "id")
    selected = sql.SQL(source.replace("{}", values)).format(target=target)
    found = session.row(
        sql.SQL(
            f"WITH merged AS (INSERT INTO {{}} ({', '.join(_STORED)}) {{}} ON CONFLICT (id) DO UPDATE SET {replaced}"
            " RETURNING (xmax = 0) AS added) SELECT count(*), count(*) FILTER (WHERE added) FROM merged"
        ).format(target, selected)
    )
    changed, added = found or (0, 0)
    return changed, added
