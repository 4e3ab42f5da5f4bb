"""What is held of a namespace between searches: its vectors in bytes, and which of them pass a version or a filter.

Laws
----
1. What is held belongs to immutable files: it is never wrong, only missing, and then the search reads the files.
2. Vectors take at most half of the target's memory and masks a sixteenth; what DuckDB may take falls by as much. First come, first
   held: nothing is put out for another namespace, so that two that do not fit together do not take turns. Whether something fits
   is asked again when its turn to be read has come.
3. A big namespace is read by a thread of its own from its second search on, and searches go on as before meanwhile: one question
   costs no more than it did, and no reader's deadline cuts the reading off. Many questions at once wait for it: the files would be
   searched for longer. Nor does one question wait for another namespace to be read.
4. What a search takes beside that does not grow with its questions: it answers some at a time (``shortlist``).
"""

import threading
from collections import Counter
from contextlib import suppress

import duckdb
import numpy as np

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.targets.base import Match, Vector
from vector_pipeline.targets.duckdb.engine import Engine, View
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.duckdb.held import Held, bytes_of, read
from vector_pipeline.targets.duckdb.manifest import Segment
from vector_pipeline.targets.duckdb.masks import Masks
from vector_pipeline.targets.duckdb.search import Search, matches_of, nearest, scored, set_queries
from vector_pipeline.targets.duckdb.shortlist import Part, Positions, at_once, shortlist

AT_ONCE = 20_000
"""Records that are read within a search: it takes no longer than the search."""
MANY = 16
"""Questions of one search that wait for the reading, whatever the namespace."""


class Holder:
    """Of one target. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._vectors: dict[str, Held | None] = {}
        self._coming = 0
        """Bytes that are being read; some are held already."""
        self._masks = Masks(engine.memory // 16)
        self._searched: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def matches(
        self, cursor: duckdb.DuckDBPyConnection, view: View, search: Search, queries: Vector
    ) -> list[list[Match]] | None:
        """Best hits of float32[m, dim] queries; None where vectors are not held (yet), or bytes cannot tell."""
        parts = self._parts(cursor, view, search, len(queries))
        if parts is None:
            return None
        found: list[list[Match]] = []
        step = at_once(search.top_k)
        for begin in range(0, len(queries), step):
            some = _among(parts, cursor, view, search, queries[begin : begin + step])
            if some is None:
                return None
            found += some
        return found

    def _parts(self, cursor: duckdb.DuckDBPyConnection, view: View, search: Search, count: int) -> list[Part] | None:
        held = self._held(view)
        if held is None and self._wanted(view, count):
            missing = sum(segment.records for segment in view.manifest.segments if segment.file not in self._vectors)
            if missing and (missing <= AT_ONCE or count >= MANY):
                self._hold(view, wait=count >= MANY)
                held = self._held(view)
            elif missing:
                self._begin(view.folder)
        if not held:
            return None
        return [
            Part(segment.number, vectors, self._masks.passing(cursor, view, segment, search))
            for segment, vectors in zip(view.manifest.segments, held, strict=True)
        ]

    @property
    def masks(self) -> Masks:
        """What is remembered of versions and filters, for whoever reads the files."""
        return self._masks

    def hold(self, folder: Folder) -> bool:
        """Read a namespace's vectors now; whether they are held."""
        with self._engine.view(folder) as view:
            if self._fits(view):
                self._hold(view, wait=True)
            return self._held(view) is not None

    def close(self) -> None:
        """Stop reading, and forget everything."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self._vectors.clear()

    def _held(self, view: View) -> list[Held] | None:
        found = [self._vectors.get(segment.file) for segment in view.manifest.segments]
        some = [vectors for vectors in found if vectors is not None]
        return some if len(some) == len(found) else None

    def _wanted(self, view: View, count: int) -> bool:
        """Whether this view is searched for the second time, or with ``MANY`` questions, or small; and fits."""
        self._searched[view.folder.path.name] += 1
        small = sum(segment.records for segment in view.manifest.segments) <= AT_ONCE
        return (small or count >= MANY or self._searched[view.folder.path.name] > 1) and self._fits(view)

    def _fits(self, view: View) -> bool:
        unneeded = [file for file in list(self._vectors) if not self._engine.needs(file)]
        for file in unneeded:
            self._vectors.pop(file, None)
        if unneeded:
            self._leave()
        return self._size() + self._missing(view) <= self._engine.memory // 2

    def _missing(self, view: View) -> int:
        """Bytes that the vectors of a view will take beside those that are held."""
        new = [segment for segment in view.manifest.segments if segment.file not in self._vectors]
        return sum(bytes_of(segment.records, view.manifest.spec.dimension) for segment in new)

    def _size(self) -> int:
        return sum(held.nbytes for held in list(self._vectors.values()) if held is not None)

    def _begin(self, folder: Folder) -> None:
        """Read in a thread of its own, unless one reads already."""
        with self._lock:
            if self._closed.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._read, args=(folder,), name="vectors", daemon=True)
            self._thread.start()

    def _read(self, folder: Folder) -> None:
        # What is wrong with the files is for a search to say.
        with suppress(VectorPipelineError), self._engine.view(folder) as view:
            self._hold(view, wait=True)

    def _hold(self, view: View, *, wait: bool) -> None:
        """Read what is missing. ``wait``: until another namespace is read; else it is left to the next search."""
        if not self._reading.acquire(blocking=wait):
            return
        try:
            # Others were read since it was asked.
            if not self._fits(view):
                return
            self._coming = self._missing(view)
            # Before they are read: DuckDB lets go of pages that it has.
            self._leave()
            for segment in view.manifest.segments:
                if segment.file not in self._vectors and not self._closed.is_set():
                    self._keep(view, segment)
        finally:
            if self._coming:
                self._coming = 0
                self._leave()
            self._reading.release()

    def _leave(self) -> None:
        """Law 2, for DuckDB. Under a lock: what is told last was true last."""
        with self._lock:
            self._engine.leave(self._size() + self._coming + self._engine.memory // 16)

    def _keep(self, view: View, segment: Segment) -> None:
        table, dimension = view.table(segment.file, "records"), view.manifest.spec.dimension
        with self._engine.cursor(streams=True) as cursor:
            vectors = read(cursor, table, segment.records, dimension, self._closed.is_set)
        if not self._closed.is_set():
            self._vectors[segment.file] = vectors


def _among(
    parts: list[Part], cursor: duckdb.DuckDBPyConnection, view: View, search: Search, queries: Vector
) -> list[list[Match]] | None:
    found = shortlist(parts, queries, view.manifest.spec.metric, search.top_k)
    if found is None:
        return None
    listed: dict[int, list[Positions]] = {}
    for chosen in found:
        for segment, positions in chosen.items():
            listed.setdefault(segment, []).append(positions)
    every = {segment: np.unique(np.concatenate(some)).tolist() for segment, some in listed.items()}
    only = {segment: positions for segment, positions in every.items() if positions}
    if len(queries) == 1:
        return [scored(cursor, view, queries[0], search, only)]
    # What is listed has passed version and filter, and a query's best are the best of what any query has listed.
    set_queries(cursor, view, queries)
    hits = nearest(cursor, view, Search(search.top_k), only)
    ordered = [hits.get(number, []) for number in range(len(queries))]
    return matches_of(cursor, view, ordered, include_text=search.include_text)
