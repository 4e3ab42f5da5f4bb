"""The pgvector target: a table a namespace, every write one transaction.

Laws (beside those of ``vector_pipeline.targets.base``)
-----------------------------------------------------
1. Records, fence, mark and count change in one transaction, under the lock of the namespace's row: a crash leaves all or nothing.
2. Everybody's statements change the mark: ours by us, others' by a trigger.
3. Readers take no lock and see one snapshot: of a query, of all batches of a scan.
4. Vectors travel as float32 in COPY's binary form and back: no Python for each, no bit lost.
5. Scores: cosine; inner product; *negative* Euclidean distance. A zero vector has cosine 0 to everything. Ties by id.

psycopg, not ADBC: 20,000 × 384 into a temporary table and merged from there, on two idle cores, took 0.55 s by COPY of numpy's and
Arrow's buffers and 1.1 to 1.3 s by ``adbc_ingest``, whose vectors become lists first; read back, 0.2 s against 0.8 s.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from psycopg import sql

from vector_pipeline.config import PgvectorTargetConfig
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import (
    LIVE,
    MARK_SCHEMA,
    Capabilities,
    Match,
    NamespaceSpec,
    NamespaceState,
    Target,
    Vector,
    WriteReceipt,
    record_schema,
)
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.targets.pgvector.catalog import Catalog, check_name
from vector_pipeline.targets.pgvector.engine import Engine, Session
from vector_pipeline.targets.pgvector.search import METADATA, Search, approximately, exactly
from vector_pipeline.targets.pgvector.tables import table_name
from vector_pipeline.targets.pgvector.upkeep import Upkeep
from vector_pipeline.targets.pgvector.values import UNSTORED, table_of
from vector_pipeline.targets.pgvector.writer import Writer, known_ids


class PgvectorTarget(Target):
    """Tables in one schema of one database. Nothing is opened before the first call."""

    kind = "pgvector"

    def __init__(self, name: str, config: PgvectorTargetConfig, *, read_only: bool = False) -> None:
        self.name = name
        self.config = config
        self.read_only = read_only
        self._capabilities = Capabilities(
            numeric_filters=True,
            scans_marks=True,
            atomic_batches=True,
            fencing=True,
            metrics=frozenset({"cosine", "dotproduct", "euclidean"}),
            max_batch_records=20_000,
            max_batch_bytes=128_000_000,
            max_top_k=10_000,
            approximate=config.hnsw,
            derives=True,
            updates_metadata=True,
            parallel_writes=2,
            # An HNSW index is what takes the time, when it is built and when it grows.
            records_per_s=3_000.0 if config.hnsw else 20_000.0,
            request_s=0.02,
        )
        self._engine = Engine(name, config)
        self._catalog = Catalog(self._engine)
        self._writer = Writer(self._engine, self._catalog, lambda: self._capabilities)
        self._upkeep = Upkeep(self._engine, self._catalog)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def address(self, namespace: str) -> str:
        return f"postgresql://{self._engine.where} {self.config.db_schema}.{table_name(namespace)}"

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        return self._writing(spec.name).ensure(spec, fence)

    def describe(self, namespace: str) -> NamespaceState | None:
        check_name(namespace)

        def work(session: Session) -> NamespaceState | None:
            row = self._catalog.find(session, namespace) if self._catalog.there(session) else None
            return None if row is None or row.table is None else self._catalog.state(session, row)

        return self._engine.read(work)

    def namespaces(self) -> list[str]:
        return self._engine.read(self._catalog.names)

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).upsert(namespace, records, fence)

    def set_removed(
        self,
        namespace: str,
        ids: pa.Array,
        removed_in: int,
        *,
        fence: int = 0,
        ending: str = "",  # noqa: ARG002 (there is one way)
    ) -> WriteReceipt:
        if not 0 <= removed_in <= LIVE:
            raise InputError(f"removed_in must be between 0 and {LIVE}, not {removed_in}")
        return self._writing(namespace).set_removed(namespace, ids, int(removed_in), fence)

    def derive(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).derive(namespace, records, fence)

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).set_metadata(namespace, records, fence)

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).delete(namespace, ids, fence)

    def purge(self, namespace: str) -> None:
        """Rewrite the table without what was deleted. WAL, replicas and backups keep it until they are recycled."""
        self._writing(namespace)
        self._upkeep.purge(namespace)

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        self._writing(namespace).drop(namespace, fence)

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:  # noqa: ARG002
        """A write is visible to every reader when it returns. After a push this builds the HNSW index, where one is wanted."""
        if not self.read_only:
            self._upkeep.index(namespace)

    def _writing(self, namespace: str) -> Writer:
        check_name(namespace)
        if self.read_only:
            raise RefusedError(f"target {self.name} is open read-only: {self.address(namespace)} was not changed")
        return self._writer

    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        if batch_records < 1:
            raise InputError(f"batch_records must be at least 1, not {batch_records}")
        check_name(namespace)
        return self._scan(namespace, prefix, batch_records)

    def _scan(self, namespace: str, prefix: str, batch_records: int) -> Iterator[pa.RecordBatch]:
        def declare(session: Session) -> None:
            _, table = self._catalog.existing(session, namespace)
            test = sql.SQL("starts_with(id, {})").format(sql.Literal(prefix)) if prefix else sql.SQL("true")
            session.run(
                sql.SQL("DECLARE marks NO SCROLL CURSOR FOR SELECT {} FROM {} WHERE {} ORDER BY id").format(
                    sql.SQL(", ".join(MARK_SCHEMA.names)), self._catalog.table(table), test
                )
            )

        if UNSTORED.search(prefix):
            return  # no id begins so
        with self._engine.reading(declare) as (session, _):
            fetch = sql.SQL(f"FETCH FORWARD {int(batch_records)} FROM marks")
            while rows := session.rows(fetch):
                yield from table_of(rows, MARK_SCHEMA).combine_chunks().to_batches()

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        names = known_ids(ids)

        def work(session: Session) -> pa.Table:
            row, table = self._catalog.existing(session, namespace)
            schema = record_schema(row.spec.dimension)
            if not vectors:
                schema = schema.remove(schema.get_field_index("vector"))
            read = {"vector": "vector_send(vector)", "metadata": METADATA}
            columns = sql.SQL(", ").join(
                sql.SQL(read[name]) if name in read else sql.Identifier(name) for name in schema.names
            )
            statement = sql.SQL("SELECT {} FROM {} WHERE id = ANY(%(ids)s)").format(columns, self._catalog.table(table))
            return table_of(session.rows(statement, {"ids": names}), schema)

        return self._engine.read(work)

    def query(
        self,
        namespace: str,
        vectors: Vector,
        *,
        top_k: int,
        version: int | None = None,
        filter: Mapping[str, Any] | None = None,
        exact: bool = True,
        include_text: bool = True,
    ) -> list[list[Match]]:
        if not 1 <= top_k <= self._capabilities.max_top_k:
            raise InputError(f"top_k must be between 1 and {self._capabilities.max_top_k}, not {top_k}")
        condition = None if filter is None else parse_filter(filter)

        def work(session: Session) -> list[list[Match]]:
            row, table = self._catalog.existing(session, namespace)
            queries = checks.check_queries(vectors, row.spec.dimension)
            search = Search(self._catalog.table(table), row.spec.metric, top_k, version, condition, include_text)
            if exact or not self._capabilities.approximate:
                return exactly(session, search, queries)
            return approximately(session, search, queries, self.config.hnsw_ef_search)

        return self._engine.read(work)

    def close(self) -> None:
        self._engine.close()
