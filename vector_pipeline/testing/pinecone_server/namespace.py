"""One namespace: what is visible, what is committed and not visible yet, and its LSNs.

Law: a write is on disk before it is acknowledged. Reads see the state as of the newest LSN that is older than the lag. Writes that
read first (updates, and whatever goes by a filter) see everything committed, as a log that is applied in order would; by a filter
they may be told to choose among what reads see. The object outlives the namespace: made again, it goes on with the next LSN.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_pipeline.testing.pinecone_server.disk import Disk
from vector_pipeline.testing.pinecone_server.filters import Condition
from vector_pipeline.testing.pinecone_server.lsn import Change, Pending, applied
from vector_pipeline.testing.pinecone_server.records import Records, VectorShape, merged
from vector_pipeline.testing.pinecone_server.search import Block, Metadata, Vectors


@dataclass(frozen=True, slots=True)
class Match:
    """A record as it is answered. ``vector`` is None where it was not asked for, ``score`` 0 where nothing was searched."""

    id: str
    vector: Vectors | None
    metadata: Metadata | None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Description:
    """What reads know of a namespace."""

    name: str
    records: int
    size_bytes: int
    fields: Mapping[str, Any] | None


class Namespace:
    """Safe from several threads."""

    def __init__(
        self,
        name: str,
        number: int,
        lsn: int,
        shape: VectorShape,
        disk: Disk,
        *,
        clock: Callable[[], float],
        lag: Callable[[], float],
    ) -> None:
        self.name = name
        self._number = number
        self._shape = shape
        self._disk = disk
        self._clock = clock
        self._lag = lag
        self._lock = threading.RLock()
        self._committed = self._indexed = lsn
        self._present = self._visible = False
        self._fields: Mapping[str, Any] | None = None
        self._visible_fields: Mapping[str, Any] | None = None
        self._block = Block(shape.dimension)
        self._ahead: Block | None = None
        self._pending = Pending()

    def restore(self, fields: Mapping[str, Any] | None) -> None:
        """Load what is on disk, all of it visible."""
        self._present = self._visible = True
        self._fields = self._visible_fields = fields
        for records in self._disk.load(self._number, self._shape.dimension):
            self._block.put(records.ids, records.vectors, records.metadata, records.sizes)

    # --- reads: what is visible

    def look(self) -> tuple[Description | None, int]:
        """The namespace as reads see it (None: not there), and the LSN up to which they do."""
        with self._lock:
            self._settle()
            if not self._visible:
                return None, self._indexed
            block = self._block
            return Description(self.name, len(block), block.size_bytes, self._visible_fields), self._indexed

    def query(
        self, wanted: Vectors | str, top_k: int, condition: Condition | None, *, vectors: bool = True
    ) -> tuple[list[Match], int]:
        """The nearest records, best first, and the indexed LSN. By the id of a record that is not there: none."""
        with self._lock:
            self._settle()
            block = self._block
            if isinstance(wanted, str):
                slot = block.slots.get(wanted)
                if slot is None:
                    return [], self._indexed
                wanted = np.asarray(block.vectors[slot])
            mask = None if condition is None else condition.mask(block)
            hits = block.nearest(wanted, self._shape.metric, top_k, mask)
            return [self._match(hit.slot, vectors=vectors, score=hit.score) for hit in hits], self._indexed

    def fetch(self, ids: Sequence[str]) -> list[Match]:
        """Those of ``ids`` that are there."""
        with self._lock:
            self._settle()
            slots = self._block.slots
            return [self._match(slots[name]) for name in dict.fromkeys(ids) if name in slots]

    def fetch_where(self, condition: Condition, after: str | None, limit: int) -> list[Match]:
        """At most ``limit`` records that match and come behind ``after``, by id."""
        with self._lock:
            self._settle()
            block = self._block
            found = sorted((str(block.ids[slot]), int(slot)) for slot in np.flatnonzero(condition.mask(block)))
            wanted = [slot for name, slot in found if after is None or name > after]
            return [self._match(slot) for slot in wanted[:limit]]

    def page(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """At most ``limit`` ids with a prefix behind ``after``, ascending."""
        with self._lock:
            self._settle()
            return self._block.page(prefix, after, limit)

    # --- writes: each answers the LSN that it committed

    @property
    def exists(self) -> bool:
        """Whether it is there for writers."""
        with self._lock:
            return self._present

    def create(self, fields: Mapping[str, Any] | None) -> int | None:
        """Make it, empty; None where it is there already."""
        with self._lock:
            return None if self._present else self._commit(present=True, fields=fields)

    def drop(self) -> int | None:
        """Delete it with all records; None where there is none."""
        with self._lock:
            return self._commit(wipe=True, present=False, fields=None) if self._present else None

    def upsert(self, records: Records) -> int:
        """Write whole records; makes the namespace."""
        with self._lock:
            return self._commit(present=True, put=records)

    def delete(self, ids: Sequence[str]) -> int:
        with self._lock:
            return self._commit(removed=list(dict.fromkeys(ids)))

    def wipe(self) -> int:
        """Delete all records; the namespace stays."""
        with self._lock:
            return self._commit(wipe=True)

    def delete_where(self, condition: Condition, *, indexed: bool = False) -> int:
        """``indexed``: of the records that reads see alone."""
        with self._lock:
            block, slots = self._chosen(condition, indexed)
            return self._commit(removed=[str(block.ids[slot]) for slot in slots])

    def update(self, name: str, vector: Vectors | None, metadata: Metadata | None) -> int:
        """Change a record's vector, and merge into its metadata. A record that is not there stays away."""
        with self._lock:
            block = self._complete()
            slot = block.slots.get(name)
            return self._commit(put=None if slot is None else merged(block, [slot], metadata, vector))

    def update_where(self, condition: Condition, metadata: Metadata, *, indexed: bool = False) -> tuple[int, int]:
        """Merge into the metadata of all records that match (``indexed``: and that reads see): how many, and the LSN."""
        with self._lock:
            block, slots = self._chosen(condition, indexed)
            return len(slots), self._commit(put=merged(block, slots, metadata) if slots else None)

    def count_where(self, condition: Condition) -> int:
        """How many visible records match."""
        with self._lock:
            self._settle()
            return int(condition.mask(self._block).sum())

    # --- how

    def _commit(self, **what: Any) -> int:
        kept = {"present": self._present, "fields": self._fields}
        change = Change(self._committed + 1, self._clock(), **(kept | what))
        self._disk.commit(self._number, change)
        self._committed, self._present, self._fields = change.lsn, change.present, change.fields
        self._pending.add(change)
        if self._ahead is not None:
            self._ahead = applied(self._ahead, change)
        self._settle()
        return change.lsn

    def _settle(self) -> None:
        """Make visible what is due."""
        for change in self._pending.due(self._clock() - self._lag()):
            self._block = applied(self._block, change)
            self._indexed, self._visible, self._visible_fields = change.lsn, change.present, change.fields
        if not self._pending:
            self._ahead = None

    def _complete(self) -> Block:
        """All that is committed: the visible block itself where nothing waits, else a copy that runs ahead of it."""
        self._settle()
        if not self._pending:
            return self._block
        if self._ahead is None:
            ahead = self._block.copy()
            for change in self._pending:
                ahead = applied(ahead, change)
            self._ahead = ahead
        return self._ahead

    def _chosen(self, condition: Condition, indexed: bool) -> tuple[Block, list[int]]:
        """All that is committed, and its slots that a filter chooses: by their committed state, or by the one that reads see."""
        block = self._complete()
        judged = self._block if indexed else block
        found = [int(slot) for slot in np.flatnonzero(condition.mask(judged))]
        if judged is block:
            return block, found
        names = [str(judged.ids[slot]) for slot in found]
        return block, [block.slots[name] for name in names if name in block.slots]

    def _match(self, slot: int, *, vectors: bool = True, score: float = 0.0) -> Match:
        block = self._block
        vector = block.vectors[slot].copy() if vectors else None  # a later write may take the row
        return Match(str(block.ids[slot]), vector, block.metadata[slot], score)
