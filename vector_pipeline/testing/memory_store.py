"""What a ``MemoryTarget`` holds: namespaces as immutable states, replaced whole by every write.

Laws
----
1. A ``State`` is never changed: whoever holds one reads one consistent view for as long as it likes.
2. ``MemoryStore.change`` is the only way to a new state: under the lock, the fence checked before anything else.
3. A dropped namespace keeps its fence, and one of the same name that comes after it has another mark.
4. Time is counted in ticks: whoever reads with a lag sees the state of so many ticks ago. Without a lag nothing old is kept.
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

from vector_pipeline.arrow import as_one
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
    own: int = 0
    """Writes of targets that count theirs only."""

    @property
    def mark(self) -> str:
        return f"{self.incarnation}:{self.lsn}"

    def marked(self, *, foreign: bool) -> str:
        """The mark that changes with every write; or, without ``foreign``, with those of targets that count theirs only."""
        return self.mark if foreign else f"{self.incarnation}:own{self.own}"

    def described(self, *, foreign: bool = True) -> NamespaceState:
        size = sum(4 * len(row.vector) + len(row.text or "") + len(row.metadata) for row in self.records.values())
        return NamespaceState(self.spec, len(self.records), size, self.marked(foreign=foreign))

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
        self.aliases: dict[str, str] = {}
        """Names of its own that point at namespaces."""
        self._incarnations = 0
        self._clock = 0
        self._longest = 0
        self._past: dict[str, list[tuple[int, State | None]]] = {}

    def remember(self, ticks: int) -> None:
        """Keep what was, for readers with a lag."""
        with self._lock:
            self._longest = max(self._longest, ticks)

    def tick(self, ticks: int = 1) -> None:
        """Let time pass."""
        with self._lock:
            self._clock += ticks

    def names(self, lag: int = 0) -> list[str]:
        with self._lock:
            every = sorted({*self._states, *self._past})
            return [name for name in every if self.get(name, lag) is not None]

    def get(self, namespace: str, lag: int = 0) -> State | None:
        """A namespace as it was ``lag`` ticks ago."""
        with self._lock:
            if not lag:
                return self._states.get(namespace)
            seen = [state for at, state in self._past.get(namespace, []) if at <= self._clock - lag]
            return seen[-1] if seen else None

    def _put(self, namespace: str, state: State | None) -> None:
        if state is None:
            del self._states[namespace]
        else:
            self._states[namespace] = state
        if self._longest:
            past = self._past.setdefault(namespace, [])
            past.append((self._clock, state))
            while len(past) > 1 and past[1][0] <= self._clock - self._longest:
                past.pop(0)

    def ensure(self, spec: NamespaceSpec, fence: int | None) -> State:
        """The namespace, made if need be. Whether it is as ``spec`` says is for the caller to compare."""
        with self._lock:
            self._check(spec.name, fence)
            if spec.name not in self._states:
                self._incarnations += 1
                self._put(spec.name, State(spec, self._incarnations))
            held = self._states[spec.name]
            if spec.owner and not held.spec.owner and (held.spec.dimension, held.spec.metric, held.spec.space) == (
                spec.dimension, spec.metric, spec.space,
            ):  # fmt: skip
                self._put(spec.name, replace(held, spec=spec))
            return self._states[spec.name]

    def change(
        self, namespace: str, fence: int | None, write: Callable[[State], tuple[Records, int]], *, counted: bool = False
    ) -> tuple[State, int]:
        """The state after ``write``, and how many records that changed. ``write`` gives both; what it raises changes nothing.

        ``counted``: for targets that count their own writes only.
        """
        with self._lock:
            if namespace not in self._states:
                raise NotFoundError(f"there is no namespace {namespace} in memory")
            self._check(namespace, fence)
            state = self._states[namespace]
            records, changed = write(state)
            if changed:
                state = replace(state, lsn=state.lsn + 1, records=records, own=state.own + counted)
                self._put(namespace, state)
            return state, changed

    def drop(self, namespace: str, fence: int | None) -> None:
        with self._lock:
            if namespace in self._states:
                self._check(namespace, fence)
                self._put(namespace, None)

    def _check(self, namespace: str, fence: int | None) -> None:
        seen = self._fences.get(namespace, 0)
        if fence is None:
            return
        if fence < seen:
            raise ConflictError(f"fence {fence} of namespace {namespace} is older than {seen}")
        self._fences[namespace] = fence


def records_of(table: pa.Table, dimension: int) -> dict[str, Record]:
    """Records by id of a table in ``record_schema``."""
    flat = as_one(table.column("vector")).flatten().to_numpy(zero_copy_only=False)
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
