"""The records of one namespace as columns, for exact search.

A ``Block`` holds ids, vectors (one growing float32 matrix) and metadata by slot. Writing a batch touches the slots of that batch
only; slots of deleted records are used again. Nothing here knows of time, disks or HTTP, and nothing here locks: its owner does.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vector_pipeline.testing.pinecone_server.columns import Column, Mask

Metric = Literal["cosine", "dotproduct", "euclidean"]
Vectors = npt.NDArray[np.float32]
Metadata = dict[str, Any]

_SLACK = 1e-5
"""Room for rounding, relative to the terms summed: candidates that near to the k-th score are ranked again, exactly."""

_COLUMNS = 64
"""Most fields kept as columns: those that filters asked for first go first."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One match: its slot is only valid until the next write."""

    slot: int
    score: float


class Block:
    """Records by slot: ``vectors`` float32[capacity, dimension], row ``slot`` belongs to ``ids[slot]``."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.slots: dict[str, int] = {}
        self.ids: list[str | None] = []
        self.metadata: list[Metadata | None] = []
        self.vectors: Vectors = np.empty((0, dimension), np.float32)
        self.squares = np.empty(0, np.float32)
        self.alive: Mask = np.empty(0, np.bool_)
        self.sizes = np.empty(0, np.int64)
        self._free: list[int] = []
        self._sorted: list[str] | None = []
        self._columns: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def size_bytes(self) -> int:
        """Ids, vectors and metadata of all records, as Pinecone counts them."""
        return int(self.sizes[: self.used].sum())

    @property
    def used(self) -> int:
        """Slots in use, those of deleted records among them."""
        return len(self.ids)

    def live(self) -> Mask:
        """bool[used]: slots that hold a record."""
        return self.alive[: self.used].copy()

    def column(self, field: str) -> Column:
        """A metadata field of all records; built when it is first asked for, then kept up to date."""
        found = self._columns.get(field)
        if found is None:
            found = Column()
            for slot, metadata in enumerate(self.metadata):
                found.set(slot, _value(metadata, field))
            if len(self._columns) == _COLUMNS:
                del self._columns[next(iter(self._columns))]
            self._columns[field] = found
        found.fit(self.used)
        return found

    def put(
        self, ids: Sequence[str], vectors: Vectors, metadata: Sequence[Metadata | None], sizes: Sequence[int]
    ) -> None:
        """Write whole records: ``vectors`` float32[len(ids), dimension]; ids are distinct."""
        slots = [self._slot(name) for name in ids]
        for slot, value in zip(slots, metadata, strict=True):
            self.metadata[slot] = value
        for field, column in self._columns.items():
            for slot, value in zip(slots, metadata, strict=True):
                column.set(slot, _value(value, field))
        self.vectors[slots] = vectors
        self.squares[slots] = np.einsum("ij,ij->i", vectors, vectors)
        self.alive[slots] = True
        self.sizes[slots] = sizes

    def remove(self, ids: Iterable[str]) -> None:
        """Delete records; ids that are not here are passed over."""
        for name in ids:
            slot = self.slots.pop(name, None)
            if slot is None:
                continue
            self.ids[slot], self.metadata[slot] = None, None
            self.alive[slot], self.sizes[slot] = False, 0
            for column in self._columns.values():
                column.set(slot, None)
            self._free.append(slot)
            self._sorted = None

    def copy(self) -> "Block":
        """The same records, apart from this one."""
        other = Block(self.dimension)
        slots = list(self.slots.values())
        values = [self.metadata[slot] for slot in slots]
        other.put(list(self.slots), self.vectors[slots], values, self.sizes[slots].tolist())
        return other

    def page(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """At most ``limit`` ids that begin with ``prefix`` and come behind ``after``, ascending by bytes (ids are ASCII)."""
        if self._sorted is None:
            self._sorted = sorted(self.slots)
        start = bisect_left(self._sorted, prefix if after is None else max(prefix, after + "\0"))
        found = self._sorted[start : start + limit]
        return [name for name in found if name.startswith(prefix)]

    def nearest(self, query: Vectors, metric: Metric, top_k: int, mask: Mask | None = None) -> list[Hit]:
        """The ``top_k`` best records among ``mask``, best first, equal scores by id. ``query`` is float32[dimension]."""
        used = self.used
        chosen = self.alive[:used] if mask is None else mask
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return []
        few = len(rows) * 4 < used  # copying few rows is cheaper than scoring all
        rough = self._rough(rows, query, metric) if few else self._rough(slice(0, used), query, metric)[rows]
        if top_k < len(rows):
            least = np.partition(rough, len(rows) - top_k)[len(rows) - top_k]
            rows = rows[rough >= least - _SLACK * self._scale(rows, query, metric)]
        return self._ranked(rows, query, metric)[:top_k]

    def _rough(self, rows: Any, query: Vectors, metric: Metric) -> npt.NDArray[np.float32]:
        """Scores in single precision; higher is better for every metric."""
        dots = self.vectors[rows] @ query
        if metric == "dotproduct":
            return np.asarray(dots)
        squares = self.squares[rows]
        if metric == "euclidean":
            return np.asarray(2 * dots - squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.nan_to_num(dots / np.sqrt(squares * np.float32(query @ query))))

    def _scale(self, rows: npt.NDArray[np.intp], query: Vectors, metric: Metric) -> float:
        """How large the terms of a score get: rounding is relative to them."""
        if metric == "cosine":
            return 1.0
        largest = float(self.squares[rows].max())
        dots = float(np.sqrt(largest * float(query @ query)))
        return dots if metric == "dotproduct" else largest + 2 * dots

    def _ranked(self, rows: npt.NDArray[np.intp], query: Vectors, metric: Metric) -> list[Hit]:
        """Scores in double precision, rounded to single: the same vector has the same score wherever it lies."""
        vectors, wanted = self.vectors[rows].astype(np.float64), query.astype(np.float64)
        terms = (vectors - wanted) ** 2 if metric == "euclidean" else vectors * wanted
        scores = terms.sum(axis=1)
        if metric == "cosine":
            norms = np.sqrt((vectors**2).sum(axis=1) * (wanted**2).sum())
            scores = np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0)
        single = scores.astype(np.float32).astype(np.float64)
        keys = single if metric == "euclidean" else -single
        order: list[int] = np.argsort(keys, kind="stable").tolist()
        if not np.diff(keys[order]).all():  # equal scores somewhere
            order.sort(key=lambda at: (keys[at], self.ids[rows[at]]))
        return [Hit(int(rows[at]), float(single[at])) for at in order]

    def _slot(self, name: str) -> int:
        slot = self.slots.get(name)
        if slot is not None:
            return slot
        if self._free:
            slot = self._free.pop()
        else:
            slot = len(self.ids)
            self.ids.append(None)
            self.metadata.append(None)
            if slot == len(self.vectors):
                self._grow(max(64, 2 * slot))
        self.slots[name], self.ids[slot], self._sorted = slot, name, None
        return slot

    def _grow(self, capacity: int) -> None:
        for column in ("vectors", "squares", "alive", "sizes"):
            old = getattr(self, column)
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            setattr(self, column, new)


def _value(metadata: Metadata | None, field: str) -> Any:
    return None if metadata is None else metadata.get(field)
