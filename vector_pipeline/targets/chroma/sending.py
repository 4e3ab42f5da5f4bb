"""Records on their way to a collection, in as many requests as it takes.

Laws
----
1. One request is one statement in Chroma's log: it lands whole or not at all, also when the process or the server is killed.
2. What a server does not take at once (40 MB of JSON by default, less behind most gateways) is halved until it does. That is
   known before it is sent, or learned from a 413, once.
3. When a request fails after another one has landed, the outcome of all of them is unknown.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from vector_pipeline.errors import UnknownOutcomeError, VectorPipelineError
from vector_pipeline.targets.chroma.connection import Connection
from vector_pipeline.targets.chroma.failures import TooLargeError

MOST_RECORDS = 5_000
"""In one request: chromadb takes 5,461."""
_OVERHEAD = 32
"""Bytes of brackets, quotes and commas around one record."""

Columns = Mapping[str, list[Any]]
"""Arguments of one of chromadb's methods, record by record: ``ids`` and others as long."""


class Sender:
    """Writes to one collection."""

    def __init__(self, connection: Connection, collection: UUID, retried: Counter[str]) -> None:
        self._connection, self._collection, self._retried = connection, collection, retried
        self.requests = 0
        """That have landed."""

    def send(self, method: str, columns: Columns) -> None:
        """Call chromadb's method (``_upsert``, ``_update``, ``_delete``) with all of it."""
        try:
            for piece in _pieces(columns, self._connection.most_bytes):
                self._send(method, piece)
        except VectorPipelineError as error:
            if self.requests and not isinstance(error, UnknownOutcomeError):
                raise UnknownOutcomeError(f"a part has landed, then: {error}") from None
            raise

    def _send(self, method: str, columns: Columns) -> None:
        try:
            self._connection.call(
                lambda api: getattr(api, method)(self._collection, **columns, **self._connection.at),
                write=True,
                retried=self._retried,
            )
        except TooLargeError:
            count = len(columns["ids"])
            if count == 1:
                raise
            self._connection.learn(sum(_weights(columns)) // 2)
            self._send(method, _part(columns, 0, count // 2))
            self._send(method, _part(columns, count // 2, count))
        else:
            self.requests += 1


def _pieces(columns: Columns, most_bytes: int | None) -> Iterator[Columns]:
    count = len(columns["ids"])
    weights = [0] * count if most_bytes is None else _weights(columns)
    start = total = 0
    for number, weight in enumerate(weights):
        if number > start and (number - start >= MOST_RECORDS or total + weight > (most_bytes or 0) > 0):
            yield _part(columns, start, number)
            start, total = number, 0
        total += weight
    if count > start:
        yield _part(columns, start, count)


def _part(columns: Columns, start: int, end: int) -> Columns:
    return {name: values[start:end] for name, values in columns.items()}


def _weights(columns: Columns) -> list[int]:
    """Bytes of each record in a request: vectors as base64, all else as JSON."""
    import orjson  # chromadb's own

    vectors = [4 * ((values.nbytes + 2) // 3) for values in columns.get("embeddings", ())]
    rows = zip(*(values for name, values in columns.items() if name != "embeddings"), strict=True)
    sizes = [len(orjson.dumps(row)) + _OVERHEAD for row in rows]
    return [sum(pair) for pair in zip(sizes, vectors, strict=True)] if vectors else sizes
