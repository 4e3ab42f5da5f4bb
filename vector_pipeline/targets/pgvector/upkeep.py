"""What is done beside reading and writing: HNSW indexes after a push, and making what was deleted physically gone.

Laws
----
1. An HNSW index is built once, when a push ends: filling an index row by row takes four times as long. Until then search is exact.
2. Small tables have none: PostgreSQL would not use it.
3. ``purge`` rewrites the table: VACUUM alone leaves the bytes of deleted records in their pages.
"""

import time

import psycopg
from psycopg import sql

from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.pgvector.catalog import Catalog
from vector_pipeline.targets.pgvector.engine import Engine, Session

INDEX_FROM_RECORDS = 2_000
"""Exact search over fewer takes milliseconds."""

_CLASSES = {"cosine": "vector_cosine_ops", "dotproduct": "vector_ip_ops", "euclidean": "vector_l2_ops"}
_SUFFIX = "_hnsw"
_NEEDED = (0, 8)


class Upkeep:
    """Statements over one namespace's table, each in a transaction of its own or, where PostgreSQL wants it so, in none."""

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self._engine, self._catalog = engine, catalog

    def index(self, namespace: str) -> None:
        """Build the namespace's HNSW index where it is wanted and missing. Readers go on, writers wait."""

        def missing(session: Session) -> bool:
            row = self._catalog.find(session, namespace) if self._catalog.there(session) else None
            if row is None or row.table is None or self._indexed(session, row.table):
                return False
            return self._catalog.state(session, row).records >= INDEX_FROM_RECORDS

        if self._engine.config.hnsw and self._engine.read(missing):
            self._check_version()
            self._engine.write(lambda session: self._build(session, namespace), limited=False)

    def _build(self, session: Session, namespace: str) -> None:
        row, table = self._catalog.existing(session, namespace, lock=True)
        if self._indexed(session, table):
            return
        config = self._engine.config
        construction = max(config.hnsw_ef_construction, 2 * config.hnsw_m)  # pgvector refuses less
        try:
            session.run(
                sql.SQL(
                    f"CREATE INDEX {{}} ON {{}} USING hnsw (vector {_CLASSES[row.spec.metric]})"
                    f" WITH (m = {int(config.hnsw_m)}, ef_construction = {int(construction)})"
                ).format(sql.Identifier(table + _SUFFIX), self._catalog.table(table))
            )
        except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory, psycopg.errors.InsufficientResources) as error:
            raise UnavailableError(
                f"{self._engine.border}: no room to build the HNSW index of {namespace}",
                fix="Give PostgreSQL more disk or shared memory (/dev/shm), lower its maintenance_work_mem, or set `hnsw: false`",
            ) from error
        session.run(sql.SQL("ANALYZE {}").format(self._catalog.table(table)))

    def _indexed(self, session: Session, table: str) -> bool:
        found = session.row(
            sql.SQL("SELECT to_regclass({}) IS NOT NULL").format(
                sql.Literal(self._catalog.table(table + _SUFFIX).as_string(session.connection))
            )
        )
        return found is not None and bool(found[0])

    def _check_version(self) -> None:
        version = self._engine.pool.extension or "0"
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _NEEDED:
            raise UnavailableError(
                f"{self._engine.border}: pgvector {version} cannot search HNSW with filters",
                fix="Install pgvector 0.8 or newer and ALTER EXTENSION vector UPDATE, or set `hnsw: false`",
            )

    def purge(self, namespace: str) -> None:
        """Rewrite the table without what was deleted. Readers wait meanwhile; a transaction that still sees it is waited for."""
        table = self._engine.read(lambda session: self._catalog.existing(session, namespace)[1])
        where = self._catalog.table(table)
        # Sessions tell what they deleted when they end, at the latest: otherwise it would be told, and counted, afterwards.
        self._engine.pool.forget()
        try:
            self._engine.outside(lambda session: self._rewrite(session, where, namespace, table))
        finally:
            self.index(namespace)

    def _rewrite(self, session: Session, where: sql.Identifier, namespace: str, table: str) -> None:
        warnings: list[str] = []
        session.connection.add_notice_handler(
            lambda notice: (
                warnings.append(str(notice.message_primary)) if notice.severity_nonlocalized == "WARNING" else None
            )
        )
        # Vacuuming HNSW, or rebuilding it inside, would take minutes: it is built again when readers are let in.
        session.run(sql.SQL("DROP INDEX IF EXISTS {}").format(self._catalog.table(table + _SUFFIX)))
        deadline = time.monotonic() + self._engine.config.timeout_s
        while True:
            # Without ANALYZE, which would count no dead ones.
            session.run(sql.SQL("VACUUM {}").format(where))
            if warnings:
                raise UnavailableError(
                    f"{self._engine.border}: {warnings[0]}", fix="Let the owner of the table purge it"
                )
            kept = session.row(
                sql.SQL("SELECT pg_stat_get_dead_tuples({}::regclass)").format(
                    sql.Literal(where.as_string(session.connection))
                )
            )
            if kept is None or not kept[0]:
                break
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{self._engine.border}: a transaction still sees deleted records of {namespace}: they are not gone",
                    fix="End it (pg_stat_activity), then run the same command again",
                )
            time.sleep(0.2)
        session.run(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(where))
