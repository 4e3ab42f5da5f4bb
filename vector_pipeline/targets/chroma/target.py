"""The Chroma target: one collection a namespace, in a folder of this machine or on a server.

Laws (beside those of ``vector_pipeline.targets.base``)
-----------------------------------------------------
1. ``encoding`` says how records are held, ``places`` what a namespace is and what its mark counts, ``search`` how hits are found.
2. One request lands whole or not at all, but a batch may take several (``sending``), and so does a look at many records, between
   which another batch may land: ``atomic_batches`` is False.
3. There is no fencing: the registry's lease alone keeps two writers apart.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import (
    LIVE,
    Capabilities,
    Filter,
    Match,
    NamespaceSpec,
    NamespaceState,
    Target,
    Vector,
    WriteReceipt,
)
from vector_pipeline.targets.chroma.connection import At, Connection
from vector_pipeline.targets.chroma.embedded import Embedded
from vector_pipeline.targets.chroma.encoding import SPACES
from vector_pipeline.targets.chroma.failures import Failures
from vector_pipeline.targets.chroma.names import collection_name
from vector_pipeline.targets.chroma.places import Places
from vector_pipeline.targets.chroma.purging import purge
from vector_pipeline.targets.chroma.reading import Reader
from vector_pipeline.targets.chroma.search import PAGE, Search
from vector_pipeline.targets.chroma.served import Served
from vector_pipeline.targets.chroma.writing import Writer
from vector_pipeline.targets.filters import parse_filter


class ChromaTarget(Target):
    """Relative paths of the configuration are below ``base``. Nothing is opened before the first call."""

    kind = "chroma"

    def __init__(self, name: str, config: ChromaTargetConfig, base: Path, *, read_only: bool = False) -> None:
        if find_spec("chromadb") is None:  # it is imported by the first call: heavy
            raise ModuleNotFoundError("No module named 'chromadb'", name="chromadb")
        self.name = name
        self.config = config
        self.read_only = read_only
        failures = Failures(name, config)
        self._connection: Connection = (
            Served(name, config, failures)
            if config.path is None
            else Embedded(name, base / config.path, failures, At(tenant=config.tenant, database=config.database))
        )
        self._places = Places(name, self._connection)
        self._reader = Reader(self._connection, self._places)
        self._capabilities = Capabilities(
            numeric_filters=True,
            scans_marks=True,
            atomic_batches=False,
            fencing=False,
            metrics=frozenset(SPACES),
            # Replacing 1,000 vectors in the index takes 8 s and more, and a request has 60; a server takes 40 MB of JSON.
            max_batch_records=1_000,
            max_batch_bytes=8_000_000,
            max_top_k=10_000,
            approximate=True,
            updates_metadata=True,
            sees_foreign_writes=config.path is not None,
            records_per_s=700.0,
            request_s=0.02,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def address(self, namespace: str) -> str:
        place = self.config.url if self.config.path is None else self.config.path
        return f"{place}/{self.config.tenant}/{self.config.database}/{collection_name(namespace)}"

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:  # noqa: ARG002 (no fencing)
        checks.check_spec(spec, self._capabilities)
        self._refuse_reading(spec.name)
        with self._connection.session():
            return self._places.state(self._places.ensure(spec))

    def describe(self, namespace: str) -> NamespaceState | None:
        return self._reader.describe(namespace) if self._connection.exists() else None

    def namespaces(self) -> list[str]:
        return self._places.names() if self._connection.exists() else []

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002
        return self._writer(namespace).upsert(records, self._capabilities)

    def set_removed(
        self,
        namespace: str,
        ids: pa.Array,
        removed_in: int,
        *,
        fence: int = 0,  # noqa: ARG002
        ending: str = "",  # noqa: ARG002 (there is one way)
    ) -> WriteReceipt:
        if not 0 <= removed_in <= LIVE:
            raise InputError(f"removed_in must be between 0 and {LIVE}, not {removed_in}")
        wanted = checks.id_table(ids).column("id").to_pylist()
        return self._writer(namespace).set_removed(wanted, int(removed_in))

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002
        return self._writer(namespace).set_metadata(records, self._capabilities)

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002
        return self._writer(namespace).delete(checks.id_table(ids).column("id").to_pylist())

    def purge(self, namespace: str) -> None:
        """Copy the collection and delete it (``purging``): it is as slow as writing everything again."""
        self._refuse_reading(namespace)
        purge(self._connection, self._places, namespace)

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:  # noqa: ARG002
        self._refuse_reading(namespace)
        if self._connection.exists():
            with self._connection.session():
                self._places.drop(namespace)

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        """Returns at once: Chroma applies its log before a write returns."""

    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        if batch_records < 1:
            raise InputError(f"batch_records must be at least 1, not {batch_records}")
        return self._reader.scan(namespace, prefix, min(batch_records, PAGE))

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        wanted = checks.id_table(ids).column("id").to_pylist()
        return self._reader.fetch(namespace, wanted, vectors=vectors)

    def query(
        self,
        namespace: str,
        vectors: Vector,
        *,
        top_k: int,
        version: int | None = None,
        filter: Filter | None = None,
        exact: bool = True,
        include_text: bool = True,
    ) -> list[list[Match]]:
        if not 1 <= top_k <= self._capabilities.max_top_k:
            raise InputError(f"top_k must be between 1 and {self._capabilities.max_top_k}, not {top_k}")
        search = Search(top_k, version, None if filter is None else parse_filter(filter), exact)
        return self._reader.query(namespace, partial(checks.check_queries, vectors), search, include_text=include_text)

    def close(self) -> None:
        self._connection.close()

    def _writer(self, namespace: str) -> Writer:
        self._refuse_reading(namespace)
        return Writer(self._connection, self._places, namespace)

    def _refuse_reading(self, namespace: str) -> None:
        if self.read_only:
            raise RefusedError(f"target {self.name} is read-only: {self.address(namespace)} was not changed")
