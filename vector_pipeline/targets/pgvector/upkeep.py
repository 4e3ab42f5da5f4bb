"""What is done beside reading and writing: HNSW indexes after a push, and making what was deleted physically gone.

Laws
----
1. An HNSW index is built once, when a push ends: filling an index row by row takes four times as long. Until then search is exact.
2. Small tables have none: PostgreSQL would not use it.
3. ``purge`` rewrites the table: VACUUM alone leaves the bytes of deleted records in their pages. It rewrites by CLUSTER, which
   does what VACUUM FULL does, but in a transaction: what did not help is undone, the index that went with it too.
4. ``purge`` is done when PostgreSQL said that it kept no dead row. Where it says nothing that can be read, nothing is claimed.
"""

import re
import time
from collections.abc import Sequence

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic

from vector_pipeline.errors import CorruptError, UnavailableError
from vector_pipeline.targets.pgvector.catalog import Catalog
from vector_pipeline.targets.pgvector.engine import Engine, Session

INDEX_FROM_RECORDS = 2_000
"""Exact search over fewer takes milliseconds."""

_CLASSES = {"cosine": "vector_cosine_ops", "dotproduct": "vector_ip_ops", "euclidean": "vector_l2_ops"}
_SUFFIX = "_hnsw"
_NEEDED = (0, 8)
_LOCK_WAIT_S = 5.0
_PAUSES_S = (0.1, 2.0)
"""Between two rewritings, the first and the longest: readers wait while one goes on."""


class _StillSeenError(Exception):
    """So many dead rows were carried over: a transaction sees them."""


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
        patience_s = self._engine.config.timeout_s
        deadline, pause_s = time.monotonic() + patience_s, _PAUSES_S[0]
        lock_s = max(0.001, min(patience_s, _LOCK_WAIT_S))
        try:
            while True:
                try:
                    self._engine.write(lambda session: self._rewrite(session, namespace), limited=False, wait_s=lock_s)
                    return
                except _StillSeenError as seen:
                    if time.monotonic() > deadline:
                        raise self._not_gone(namespace, seen) from None
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSES_S[1])
        finally:
            self.index(namespace)

    def _not_gone(self, namespace: str, seen: _StillSeenError) -> UnavailableError:
        return UnavailableError(
            f"{self._engine.border}: a transaction still sees {seen} deleted records of {namespace}: they are not gone",
            fix="End it (pg_stat_activity, pg_prepared_xacts, pg_replication_slots), then run the same command again",
        )

    def _rewrite(self, session: Session, namespace: str) -> None:
        _, table = self._catalog.existing(session, namespace)
        where = self._catalog.table(table)
        key = session.row(
            sql.SQL(
                "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                " WHERE i.indrelid = to_regclass({}) AND i.indisprimary"
            ).format(sql.Literal(where.as_string(session.connection)))
        )
        if key is None:
            raise CorruptError(
                f"{self._engine.border}: the table of {namespace} has no primary key",
                fix="Drop the namespace and push it again",
            )
        # Rebuilding HNSW inside would take minutes: it is built again when readers are let in.
        session.run(sql.SQL("DROP INDEX IF EXISTS {}").format(self._catalog.table(table + _SUFFIX)))
        if kept := self._kept(session, where, sql.Identifier(key[0])):
            raise _StillSeenError(kept)
        session.run(sql.SQL("ALTER TABLE {0} SET WITHOUT CLUSTER; ANALYZE {0}").format(where))

    def _kept(self, session: Session, where: sql.Identifier, key: sql.Identifier) -> int:
        """Rewrite the table; how many dead rows were carried over, as PostgreSQL says in whatever language."""
        said: list[str] = []

        def listen(notice: Diagnostic) -> None:
            if notice.message_detail:
                said.append(notice.message_detail.splitlines()[0])

        session.connection.add_notice_handler(listen)
        try:
            session.run(sql.SQL("CLUSTER VERBOSE {} USING {}").format(where, key))
        finally:
            session.connection.remove_notice_handler(listen)
        kept = dead_rows(said)
        if kept is None:
            raise UnavailableError(
                f"{self._engine.border}: PostgreSQL does not say whether deleted records are gone: {' / '.join(said)[:200]!r}",
                fix="ALTER ROLE … SET lc_messages TO 'C', then run the same command again",
            )
        return kept


def dead_rows(said: Sequence[str]) -> int | None:
    """Out of the details of what CLUSTER said, in any language: it gives one, with one number. None: something else was said."""
    numbers = [re.findall(r"\d+", line) for line in said]
    return int(numbers[0][0]) if len(numbers) == 1 and len(numbers[0]) == 1 else None
