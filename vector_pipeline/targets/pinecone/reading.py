"""Reads without a query: listing ids, and whole records by id.

Laws
----
1. The sentinel is in no answer. A namespace that is gone is an error, not empty.
2. A listing says ids alone, ascending, from pages of 100; the next page is under way while one is used.
3. Records without their vectors are asked for by queries over ``vp_id``, a thousand at once: a fetch would send the vectors all
   the same, some 30 KB a record. What such a query does not give is fetched: it is approximate, and other hands may write what
   they like.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from vector_pipeline.errors import InputError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import MARK_SCHEMA
from vector_pipeline.targets.pinecone.asking import MOST_FETCHED, Asking, cut
from vector_pipeline.targets.pinecone.conditions import among
from vector_pipeline.targets.pinecone.encoding import ID, SENTINEL, direction, records_of
from vector_pipeline.targets.pinecone.service import Place

if TYPE_CHECKING:
    from pinecone import ScoredVector

_MOST_SELECTED = 1_000
"""Records of one query: an answer has at most 4 MB."""


class Reader:
    """Reads of one target. Safe from several threads."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def scan(self, place: Place, prefix: str, batch_records: int) -> Iterator[pa.RecordBatch]:
        waiting: list[str] = []
        seen = False
        for page in self._pages(place, prefix):
            seen = True
            waiting += [name for name in page if name != SENTINEL]
            while len(waiting) >= batch_records:
                yield _ids(waiting[:batch_records])
                waiting = waiting[batch_records:]
        if waiting:
            yield _ids(waiting)
        if not seen:
            self._asking.require(place)

    def _pages(self, place: Place, prefix: str) -> Iterator[list[str]]:
        pool = self._asking.service.pool()
        page = self._asking.page(place, prefix, None)
        while True:
            token = page.pagination.next if page.pagination else None
            coming = pool.submit(self._asking.page, place, prefix, token) if token else None
            if page.vectors:
                yield [one.id for one in page.vectors if one.id is not None]
            if coming is None:
                return
            page = coming.result()

    def fetch(self, place: Place, ids: Iterable[str], *, vectors: bool) -> pa.Table:
        wanted: list[str] = checks.id_table(ids).column("id").to_pylist()
        # No record has such an id, and the service refuses to look.
        wanted = [name for name in wanted if 1 <= len(name) <= 512 and name.isascii() and "\0" not in name]
        found = {} if vectors or len(wanted) <= MOST_FETCHED else self._without_vectors(place, wanted)
        pool = self._asking.service.pool()
        parts = [
            pool.submit(self._asking.fetch, place, some) for some in cut([name for name in wanted if name not in found])
        ]
        every = [*found.values(), *(one for part in parts for one in part.result().vectors.values())]
        if not every:
            self._asking.require(place)
        return records_of(every, place.dimension, with_vectors=vectors)

    def _without_vectors(self, place: Place, ids: list[str]) -> "dict[str, ScoredVector]":
        """Law 3."""
        pool = self._asking.service.pool()
        cuts = [ids[start : start + _MOST_SELECTED] for start in range(0, len(ids), _MOST_SELECTED)]
        parts = [pool.submit(self._selected, place, some) for some in cuts]
        return {one.id: one for part in parts for one in part.result()}

    def _selected(self, place: Place, ids: list[str]) -> "list[ScoredVector]":
        """Records that a query by ``vp_id`` gives; fewer at once where an answer would be too large."""
        condition = among(ID, ids)
        assert isinstance(condition, dict)
        try:
            answer = self._asking.query(place, direction(place.dimension), len(ids), condition, True)
        except InputError:
            half = len(ids) // 2
            if half < MOST_FETCHED:
                return []
            return [*self._selected(place, ids[:half]), *self._selected(place, ids[half:])]
        wanted = set(ids)
        return [one for one in answer.matches if one.id in wanted and one.metadata]


def _ids(names: list[str]) -> pa.RecordBatch:
    nothing = {name: [None] * len(names) for name in MARK_SCHEMA.names}
    return pa.RecordBatch.from_pydict({**nothing, "id": names}, schema=MARK_SCHEMA)
