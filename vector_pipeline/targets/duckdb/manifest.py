"""What a namespace consists of at one moment: a pure value, stored as ``manifest-<number>.json``.

Laws
----
1. A manifest is never changed once written; the next state is the next number.
2. ``lsn`` counts changes of content, ``number`` counts manifests: compaction moves ``number`` only, so ``mark`` stays.
3. Segments hold records and never overlap in live ids: a write that replaces a record marks the old one dead.
4. ``changes`` are ordered oldest first; the newest word on a position wins, and "dead" is always the last word.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from vector_pipeline.errors import CorruptError
from vector_pipeline.targets.base import NamespaceSpec, NamespaceState

FINDABLE_FROM = 4_096
"""Records from which a segment has an index of positions. DuckDB reads 2,048 at a time: it takes two looks to read fewer."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of records."""

    number: int
    """Unique in the namespace: what change files refer to."""
    file: str
    records: int
    """Rows in the file."""
    bytes: int
    dead: int = 0
    """Rows that were replaced or deleted since."""
    changed: int = 0
    """Change rows that were written against it, the dead among them."""
    indexed: bool = False
    """Carries an HNSW index."""

    @property
    def findable(self) -> bool:
        """Whether a record is found by its position, and not by looking at what lies around it."""
        return self.records >= FINDABLE_FROM


@dataclass(frozen=True, slots=True)
class Changes:
    """A file of changes to records of segments: a new ``removed_in``, or death."""

    file: str
    rows: int
    bytes: int
    segments: tuple[int, ...]
    """Numbers of the segments that it touches."""


@dataclass(frozen=True, slots=True)
class Manifest:
    incarnation: str
    """Tells a namespace from one of the same name that was dropped before."""
    number: int
    lsn: int
    fence: int
    """Highest fencing number seen."""
    next_segment: int
    spec: NamespaceSpec
    segments: tuple[Segment, ...] = ()
    changes: tuple[Changes, ...] = ()
    format: Literal[2] = 2

    @property
    def mark(self) -> str:
        return f"{self.incarnation}:{self.lsn}"

    @property
    def files(self) -> dict[str, int]:
        """Size in bytes of every file that the manifest needs, by name."""
        parts: list[Segment | Changes] = [*self.segments, *self.changes]
        return {part.file: part.bytes for part in parts}

    @property
    def graphs(self) -> dict[str, int]:
        """Bytes that DuckDB may take for the HNSW index of a file, by name."""
        return {one.file: graph_bytes(one.records, self.spec.dimension) for one in self.segments if one.indexed}

    def state(self) -> NamespaceState:
        records = sum(segment.records - segment.dead for segment in self.segments)
        return NamespaceState(self.spec, records, sum(self.files.values()), self.mark)

    def to_json(self) -> bytes:
        return _adapter().dump_json(self, indent=1)


def graph_bytes(records: int, dimension: int) -> int:
    """Room for an HNSW index: a copy of the vectors, their links (some 200 bytes), and what reading or making it takes beside. (Of
    40,000 × 384 it is 69 MB; with 82 MB more than without, a search failed, and did not with 101.)"""
    return records * (4 * dimension + 1_024)


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def parse_manifest(data: bytes, where: str) -> Manifest:
    """``CorruptError`` if ``data`` is no manifest of this format."""
    try:
        return _adapter().validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "document"
        raise CorruptError(
            f"{where} is no valid manifest ({field}: {first['msg']})", fix="Drop the namespace and push it again"
        ) from error


def apply_write(
    manifest: Manifest, added: Segment | None, changes: Changes | None, dead: dict[int, int], touched: dict[int, int]
) -> Manifest:
    """The state after one write. ``dead`` and ``touched`` count new dead and new change rows by segment."""
    segments = tuple(
        replace(
            segment,
            dead=segment.dead + dead.get(segment.number, 0),
            changed=segment.changed + touched.get(segment.number, 0),
        )
        for segment in manifest.segments
    )
    return _pruned(
        replace(
            manifest,
            number=manifest.number + 1,
            lsn=manifest.lsn + 1,
            next_segment=manifest.next_segment + (added is not None),
            segments=segments + ((added,) if added else ()),
            changes=manifest.changes + ((changes,) if changes else ()),
        )
    )


def apply_merge(
    manifest: Manifest, merged: frozenset[int], segment: Segment | None, changes: tuple[Changes, ...]
) -> Manifest:
    """The state after compaction: same content, other files."""
    kept = tuple(part for part in manifest.segments if part.number not in merged)
    return _pruned(
        replace(
            manifest,
            number=manifest.number + 1,
            next_segment=manifest.next_segment + (segment is not None),
            segments=kept + ((segment,) if segment else ()),
            changes=changes,
        )
    )


def _pruned(manifest: Manifest) -> Manifest:
    """Without segments that hold nothing live, and change files that touch no segment that is left."""
    segments = tuple(segment for segment in manifest.segments if segment.dead < segment.records)
    numbers = {segment.number for segment in segments}
    narrowed = (
        replace(part, segments=tuple(number for number in part.segments if number in numbers))
        for part in manifest.changes
    )
    return replace(manifest, segments=segments, changes=tuple(part for part in narrowed if part.segments))
