"""Which records of a segment pass: asked of DuckDB once, remembered as one byte a record.

Laws
----
1. Metadata is the file's and never changes: a filter's mask serves every state that has the file. Deaths and closings are the
   manifest's: another pointer, another mask.
2. The masks that were not used for longest go first.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np

from vector_pipeline.targets.duckdb.engine import View
from vector_pipeline.targets.duckdb.manifest import Segment
from vector_pipeline.targets.duckdb.relations import live
from vector_pipeline.targets.duckdb.search import Search, condition
from vector_pipeline.targets.duckdb.shortlist import Mask


class Masks:
    """At most ``limit`` bytes. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, ...], Mask] = OrderedDict()
        self._size = 0

    def passing(self, cursor: duckdb.DuckDBPyConnection, view: View, segment: Segment, search: Search) -> Mask:
        """bool[n]: what is alive and passes the version and the filter of ``search``."""
        alive = condition(replace(search, filter=None))
        alone = replace(view, manifest=replace(view.manifest, segments=(segment,)))
        mask = self._mask(
            (segment.file, view.pointer, str(search.version)), cursor, segment.records,
            f"SELECT position FROM ({live(alone, alive.columns)}) r WHERE {alive.sql}", alive.parameters,
        )  # fmt: skip
        if search.filter is None:
            return mask
        wanted = condition(replace(search, version=None))
        # By its text: 1 and True are equal and ask for different records.
        return mask & self._mask(
            (segment.file, "", repr(search.filter)), cursor, segment.records,
            f"SELECT r.rowid AS position FROM {view.table(segment.file, 'records')} r WHERE {wanted.sql}",
            wanted.parameters,
        )  # fmt: skip

    def _mask(
        self, key: tuple[str, ...], cursor: duckdb.DuckDBPyConnection, records: int, sql: str, bound: Mapping[str, Any]
    ) -> Mask:
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        mask = np.zeros(records, np.bool_)
        mask[cursor.execute(sql, dict(bound)).fetchnumpy()["position"]] = True
        with self._lock:
            if key not in self._known:
                self._known[key] = mask
                self._size += mask.nbytes
            while self._size > self._limit:
                self._size -= self._known.popitem(last=False)[1].nbytes
        return mask
