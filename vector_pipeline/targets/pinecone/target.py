"""The Pinecone target: serverless indexes over REST.

Laws (beside those of ``vector_pipeline.targets.base``)
-----------------------------------------------------
1. One classic index a space, one namespace a line (``indexes``). Records and filters: ``encoding``, ``values``, ``conditions``.
2. There is no fencing: the registry's lease alone keeps two writers apart. Requests of a lost writer are found by the next audit.
3. ``mark`` is the log sequence number that reads see (``freshness``): it moves with everybody's writes.
4. Trying again, and what is unknown: ``calls``, ``failures``. Limits are kept on this side (``limiter``).
5. Pinecone's own namespace aliases (``aliases``) and bulk imports (``importing``) are extras: nothing here needs them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import (
    LIVE,
    Capabilities,
    Filter,
    Importer,
    Match,
    NamespaceSpec,
    NamespaceState,
    Target,
    Vector,
    WriteReceipt,
)
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.targets.pinecone.abilities import abilities
from vector_pipeline.targets.pinecone.asking import Asking
from vector_pipeline.targets.pinecone.client import PINECONE
from vector_pipeline.targets.pinecone.extras import Names, cancel_imports, importer
from vector_pipeline.targets.pinecone.freshness import Freshness
from vector_pipeline.targets.pinecone.importing import folder_of
from vector_pipeline.targets.pinecone.indexes import Indexes
from vector_pipeline.targets.pinecone.reading import Reader
from vector_pipeline.targets.pinecone.searching import Searcher, check_top_k
from vector_pipeline.targets.pinecone.service import Place, Service
from vector_pipeline.targets.pinecone.writing import Writer


class PineconeTarget(Target):
    """``base`` is where a relative folder for bulk imports begins. Nothing is opened before the first call."""

    kind = "pinecone"

    def __init__(self, name: str, config: PineconeTargetConfig, base: Path, *, read_only: bool = False) -> None:
        self.name, self.config, self.base = name, config, base
        self.read_only = read_only
        self._capabilities = abilities(config)
        self.service = Service(name, config)
        self.indexes = Indexes(self.service)
        self._freshness = Freshness(self.service)
        asking = Asking(self.service, self.indexes)
        self._reader, self._searcher = Reader(asking), Searcher(asking)
        self._writer = Writer(self.service, self._freshness, self._reader)
        self.indexes.on_gone += [self._freshness.forget, self._writer.forget]
        self.names = Names(self.service, self.indexes)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities if self.names.offered else replace(self._capabilities, aliases_namespaces=False)

    def address(self, namespace: str) -> str:
        place = self.indexes.known(namespace)
        index = place.index if place else f"{self.config.index}-*"
        return f"{self.config.host or PINECONE}/{index}/{namespace}"

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:  # noqa: ARG002 (law 2)
        checks.check_spec(spec, self._capabilities)
        self.require_writable(spec.name)
        place = self.indexes.ensure(spec)
        seen = self._freshness.see(place)
        if not seen.sentinel or (spec.owner and not seen.owner):
            lsn, number = self._freshness.touch(place, owner=seen.owner or spec.owner)
            self._freshness.wait_for(place, lsn, self.config.freshness_s, number)
        state = self.describe(spec.name)
        if state is None:
            raise UnavailableError(
                f"target {self.name}: namespace {spec.name} was made, and is gone", fix="Run it again"
            )
        return state

    def describe(self, namespace: str) -> NamespaceState | None:
        try:
            return self.indexes.again(self.indexes.place(namespace), self._state)
        except NotFoundError:
            return None

    def _state(self, place: Place) -> NamespaceState:
        # The mark first: what comes in between belongs to a later one.
        seen = self._freshness.see(place)
        found = self.indexes.describe(place)
        if found is None:
            raise self.indexes.missing(place.namespace)
        count = max(0, int(found.record_count) - seen.sentinel)
        spec = replace(_spec(place), owner=seen.owner)
        return NamespaceState(spec, count, int(found.size_bytes), seen.mark)

    def namespaces(self) -> list[str]:
        return sorted({name for index in self.indexes.all() for name in self.indexes.names(index)})

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002 (law 2)
        def write(place: Place) -> WriteReceipt:
            return self._writer.upsert(place, checks.conform(records, _spec(place), self._capabilities))

        return self.indexes.again(self._writing_to(namespace), write)

    def set_removed(
        self,
        namespace: str,
        ids: pa.Array,
        removed_in: int,
        *,
        fence: int = 0,  # noqa: ARG002 (law 2)
        ending: str = "",
    ) -> WriteReceipt:
        if not 0 <= removed_in <= LIVE:
            raise InputError(f"removed_in must be between 0 and {LIVE}, not {removed_in}")
        place, names = self._writing_to(namespace), self._ids(ids)
        return self.indexes.again(place, lambda there: self._writer.set_removed(there, names, removed_in, ending))

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002 (law 2)
        place, names = self._writing_to(namespace), self._ids(ids)
        return self.indexes.again(place, lambda there: self._writer.delete(there, names))

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:  # noqa: ARG002 (law 2)
        self.require_writable(namespace)
        cancel_imports(self, namespace)
        place = self.indexes.look(namespace)
        if place is None:
            return
        try:
            self.service.data(
                place,
                lambda index: index.delete_namespace(name=namespace),
                f"drop namespace {namespace}",
                writes=True,
            )
        except NotFoundError:
            pass
        except (ConflictError, InputError, RefusedError) as error:
            raise (self.names.keeping(place) or error) from None
        if not self.service.until(lambda: self.indexes.describe(place) is None, self.config.freshness_s):
            raise UnavailableError(f"target {self.name}: namespace {namespace} was dropped, and is still there")
        self.indexes.forget(namespace)
        self.service.limiter.forget(namespace)

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        place = self.indexes.place(namespace)
        self.indexes.again(place, lambda there: self._freshness.wait(there, receipt, timeout_s))

    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        if batch_records < 1:
            raise InputError(f"batch_records must be at least 1, not {batch_records}")
        return self._reader.scan(self.indexes.place(namespace), prefix, batch_records)

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        return self._reader.fetch(self.indexes.place(namespace), ids, vectors=vectors)

    def query(
        self,
        namespace: str,
        vectors: Vector,
        *,
        top_k: int,
        version: int | None = None,
        filter: Filter | None = None,
        exact: bool = True,  # noqa: ARG002 (there is one way)
        include_text: bool = True,
    ) -> list[list[Match]]:
        check_top_k(top_k, self._capabilities.max_top_k)
        node = None if filter is None else parse_filter(filter)
        place = self.indexes.place(namespace)
        return self._searcher.query(place, vectors, top_k, version, node, include_text=include_text)

    def point_alias(self, alias: str, namespace: str) -> None:
        if not self._capabilities.aliases_namespaces:
            super().point_alias(alias, namespace)
        self.require_writable(alias)
        self.names.point(alias, namespace)

    def drop_alias(self, alias: str) -> None:
        if not self._capabilities.aliases_namespaces:
            super().drop_alias(alias)
        self.require_writable(alias)
        self.names.drop(alias)

    def native_aliases(self) -> dict[str, str]:
        return self.names.all() if self._capabilities.aliases_namespaces else {}

    def importer(self, spec: NamespaceSpec, content: str) -> Importer:
        if not self._capabilities.imports:
            return super().importer(spec, content)
        return importer(self, spec, content)

    def import_files(self, prefix: str) -> dict[str, int]:
        folder = folder_of(self.config, self.base)
        return folder.counts(prefix) if folder is not None else {}

    def close(self) -> None:
        self.service.close()
        self.names.close()

    def require_writable(self, name: str) -> None:
        """``RefusedError`` where this target only reads."""
        if self.read_only:
            raise RefusedError(f"target {self.name} is open read-only: {self.address(name)} was not changed")

    def _writing_to(self, namespace: str) -> Place:
        self.require_writable(namespace)
        return self.indexes.place(namespace)

    def _ids(self, ids: pa.Array) -> list[str]:
        names = checks.id_table(ids)
        checks.check_ids(names.column("id"), self._capabilities.max_id_bytes)
        found: list[str] = names.column("id").to_pylist()
        return found


def _spec(place: Place) -> NamespaceSpec:
    return NamespaceSpec(place.namespace, place.dimension, place.metric, place.space)
