"""A target in memory, for tests: the whole contract, exact, and quick enough for state machines.

It passes the conformance suite, so a machine that runs over it proves what it proves over a real target, a thousand times as
often. What it can do is set by the constructor: a planner must meet targets that cannot do everything, that show late what was
written (``lag``), or that count their own writes only (``sees_foreign_writes``).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pyarrow as pa

from vector_pipeline.errors import InputError, NotFoundError, RefusedError, UnavailableError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import (
    LIVE,
    MARK_SCHEMA,
    Capabilities,
    Ending,
    Filter,
    Match,
    NamespaceSpec,
    NamespaceState,
    Target,
    Vector,
    WriteReceipt,
)
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.testing.memory_search import nearest, visible
from vector_pipeline.testing.memory_store import MemoryStore, Record, Records, State, records_of, table_of

_Write = Callable[[State], tuple[Records, int]]


class MemoryTarget(Target):
    """``store`` is what several instances share; each makes its own where none is given.

    ``lag``: reads see what was ``lag`` ticks ago. Every read is a tick, and ``tick`` makes more: no clock is asked.
    """

    kind = "memory"

    def __init__(
        self,
        name: str = "memory",
        store: MemoryStore | None = None,
        *,
        numeric_filters: bool = True,
        scans_marks: bool = True,
        fencing: bool = True,
        derives: bool = True,
        updates_metadata: bool = True,
        max_batch_records: int = 1_000,
        max_batch_bytes: int = 64_000_000,
        parallel_writes: int = 1,
        max_id_bytes: int = 512,
        max_metadata_bytes: int | None = None,
        max_record_bytes: int | None = None,
        zero_vectors: bool = True,
        exact: bool = True,
        orders_lists: bool = True,
        sees_foreign_writes: bool = True,
        endings: tuple[Ending, ...] = (),
        billing: str = "linear",
        aliases_namespaces: bool = False,
        records_per_s: float = 100_000.0,
        lag: int = 0,
    ) -> None:
        self.name = name
        self.store = MemoryStore() if store is None else store
        self.store.remember(lag)
        self.endings: list[str] = []
        """The ``ending`` of every ``set_removed``, in order."""
        self._lag = lag
        self._closed = False
        self._capabilities = Capabilities(
            numeric_filters=numeric_filters,
            scans_marks=scans_marks,
            atomic_batches=True,
            fencing=fencing,
            metrics=frozenset({"cosine", "dotproduct", "euclidean"}),
            max_batch_records=max_batch_records,
            max_batch_bytes=max_batch_bytes,
            max_top_k=10_000,
            derives=derives,
            updates_metadata=updates_metadata,
            parallel_writes=parallel_writes,
            records_per_s=records_per_s,
            request_s=0.001,
            eventually_consistent=lag > 0,
            max_id_bytes=max_id_bytes,
            max_metadata_bytes=max_metadata_bytes,
            max_record_bytes=max_record_bytes,
            zero_vectors=zero_vectors,
            exact=exact,
            orders_lists=orders_lists,
            sees_foreign_writes=sees_foreign_writes,
            endings=endings,
            billing=billing,
            aliases_namespaces=aliases_namespaces,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def address(self, namespace: str) -> str:
        return f"memory:{self.name}/{namespace}"

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        checks.check_spec(spec, self._capabilities)
        found = self._open().get(spec.name)
        if found is None or checks.difference(spec, found.spec) is None:
            found = self._open().ensure(spec, self._fence(fence))
        if different := checks.difference(spec, found.spec):
            raise RefusedError(f"namespace {spec.name} exists: {different}", fix="Use another namespace or drop it")
        return found.described(foreign=self._capabilities.sees_foreign_writes)

    def describe(self, namespace: str) -> NamespaceState | None:
        state = self._seen(namespace)
        return None if state is None else state.described(foreign=self._capabilities.sees_foreign_writes)

    def namespaces(self) -> list[str]:
        return self._open().names(self._lag)

    def tick(self, ticks: int = 1) -> None:
        """Let time pass, for readers with a lag."""
        self.store.tick(ticks)

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        def write(state: State) -> tuple[Records, int]:
            new = records_of(checks.conform(records, state.spec, self._capabilities), state.spec.dimension)
            return {**state.records, **new}, len(new)

        return self._change(namespace, fence, write, records.nbytes)

    def set_removed(
        self,
        namespace: str,
        ids: pa.Array,
        removed_in: int,
        *,
        fence: int = 0,
        ending: str = "",
    ) -> WriteReceipt:
        if ending and all(one.name != ending for one in self._capabilities.endings):
            raise InputError(f"target {self.name} knows no ending {ending!r}")
        self.endings.append(ending)
        if not 0 <= removed_in <= LIVE:
            raise InputError(f"removed_in must be between 0 and {LIVE}, not {removed_in}")
        wanted = checks.id_table(ids).column("id").to_pylist()

        def write(state: State) -> tuple[Records, int]:
            found = (state.records[name] for name in wanted if name in state.records)
            new = {row.id: replace(row, removed_in=int(removed_in)) for row in found if row.removed_in != removed_in}
            return {**state.records, **new}, len(new)

        return self._change(namespace, fence, write, 8 * len(wanted))

    def derive(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        if not self._capabilities.derives:
            return super().derive(namespace, records, fence=fence)

        def write(state: State) -> tuple[Records, int]:
            rows = checks.conform_derived(records, self._capabilities).to_pylist()
            unknown = sorted({row["source_id"] for row in rows} - state.records.keys())
            if unknown:
                raise RefusedError(f"{len(unknown)} sources are not in namespace {namespace}, such as {unknown[0]}")
            new = {row["id"]: replace(state.records[row.pop("source_id")], **row) for row in rows}
            return {**state.records, **new}, len(new)

        return self._change(namespace, fence, write, records.nbytes)

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        if not self._capabilities.updates_metadata:
            return super().set_metadata(namespace, records, fence=fence)

        def write(state: State) -> tuple[Records, int]:
            rows = checks.conform_metadata(records, self._capabilities).to_pylist()
            new = {row["id"]: replace(state.records[row["id"]], **row) for row in rows if row["id"] in state.records}
            changed = {name: row for name, row in new.items() if not _same_metadata(row, state.records[name])}
            return {**state.records, **changed}, len(changed)

        return self._change(namespace, fence, write, records.nbytes)

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        gone = set(checks.id_table(ids).column("id").to_pylist())

        def write(state: State) -> tuple[Records, int]:
            kept = {name: record for name, record in state.records.items() if name not in gone}
            return kept, len(state.records) - len(kept)

        return self._change(namespace, fence, write, 8 * len(gone))

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        names = sorted(name for name, place in self._open().aliases.items() if place == namespace)
        if names:
            raise RefusedError(f"name {names[0]} points at namespace {namespace}: it is not dropped")
        self._open().drop(namespace, self._fence(fence))

    def wait_until_fresh(
        self,
        namespace: str,  # noqa: ARG002 (everybody's)
        receipt: WriteReceipt,  # noqa: ARG002 (every write)
        *,
        timeout_s: float = 60.0,  # noqa: ARG002 (ticks, not seconds)
    ) -> None:
        """Lets so much time pass that every reader sees what was written."""
        self.store.tick(self._lag)

    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        if batch_records < 1:
            raise InputError(f"batch_records must be at least 1, not {batch_records}")
        rows = [record for record in self._state(namespace).ordered if record.id.startswith(prefix)]
        return (self._marks(rows[start : start + batch_records]) for start in range(0, len(rows), batch_records))

    def _marks(self, rows: list[Record]) -> pa.RecordBatch:
        told = MARK_SCHEMA.names if self._capabilities.scans_marks else ["id"]
        columns = [[getattr(row, name) if name in told else None for row in rows] for name in MARK_SCHEMA.names]
        return pa.RecordBatch.from_pydict(dict(zip(MARK_SCHEMA.names, columns, strict=True)), schema=MARK_SCHEMA)

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        state = self._state(namespace)
        wanted = checks.id_table(ids).column("id").to_pylist()
        found = table_of([state.records[name] for name in wanted if name in state.records], state.spec.dimension)
        return found if vectors else found.drop_columns(["vector"])

    def query(
        self,
        namespace: str,
        vectors: Vector,
        *,
        top_k: int,
        version: int | None = None,
        filter: Filter | None = None,
        exact: bool = True,  # noqa: ARG002 (always is)
        include_text: bool = True,
    ) -> list[list[Match]]:
        if not 1 <= top_k <= self._capabilities.max_top_k:
            raise InputError(f"top_k must be between 1 and {self._capabilities.max_top_k}, not {top_k}")
        if version is not None and not self._capabilities.numeric_filters:
            raise RefusedError(f"target {self.name} cannot filter by version")
        state = self._state(namespace)
        queries = checks.check_queries(vectors, state.spec.dimension)
        chosen = visible(state, version, None if filter is None else parse_filter(filter))
        return [nearest(state, chosen, query, top_k, include_text=include_text) for query in queries]

    def point_alias(self, alias: str, namespace: str) -> None:
        if not self._capabilities.aliases_namespaces:
            super().point_alias(alias, namespace)
        self._state(namespace)
        self.store.aliases[alias] = namespace

    def drop_alias(self, alias: str) -> None:
        if not self._capabilities.aliases_namespaces:
            super().drop_alias(alias)
        self._open().aliases.pop(alias, None)

    def native_aliases(self) -> dict[str, str]:
        return dict(self._open().aliases)

    def close(self) -> None:
        self._closed = True

    def _open(self) -> MemoryStore:
        if self._closed:
            raise UnavailableError(f"target {self.name} is closed")
        return self.store

    def _seen(self, namespace: str) -> State | None:
        """As a reader sees it: reading takes a tick."""
        store = self._open()
        if self._lag:
            store.tick()
        return store.get(namespace, self._lag)

    def _state(self, namespace: str) -> State:
        state = self._seen(namespace)
        if state is None:
            raise NotFoundError(f"target {self.name} has no namespace {namespace}")
        return state

    def _fence(self, fence: int) -> int | None:
        return fence if self._capabilities.fencing else None

    def _change(self, namespace: str, fence: int, write: _Write, travelled: int) -> WriteReceipt:
        foreign = self._capabilities.sees_foreign_writes
        state, changed = self._open().change(namespace, self._fence(fence), write, counted=not foreign)
        return WriteReceipt(changed, travelled if changed else 0, mark=state.marked(foreign=foreign))


def _same_metadata(a: Record, b: Record) -> bool:
    return (a.metadata_hash, a.metadata) == (b.metadata_hash, b.metadata)
