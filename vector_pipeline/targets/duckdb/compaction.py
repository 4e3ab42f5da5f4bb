"""When files are merged: pure rules over sizes, so that the number of files stays small and the work stays amortised.

Laws
----
1. After a write and its compaction a namespace has at most ``MAX_SEGMENTS`` segments and ``MAX_CHANGES`` change files.
2. A merge takes the smallest files only, up to where the next is more than twice what is merged: a record is rewritten
   about log(n) times in its life, and a big segment never for a small change.
3. A segment is rewritten on its own account only when change rows against it are half of its records.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vector_pipeline.targets.duckdb.manifest import Manifest

MAX_SEGMENTS = 8
MAX_CHANGES = 4
_SMALL_SEGMENT = 1024


@dataclass(frozen=True, slots=True)
class Merge:
    """What compaction does next. Segments become one new segment; change files from ``changes_from`` on become one."""

    segments: frozenset[int] = frozenset()
    changes_from: int | None = None


def next_merge(manifest: Manifest) -> Merge | None:
    """The most useful merge; None when there is nothing to do."""
    worn = [
        part.number for part in manifest.segments if part.changed >= _SMALL_SEGMENT and part.changed * 2 >= part.records
    ]
    if worn:
        return Merge(segments=frozenset(worn))
    by_size = sorted(manifest.segments, key=lambda part: (part.dead - part.records, part.number))
    start = merge_from([part.records - part.dead for part in by_size], MAX_SEGMENTS)
    if start is not None:
        return Merge(segments=frozenset(part.number for part in by_size[start:]))
    start = merge_from([part.rows for part in manifest.changes], MAX_CHANGES)
    return None if start is None else Merge(changes_from=start)


def full_merge(manifest: Manifest) -> Merge | None:
    """Everything into one segment; None when it is already."""
    if len(manifest.segments) <= 1 and not manifest.changes:
        return None
    return Merge(segments=frozenset(part.number for part in manifest.segments))


def merge_from(sizes: Sequence[int], limit: int) -> int | None:
    """Index from which files become one, for at most ``limit`` files; None when there are no more than that."""
    if len(sizes) <= limit:
        return None
    rest = sum(sizes)
    for index, size in enumerate(sizes[:-1]):
        rest -= size
        if index >= limit - 1 or size <= 2 * rest:
            return index
    return len(sizes) - 2
