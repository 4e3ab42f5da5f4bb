"""An import behind the bad network of ``faults``: starting and cancelling it are writes; its files, and looking at it, are not."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import pyarrow as pa

from vector_pipeline.targets.base import Importer, ImportState
from vector_pipeline.testing.fault_schedule import Operation

_T = TypeVar("_T")


class Network(Protocol):
    """Makes the call, or does to it what a fault does."""

    def __call__(self, operation: Operation, call: Callable[[], _T], /) -> _T: ...


class FaultyImporter(Importer):
    """``inner``, started and cancelled over a network."""

    def __init__(self, inner: Importer, network: Network) -> None:
        self._inner, self._network, self.uri = inner, network, inner.uri

    def write(self, batches: Iterable[pa.Table]) -> int:
        return self._inner.write(batches)

    def start(self) -> ImportState:
        return self._network("start_import", self._inner.start)

    def find(self) -> ImportState | None:
        return self._inner.find()

    def state(self, identifier: str) -> ImportState:
        return self._inner.state(identifier)

    def cancel(self, identifier: str) -> None:
        self._network("cancel_import", lambda: self._inner.cancel(identifier))

    def discard(self) -> None:
        self._inner.discard()
