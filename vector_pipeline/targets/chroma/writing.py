"""Writing to a collection.

Laws
----
1. A batch within the declared limits is one request, but where a server takes less (``sending``).
2. Chroma merges: a write reads what it replaces, and what does not change is not written.
3. The mark is moved before the records and after them (``places``).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from vector_pipeline.targets import checks
from vector_pipeline.targets.base import Capabilities, WriteReceipt
from vector_pipeline.targets.chroma.connection import Connection
from vector_pipeline.targets.chroma.decoding import REMOVED
from vector_pipeline.targets.chroma.encoding import METADATA_HASH, encode
from vector_pipeline.targets.chroma.places import Place, Places
from vector_pipeline.targets.chroma.search import Searcher, pages
from vector_pipeline.targets.chroma.sending import Columns, Sender
from vector_pipeline.targets.chroma.values import encode_metadata, replacing_users

_Update = Mapping[str, Mapping[str, Any]]
"""New values of metadata keys, by id."""


class Writer:
    """Writes to the collection of one namespace: one call of one method, then it is done with."""

    def __init__(self, connection: Connection, places: Places, namespace: str) -> None:
        self._connection, self._places = connection, places
        self._place: Place = places.get(namespace)
        self._searcher = Searcher(connection, self._place)
        self._retried: Counter[str] = Counter()
        self._sender = Sender(connection, self._place.id, self._retried)

    def upsert(self, records: pa.Table, capabilities: Capabilities) -> WriteReceipt:
        table = checks.conform(records, self._place.spec, capabilities)

        def write() -> int:
            if table.num_rows:
                old = self._metadata(table.column("id").to_pylist())
                columns = encode(table, self._place.spec, old)
                self._send("_upsert", columns)
            return int(table.num_rows)

        return self._write(write, records.nbytes)

    def set_removed(self, ids: list[str], removed_in: int) -> WriteReceipt:
        def write() -> int:
            found = self._found(ids, {REMOVED: {"$ne": removed_in}})
            return self._update({name: {REMOVED: removed_in} for name in found})

        return self._write(write, 8 * len(ids))

    def set_metadata(self, records: pa.Table, capabilities: Capabilities) -> WriteReceipt:
        table = checks.conform_metadata(records, capabilities)
        new = {
            row["id"]: {**encode_metadata(row["metadata"]), METADATA_HASH: row["metadata_hash"]}
            for row in table.to_pylist()
        }

        def write() -> int:
            olds = self._metadata(list(new))
            updates = {name: replacing_users(new[name], old) for name, old in olds.items()}
            return self._update({name: one for name, one in updates.items() if not _holds(olds[name], one)})

        return self._write(write, table.nbytes)

    def delete(self, ids: list[str]) -> WriteReceipt:
        def write() -> int:
            found = self._found(ids, None)
            if found:
                self._send("_delete", {"ids": found})
            return len(found)

        return self._write(write, 8 * len(ids))

    def _write(self, write: Callable[[], int], travelled: int) -> WriteReceipt:
        """``write`` tells how many records it changed."""
        with self._connection.session():
            changed = write()
            place = self._places.touch(self._place, self._retried) if changed else self._place
            mark = self._places.mark(place)
        sent = max(1, self._sender.requests)
        return WriteReceipt(changed, travelled if changed else 0, sent, mark, retried=dict(self._retried))

    def _send(self, method: str, columns: Columns) -> None:
        self._places.touch(self._place, self._retried)
        self._sender.send(method, columns)

    def _update(self, updates: _Update) -> int:
        if updates:
            self._send("_update", {"ids": list(updates), "metadatas": list(updates.values())})
        return len(updates)

    def _metadata(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Metadata of those of the records that are there."""
        found: dict[str, dict[str, Any]] = {}
        for some in pages(ids):
            got = self._searcher.get(["metadatas"], ids=some)
            found.update(zip(got["ids"], (native or {} for native in got["metadatas"]), strict=True))
        return found

    def _found(self, ids: list[str], where: dict[str, Any] | None) -> list[str]:
        return [name for some in pages(ids) for name in self._searcher.get([], ids=some, where=where)["ids"]]


def _holds(old: Mapping[str, Any], update: Mapping[str, Any]) -> bool:
    return all(old.get(key) == value and type(old.get(key)) is type(value) for key, value in update.items())
