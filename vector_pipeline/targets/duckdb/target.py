"""The DuckDB target: exact search over a folder of immutable files, for one machine or one shared disk.

Laws (beside those of ``vector_pipeline.targets.base``)
-----------------------------------------------------
1. ``<root>/<namespace>/CURRENT`` names one manifest, a manifest names immutable files: readers in any process take no lock,
   are never blocked, and see one whole state. A .duckdb file that is written in place would shut them out.
2. One writer at a time per namespace, by a file lock; its fence is checked under the lock and is remembered even after a drop.
3. Every write costs what it changes: records go into a new segment, deaths and closings into a small change file. Derived
   records and new metadata make a segment too: its vectors are joined from the old ones inside the engine.
4. ``mark`` is the namespace's incarnation and the number of its last change: compaction leaves it, a drop does not.
5. Scores: cosine; inner product; *negative* Euclidean distance. A zero vector has cosine 0 to everything. Ties by id.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from vector_pipeline.errors import InputError, NotFoundError, RefusedError
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
from vector_pipeline.targets.duckdb.approximate import approximately_nearest
from vector_pipeline.targets.duckdb.engine import Engine
from vector_pipeline.targets.duckdb.failures import VanishedError, lost_files, translated
from vector_pipeline.targets.duckdb.folder import Folder, check_name, is_name
from vector_pipeline.targets.duckdb.holding import Holder
from vector_pipeline.targets.duckdb.relations import live, located
from vector_pipeline.targets.duckdb.search import Search, matches_of, set_queries
from vector_pipeline.targets.duckdb.sweep import swept
from vector_pipeline.targets.duckdb.writer import Writer
from vector_pipeline.targets.filters import parse_filter


class DuckDBTarget(Target):
    """``root`` is the folder of all namespaces; it is made by the first write."""

    kind = "duckdb"

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        memory_limit: str = "2GB",
        hnsw: bool = False,
        read_only: bool = False,
        lock_timeout_s: float = 120.0,
    ) -> None:
        self.name = name
        self.root = root
        self.read_only = read_only
        self._capabilities = Capabilities(
            numeric_filters=True,
            scans_marks=True,
            atomic_batches=True,
            fencing=True,
            metrics=frozenset({"cosine", "dotproduct", "euclidean"}),
            max_batch_records=50_000,
            max_batch_bytes=512_000_000,
            max_top_k=10_000,
            approximate=hnsw,
            derives=True,
            updates_metadata=True,
            records_per_s=20_000.0,
            request_s=0.03,
        )
        self._engine = Engine(root, memory_limit, hnsw=hnsw)
        self._holder = Holder(self._engine)
        self._writer = Writer(self._engine, root, self._capabilities, hnsw, lock_timeout_s)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def address(self, namespace: str) -> str:
        return str(self.root / namespace)

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        return self._writing(spec.name).ensure(spec, fence)

    def describe(self, namespace: str) -> NamespaceState | None:
        folder = Folder(self.root / check_name(namespace))
        while (pointer := folder.pointer()) is not None:
            try:
                return folder.load(pointer).state()
            except VanishedError:
                if folder.pointer() == pointer:
                    raise lost_files(folder.path) from None
        return None

    def namespaces(self) -> list[str]:
        with translated(self.root):
            return sorted(file.parent.name for file in self.root.glob("*/CURRENT") if is_name(file.parent.name))

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
        return self._writing(namespace).set_removed(namespace, ids, removed_in, fence)

    def derive(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).derive(namespace, records, fence)

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).set_metadata(namespace, records, fence)

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        return self._writing(namespace).delete(namespace, ids, fence)

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        self._writing(namespace).drop(namespace, fence)

    def compact(self, namespace: str) -> None:
        """Merge all files of a namespace into one. Readers go on meanwhile; content and mark stay."""
        self._writing(namespace).compact(namespace)

    def purge(self, namespace: str) -> None:
        """Compact, and delete every file that the present state does not need: readers open the new ones."""
        self._writing(namespace).compact(namespace, at_once=True)

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        """Returns at once: a write is visible to every reader when it returns."""

    def _writing(self, namespace: str) -> Writer:
        if self.read_only:
            raise RefusedError(
                f"target {self.name} is open for reading only: {self.address(namespace)} was not changed"
            )
        return self._writer

    def _folder(self, namespace: str) -> Folder:
        folder = Folder(self.root / check_name(namespace))
        if folder.pointer() is None:
            raise NotFoundError(f"target {self.name} has no namespace {namespace} ({folder.path})")
        return folder

    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        if batch_records < 1:
            raise InputError(f"batch_records must be at least 1, not {batch_records}")
        return self._scan(self._folder(namespace), prefix, batch_records)

    def _scan(self, folder: Folder, prefix: str, batch_records: int) -> Iterator[pa.RecordBatch]:
        with self._engine.view(folder) as view, self._engine.cursor(streams=True) as cursor:
            rows = live(view, MARK_SCHEMA.names)
            columns = ", ".join(MARK_SCHEMA.names)
            where, parameters = "", {}
            if prefix:
                where, parameters = " WHERE id >= $prefix AND starts_with(id, $prefix)", {"prefix": prefix}
            reader = cursor.execute(f"SELECT {columns} FROM ({rows}){where} ORDER BY id", parameters).to_arrow_reader(
                batch_records
            )
            for batch in reader:
                if batch.num_rows:
                    yield batch.cast(MARK_SCHEMA)

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        wanted = checks.id_table(ids)
        with self._engine.view(self._folder(namespace)) as view, self._engine.cursor() as cursor:
            schema = record_schema(view.manifest.spec.dimension)
            if not vectors:
                schema = schema.remove(schema.get_field_index("vector"))
            found, only = located(wanted, view, cursor)
            cursor.register("located", found)
            rows = live(view, schema.names, only)
            table = cursor.execute(f"SELECT {', '.join(schema.names)} FROM ({rows})").to_arrow_table()
            return table.cast(schema)

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
        search = Search(top_k, version, None if filter is None else parse_filter(filter), include_text)
        with self._engine.view(self._folder(namespace)) as view, self._engine.cursor() as cursor:
            queries = checks.check_queries(vectors, view.manifest.spec.dimension)
            matches = self._holder.matches(cursor, view, search, queries)
            if matches is not None:
                return matches
            set_queries(cursor, view, queries)
            found = (
                swept(self._engine, self._holder.masks, cursor, view, search, queries)
                if exact or not self._capabilities.approximate
                else approximately_nearest(cursor, view, search, queries)
            )
            hits = [found.get(number, []) for number in range(len(queries))]
            return matches_of(cursor, view, hits, include_text=include_text)

    def hold(self, namespace: str) -> bool:
        """Read a namespace's vectors into memory now, not at its second search; whether they are held (``holding``, law 2)."""
        return self._holder.hold(self._folder(namespace))

    def close(self) -> None:
        self._holder.close()
        self._engine.close()
