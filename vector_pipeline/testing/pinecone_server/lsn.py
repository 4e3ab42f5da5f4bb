"""Changes by log sequence number (LSN), and those that reads do not see yet.

Every write of a namespace is one ``Change`` with the next LSN. It is on disk before it is acknowledged; readers see it when it is
as old as the freshness lag. Changes become visible in the order of their LSNs, each as a whole.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vector_pipeline.testing.pinecone_server.records import Records
from vector_pipeline.testing.pinecone_server.search import Block


@dataclass(frozen=True, slots=True)
class Change:
    """What one write does: wipe, then delete, then put."""

    lsn: int
    at: float
    """When it was committed, by the store's clock."""
    present: bool
    """Whether the namespace exists afterwards."""
    wipe: bool = False
    removed: Sequence[str] = ()
    put: Records | None = None
    fields: Mapping[str, Any] | None = None
    """The namespace's schema afterwards."""


class Pending:
    """Committed changes that are not visible yet."""

    def __init__(self) -> None:
        self._waiting: deque[Change] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._waiting)

    def add(self, change: Change) -> None:
        self._waiting.append(change)

    def due(self, until: float) -> Iterator[Change]:
        """Take those out that were committed at ``until`` or before, in order."""
        while self._waiting and self._waiting[0].at <= until:
            yield self._waiting.popleft()


def applied(block: Block, change: Change) -> Block:
    """The block after a change: itself, or a new one where all was wiped."""
    if change.wipe:
        block = Block(block.dimension)
    block.remove(change.removed)
    if change.put is not None:
        block.put(change.put.ids, change.put.vectors, change.put.metadata, change.put.sizes)
    return block
