"""What a ``MemoryTarget`` holds: namespaces as immutable states, replaced whole by every write.

Laws
----
1. A ``State`` is never changed: whoever holds one reads one consistent view for as long as it likes.
2. ``MemoryStore.change`` is the only way to a new state: under the lock, the fence checked before anything else.
3. A dropped namespace keeps its fence, and one of the same name that comes after it has another mark.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic_core import from_json

from vector_pipeline.errors import ConflictError, NotFoundError
from vector_pipeline.targets.base import NamespaceSpec, NamespaceState, Vector, record_schema


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One record; ``vector`` is float32[dim] and is shared between states, never written to."""

    id: str
    vector: Vector
    document_id: str
    content_hash: str
    metadata_hash: str
    space: str
    added_in: int
    removed_in: int
    text: str | None
    metadata: str


Records = Mapping[str, Record]


@dataclass(frozen=True)
class State:
    """A namespace at one moment."""

    spec: NamespaceSpec
    incarnation: int
    lsn: int = 1
    records: Records = field(default_factory=dict)

    @property
    def mark(self) -> str:
        return f"{self.incarnation}:{self.lsn}"

    def described(self) -> NamespaceState:
        size = sum(4 * len(row.vector) + len(row.text or "") + len(row.metadata) for row in self.records.values())
        return NamespaceState(self.spec, len(self.records), size, self.mark)

    @cached_property
    def ordered(self) -> list[Record]:
        """By id."""
        return [self.records[name] for name in sorted(self.records)]

    @cached_property
    def matrix(self) -> npt.NDArray[np.float64]:
        """float64[n, dim] of ``ordered``."""
        rows = [record.vector for record in self.ordered]
        return np.asarray(rows, np.float64).reshape(len(rows), self.spec.dimension)

    @cached_property
    def described_by(self) -> list[dict[str, Any]]:
        """User metadata of ``ordered``."""
        return [from_json(record.metadata) for record in self.ordered]


class MemoryStore:
    """Namespaces that any number of ``MemoryTarget`` share, as processes share a server. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._states: dict[str, State] = {}
        self._fences: dict[str, int] = {}
        self._incarnations = 0

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._states)

    def get(self, namespace: str) -> State | None:
        with self._lock:
            return self._states.get(namespace)

    def ensure(self, spec: NamespaceSpec, fence: int | None) -> State:
        """The namespace, made if need be. Whether it is as ``spec`` says is for the caller to compare."""
        with self._lock:
            self._check(spec.name, fence)
            if spec.name not in self._states:
                self._incarnations += 1
                self._states[spec.name] = State(spec, self._incarnations)
            return self._states[spec.name]

    def change(
        self, namespace: str, fence: int | None, write: Callable[[State], tuple[Records, int]]
    ) -> tuple[State, int]:
        """The state after ``write``, and how many records that changed. ``write`` gives both; what it raises changes nothing."""
        with self._lock:
            if namespace not in self._states:
                raise NotFoundError(f"there is no namespace {namespace} in memory")
            self._check(namespace, fence)
            state = self._states[namespace]
            records, changed = write(state)
            if changed:
                state = replace(state, lsn=state.lsn + 1, records=records)
                self._states[namespace] = state
            return state, changed

    def drop(self, namespace: str, fence: int | None) -> None:
        with self._lock:
            if namespace in self._states:
                self._check(namespace, fence)
                del self._states[namespace]

    def _check(self, namespace: str, fence: int | None) -> None:
        seen = self._fences.get(namespace, 0)
        if fence is None:
            return
        if fence < seen:
            raise ConflictError(f"fence {fence} of namespace {namespace} is older than {seen}")
        self._fences[namespace] = fence


def records_of(table: pa.Table, dimension: int) -> dict[str, Record]:
    """Records by id of a table in ``record_schema``."""
    flat = table.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = np.array(flat, np.float32).reshape(-1, dimension)
    rows = table.drop_columns(["vector"]).to_pylist()
    return {row["id"]: Record(vector=vector, **row) for row, vector in zip(rows, vectors, strict=True)}


def table_of(records: list[Record], dimension: int) -> pa.Table:
    """A table in ``record_schema``."""
    schema = record_schema(dimension)
    flat = np.array([record.vector for record in records], np.float32).reshape(-1)
    columns = {name: [getattr(record, name) for record in records] for name in schema.names if name != "vector"}
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), dimension)
    return pa.table({name: vectors if name == "vector" else columns[name] for name in schema.names}, schema=schema)
