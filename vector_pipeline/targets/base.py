"""The contract of a target: a system that serves vectors.

Laws that every adapter keeps (the conformance suite in ``vector_pipeline.testing`` proves them)
------------------------------------------------------------------------------------------------
1. A public method never lets a foreign exception out: it raises from ``vector_pipeline.errors``. A write that may have
   landed raises ``UnknownOutcomeError``.
2. Writes are idempotent: the same batch twice equals once. ``upsert`` replaces a whole record by id.
3. A read sees every write that returned before it, after ``wait_until_fresh``; it never sees half a batch where
   ``capabilities.atomic_batches`` is true.
4. ``query(..., version=r)`` sees only records with ``added_in <= r < removed_in``; the filter is applied *before* the
   top k is taken: it never returns fewer than k hits while k records match.
5. Every write carries the fencing number of its lease. A number below the highest that the namespace has seen is refused
   (``ConflictError``) where ``capabilities.fencing`` is true.
6. Abilities are declared in ``capabilities``, never found out by a failing call.
7. Metadata is a strict JSON object (RFC 8259) without reserved keys; anything else is ``InputError``. What is fetched is the same
   JSON value that was written, whatever the system can hold natively.
8. What a service refuses for the moment (429, 5xx before anything was done, no connection) the adapter tries again within its
   configured time, and counts in ``WriteReceipt.retried``. What may have landed it never repeats by itself: that is
   ``UnknownOutcomeError``, and its caller reads back.
9. An adapter's own bookkeeping records are seen by no reading method.
10. No key, password or token is in any message, address, log or exception.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.errors import RefusedError

LIVE = 2**53 - 1
"""``removed_in`` of a record that no version has removed: the largest integer that a JSON number holds exactly."""

RESERVED_PREFIX = "vp_"
"""Metadata keys that begin so belong to the pipeline, on every target, and are refused in user metadata."""

Vector = npt.NDArray[np.float32]
Filter = Mapping[str, Any]
"""A metadata filter in Pinecone's language: see ``vector_pipeline.targets.filters``."""


def record_schema(dimension: int) -> pa.Schema:
    """Arrow schema of records on their way into a target. ``metadata`` is a JSON object of user metadata."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("vector", pa.list_(pa.float32(), dimension)),
            ("document_id", pa.string()),
            ("content_hash", pa.string()),
            ("metadata_hash", pa.string()),
            ("space", pa.string()),
            ("added_in", pa.int64()),
            ("removed_in", pa.int64()),
            ("text", pa.string()),
            ("metadata", pa.string()),
        ]
    )


MARK_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("content_hash", pa.string()),
        ("metadata_hash", pa.string()),
        ("space", pa.string()),
        ("added_in", pa.int64()),
        ("removed_in", pa.int64()),
    ]
)
"""What ``scan`` yields: everything that identifies a record, and no vector."""


DERIVE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source_id", pa.string()),
        ("metadata_hash", pa.string()),
        ("metadata", pa.string()),
        ("added_in", pa.int64()),
        ("removed_in", pa.int64()),
    ]
)
"""Records that take document, content, text, space and vector from an existing record: no vector travels."""

METADATA_SCHEMA = pa.schema([("id", pa.string()), ("metadata_hash", pa.string()), ("metadata", pa.string())])
"""New metadata of existing records."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can do. Planner and apply read these; they never try and see."""

    numeric_filters: bool
    """Versions can share a namespace (the versioned strategy)."""
    scans_marks: bool
    """``scan`` returns version marks and hashes, not ids alone."""
    atomic_batches: bool
    fencing: bool
    metrics: frozenset[str]
    max_batch_records: int
    max_batch_bytes: int
    max_top_k: int
    approximate: bool = False
    """``query(exact=False)`` may use an approximate index."""
    eventually_consistent: bool = False
    max_id_bytes: int = 512
    max_metadata_bytes: int | None = None
    derives: bool = False
    """``derive`` works: metadata changes and returning content need no vector on the way."""
    updates_metadata: bool = False
    """``set_metadata`` works: metadata is replaced in place without the vector."""
    parallel_writes: int = 1
    """Most writes that are worth having under way at once."""
    records_per_s: float = 5_000.0
    """Expected rate of written records, before any push was measured: for estimates only."""
    request_s: float = 0.02
    """Expected time of one request beside its records: for estimates only."""
    exact: bool = True
    """``query(exact=True)`` looks at every record. Where False it does the best the system can, and ties at the end of the top k
    are cut as the system likes."""
    sees_foreign_writes: bool = True
    """``describe``'s mark changes with everybody's writes. Where False it changes with those through this adapter only: an equal
    mark proves nothing, and drift is looked for by ids."""
    orders_lists: bool = True
    """A filter's ``$gt`` and its kin look at the elements of lists. Where False such values are never ordered."""
    max_record_bytes: int | None = None
    """Most bytes of text, metadata and marks of one record together, as JSON."""
    record_overhead: int = 200
    """Bytes of a record beside vector, text and metadata: ids, hashes and marks, with their names. For estimates."""
    zero_vectors: bool = True
    """A vector of zeros is taken, whatever the metric."""
    endings: "tuple[Ending, ...]" = ()
    """Ways of closing intervals (``set_removed``), for the planner to choose from; none: there is one, as fast as any write."""
    fixed_dimension: bool = False
    """Namespaces lie in indexes of one dimension and metric each: a space with another one takes another index."""
    aliases_namespaces: bool = False
    """The system itself has names that point at namespaces (``point_alias``)."""
    imports: bool = False
    """A namespace that does not exist yet can be filled from Parquet files (``importer``)."""
    import_s: float = 600.0
    """Least expected time of an import, however little it reads: for estimates only."""
    import_bytes_per_s: float = 50e6
    """Expected rate of an import, its files' writing included: for estimates only."""
    billing: str = "linear"
    """How ``PriceConfig`` becomes money: ``linear``, or ``pinecone`` (see ``vector_pipeline.targets.billing``)."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One way in which a target closes intervals: what the planner weighs, and ``set_removed`` is told to take."""

    name: str
    """``update``: each record by its id; ``filter``: many with one request; ``rewrite``: read and written again, whole."""
    records_per_request: int
    requests_per_s: float
    records_per_s: float
    """The smaller of both rates counts."""
    rewrites: bool = False
    """Vectors travel: there and back."""


@dataclass(frozen=True, slots=True)
class NamespaceSpec:
    """What a namespace must be for a space: refused when it exists and differs."""

    name: str
    dimension: int
    metric: str
    """``cosine``, ``dotproduct`` or ``euclidean``."""
    space: str
    """Fingerprint of the embedding space: 16 hex characters."""
    owner: str = field(default="", compare=False)
    """Whose it is: the id of the registry that made it, ``/``, and for people its environment. Empty: nobody's yet. No part of
    what a namespace is: adapters keep it, and refuse nothing because of it."""


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """What a namespace is now. ``mark`` changes with every write: two equal marks mean an unchanged namespace."""

    spec: NamespaceSpec
    records: int
    bytes: int
    mark: str


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """What one write did: for the journal, and for ``wait_until_fresh``."""

    records: int
    bytes: int
    requests: int = 1
    mark: str | None = None
    """The namespace's, after it, as ``describe`` gives it once reads see the write; None where the target does not say."""
    retried: Mapping[str, int] = field(default_factory=dict)
    """How often the adapter tried again, by reason: ``429``, ``503``, ``connection``."""


@dataclass(frozen=True, slots=True)
class Match:
    """One hit of a query. ``score``: higher is better, whatever the metric."""

    id: str
    score: float
    document_id: str
    content_hash: str
    added_in: int
    removed_in: int
    text: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Target(ABC):
    """A system that serves vectors. One instance may be used by several threads for reading and one for writing."""

    name: str
    """The target's name in the configuration."""
    kind: str
    """``duckdb``, ``pinecone``, …"""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities: ...

    @abstractmethod
    def address(self, namespace: str) -> str:
        """Where the namespace is, for a person: no secret in it."""

    @abstractmethod
    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        """Create the namespace, or check that it is as ``spec`` says (``RefusedError`` names the difference).

        ``spec.owner`` is kept, and comes back with ``describe``; one that is there without an owner gets it, one with an owner
        keeps its own.
        """

    @abstractmethod
    def describe(self, namespace: str) -> NamespaceState | None:
        """State of a namespace; None when it does not exist."""

    @abstractmethod
    def namespaces(self) -> list[str]:
        """Names of all namespaces, sorted."""

    @abstractmethod
    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        """Insert or replace whole records (``record_schema``). At most ``max_batch_records`` rows and ``max_batch_bytes``."""

    @abstractmethod
    def set_removed(
        self, namespace: str, ids: pa.Array, removed_in: int, *, fence: int = 0, ending: str = ""
    ) -> WriteReceipt:
        """Set ``removed_in`` of existing records: closes an interval (or reopens it, with ``LIVE``). Unknown ids are ignored.

        ``ending``: the name of one of ``capabilities.endings``; default: the adapter chooses.
        """

    def derive(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002 (for adapters)
        """Insert or replace records (``DERIVE_SCHEMA``) that take everything else from the record ``source_id``.

        An unknown ``source_id`` is ``RefusedError`` and nothing is written. A source may derive itself, but one that the same
        call makes of another is ``InputError``: the call twice would not equal the call once. Only where
        ``capabilities.derives``.
        """
        raise RefusedError(f"target {self.name} cannot derive records in {namespace}")

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:  # noqa: ARG002 (for adapters)
        """Replace metadata of existing records (``METADATA_SCHEMA``), marks and vector untouched. Unknown ids are ignored.

        Only where ``capabilities.updates_metadata``.
        """
        raise RefusedError(f"target {self.name} cannot update metadata in {namespace}")

    @abstractmethod
    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        """Delete records. Unknown ids are ignored."""

    def purge(self, namespace: str) -> None:  # noqa: B027 (most targets keep nothing of what was deleted)
        """Make deleted records physically gone where a target's files still hold them. Content and mark stay."""

    @abstractmethod
    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        """Delete a namespace with everything in it. Dropping what does not exist is no error."""

    @abstractmethod
    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        """Return once reads see that write, or raise ``UnavailableError`` at the deadline."""

    @abstractmethod
    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        """All records as ``MARK_SCHEMA`` batches, ids ascending, from one consistent view where the target has one."""

    @abstractmethod
    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        """Whole records by id (``record_schema``; without ``vector`` on request), unknown ids left out, in no set order."""

    @abstractmethod
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
        """Nearest records of each of float32[n, dim] ``vectors``, best first; ties by id. ``version`` applies law 4."""

    def point_alias(self, alias: str, namespace: str) -> None:  # noqa: ARG002 (for adapters)
        """Let the system's own name ``alias`` point at a namespace, at once; made where it does not exist. Idempotent.

        Only where ``capabilities.aliases_namespaces``.
        """
        raise RefusedError(f"target {self.name} has no names of its own for namespaces")

    def drop_alias(self, alias: str) -> None:  # noqa: ARG002 (for adapters)
        """Delete the system's own name. Dropping what does not exist is no error."""
        raise RefusedError(f"target {self.name} has no names of its own for namespaces")

    def native_aliases(self) -> dict[str, str]:
        """The system's own names and the namespaces that they point at."""
        return {}

    def importer(self, spec: NamespaceSpec, content: str) -> "Importer":  # noqa: ARG002 (for adapters)
        """Bulk import into a namespace that does not exist yet. ``content``: digest of what it is: the files are unique to it.

        Only where ``capabilities.imports``.
        """
        raise RefusedError(f"target {self.name} imports no files")

    def import_files(self, prefix: str) -> dict[str, int]:  # noqa: ARG002 (for adapters)
        """How many files of imports into each namespace whose name begins so there are, whatever became of the import."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Release connections and files. The object must not be used afterwards."""


class ImportStatus(StrEnum):
    """Where a bulk import stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ImportState:
    """One bulk import, as the target tells it."""

    id: str
    uri: str
    status: ImportStatus
    records: int = 0
    """Imported so far."""
    share: float = 0.0
    """Of the work: 0 to 1."""
    error: str = ""


class Importer(ABC):
    """A bulk import into one namespace: files are written first, all of them, then the target reads them by itself.

    Laws: files hold exactly the records that an upsert would write, in the target's own form. Starting twice with the same
    ``uri`` while one is under way returns that one. A cancelled or failed import leaves a namespace that may hold something: it is
    dropped before it is used again.
    """

    uri: str
    """Folder of this import's files; unique to its content."""

    @abstractmethod
    def write(self, batches: Iterable[pa.Table]) -> int:
        """Write records (``record_schema``) as files below ``uri``, replacing what a killed run left; returns bytes."""

    @abstractmethod
    def start(self) -> ImportState: ...

    @abstractmethod
    def find(self) -> ImportState | None:
        """The import into this namespace that is under way, whatever its content, else the newest one; None when there was none.

        Its ``uri`` is this one's where the content is the same.
        """

    @abstractmethod
    def state(self, identifier: str) -> ImportState: ...

    @abstractmethod
    def cancel(self, identifier: str) -> None: ...

    @abstractmethod
    def discard(self) -> None:
        """Delete all files of imports into this namespace. None may be under way."""
