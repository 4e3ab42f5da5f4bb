"""Reading a namespace whose collection may be replaced by its copy meanwhile (``purging``).

Laws
----
1. A read that met the end of the old collection is made again, whole, in the new one: its reader notices nothing but the time.
2. Chroma does not always say that a collection is gone: it may answer with less. So whatever is short of what was asked, and what
   nothing tells the size of, counts once the collection is still there afterwards.
3. A listing goes on in the copy: it holds the same records. It ends where the namespace was dropped and made anew.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa

from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.targets.base import MARK_SCHEMA, Match, NamespaceState, Vector
from vector_pipeline.targets.chroma.connection import Connection
from vector_pipeline.targets.chroma.encoding import decode, mark_columns
from vector_pipeline.targets.chroma.places import Place, Places
from vector_pipeline.targets.chroma.search import PAGE, Search, Searcher, pages

T = TypeVar("T")
_MOST_TIMES = 20


class Reader:
    """Reads from the collections of one database."""

    def __init__(self, connection: Connection, places: Places) -> None:
        self._connection, self._places = connection, places

    def read(self, namespace: str, look: Callable[[Searcher], tuple[T, bool]]) -> T:
        """What ``look`` gives. It says too whether that is certainly all (law 2)."""
        if not self._connection.exists():
            self._places.get(namespace)  # says so, and makes no folder: a session would
        for _ in range(_MOST_TIMES):
            with self._connection.session():
                place = self._places.get(namespace)
                try:
                    found, whole = look(Searcher(self._connection, place))
                except NotFoundError as error:
                    if not self._is_gone(place):
                        raise UnavailableError(str(error)) from None
                    continue
                if whole or not self._is_gone(place):
                    return found
        raise UnavailableError(f"{namespace} was replaced {_MOST_TIMES} times while it was read", fix="Try again later")

    def _is_gone(self, place: Place) -> bool:
        now = self._places.find(place.spec.name)
        return now is None or now.id != place.id

    def describe(self, namespace: str) -> NamespaceState | None:
        try:
            return self.read(namespace, lambda searcher: (self._places.state(searcher.place), False))
        except NotFoundError:
            return None

    def scan(self, namespace: str, prefix: str, size: int) -> Iterator[pa.RecordBatch]:
        """Marks as ``MARK_SCHEMA``, ``size`` records at a time."""

        def all_ids(searcher: Searcher) -> tuple[tuple[str, list[str]], bool]:
            ids = sorted(name for name in searcher.get([])["ids"] if name.startswith(prefix))
            return (searcher.place.incarnation, ids), False

        incarnation, ids = self.read(namespace, all_ids)
        return (batch for some in pages(ids, size) for batch in self._page(namespace, incarnation, some))

    def _page(self, namespace: str, incarnation: str, ids: list[str]) -> list[pa.RecordBatch]:
        def page(searcher: Searcher) -> tuple[list[pa.RecordBatch], bool]:
            if searcher.place.incarnation != incarnation:
                raise UnavailableError(f"{namespace} was made anew while it was listed", fix="Try again")
            got = searcher.get(["metadatas"], ids=ids)
            natives = dict(zip(got["ids"], got["metadatas"], strict=True))
            here = [name for name in ids if name in natives]
            columns = {"id": here, **mark_columns([natives[name] for name in here])}
            batches = [pa.RecordBatch.from_pydict(columns, schema=MARK_SCHEMA)] if here else []
            return batches, len(here) == len(ids)

        return self.read(namespace, page)

    def fetch(self, namespace: str, ids: list[str], *, vectors: bool) -> pa.Table:
        """Records as ``record_schema``."""
        include = ["metadatas", "documents", *(["embeddings"] if vectors else [])]

        def records(searcher: Searcher) -> tuple[pa.Table, bool]:
            dimension = searcher.place.spec.dimension
            none = np.empty((0, dimension), np.float32) if vectors else None
            tables = [decode([], [], [], none, dimension)]
            for some in pages(ids, searcher.vectors_at_once if vectors else PAGE):
                got = searcher.get(include, ids=some)
                found = np.asarray(got["embeddings"], np.float32).reshape(-1, dimension) if vectors else None
                tables.append(decode(got["ids"], got["metadatas"], got["documents"], found, dimension))
            table = pa.concat_tables(tables)
            return table, table.num_rows == len(ids)

        return self.read(namespace, records)

    def query(
        self, namespace: str, checked: Callable[[int], Vector], search: Search, *, include_text: bool
    ) -> list[list[Match]]:
        """Hits. ``checked``: queries fit for that dimension."""

        def hits(searcher: Searcher) -> tuple[list[list[Match]], bool]:
            nearest = searcher.nearest(checked(searcher.place.spec.dimension), search)
            found = searcher.matches_of(nearest, include_text=include_text)
            return found, not search.exact and all(len(some) == search.top_k for some in found)

        return self.read(namespace, hits)
