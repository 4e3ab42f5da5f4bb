"""A network between the caller and a target: requests and responses are lost, doubled and late, as
``Faults`` decide.

Laws
----
1. A fault is decided per write, before it is sent; reads and ``purge``, which changes nothing that is seen, are never touched.
   Of an import, starting and cancelling are writes to the target; its files are not.
2. What was perhaps applied raises ``UnknownOutcomeError``, what was certainly not raises ``UnavailableError``: as the contract
   of a target has it. An ``InputError`` is said even where the response is lost: the caller's own side finds such mistakes.
3. A delayed write is applied later with the fence that it carried. When it is refused then, nobody hears of it: it is counted.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow as pa

from vector_pipeline.errors import InputError, UnavailableError, UnknownOutcomeError, VectorPipelineError
from vector_pipeline.targets.base import (
    Capabilities,
    Filter,
    Importer,
    Match,
    NamespaceSpec,
    NamespaceState,
    Target,
    Vector,
    WriteReceipt,
)
from vector_pipeline.testing.fault_schedule import WRITES, Fault, Faults, Operation
from vector_pipeline.testing.faulty_imports import FaultyImporter

__all__ = ["WRITES", "Fault", "Faults", "FaultyTarget", "Operation"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Late:
    due: int
    """Number of the write before which it arrives."""
    apply: Callable[[], object]


class FaultyTarget(Target):
    """``inner`` behind a bad network. ``delay_writes``: a delayed write arrives before the k-th write after it."""

    def __init__(self, inner: Target, faults: Faults | None = None, *, delay_writes: int = 3) -> None:
        self.inner = inner
        self.name = inner.name
        self.kind = inner.kind
        self.faults = Faults() if faults is None else faults
        self.injected: Counter[Fault] = Counter()
        """How often each fault happened."""
        self.late: Counter[str] = Counter()
        """What became of delayed writes: ``applied``, or the ``code`` of the error (``conflict`` for a stale fence)."""
        self._delay_writes = delay_writes
        self._writes = 0
        self._delayed: deque[_Late] = deque()
        self._lock = threading.Lock()

    @property
    def delayed(self) -> int:
        """How many writes are still under way."""
        return len(self._delayed)

    def deliver_delayed(self) -> int:
        """Let every delayed write arrive, in order; how many there were."""
        return self._deliver(None)

    def _deliver(self, number: int | None) -> int:
        with self._lock:
            due = [late for late in self._delayed if number is None or late.due <= number]
            self._delayed = deque(late for late in self._delayed if late not in due)
        for late in due:
            try:
                late.apply()
            except VectorPipelineError as error:  # its sender is long gone
                self.late[error.code] += 1
            else:
                self.late["applied"] += 1
        return len(due)

    def _write(self, operation: Operation, call: Callable[[], _T]) -> _T:
        with self._lock:
            self._writes += 1
            number = self._writes
        self._deliver(number)
        fault = self.faults.decide(operation)
        if fault is None:
            return call()
        self.injected[fault] += 1
        if fault is Fault.REFUSE:
            raise UnavailableError(f"target {self.name} refused the connection for {operation}")
        if fault is Fault.DUPLICATE:
            answer = call()
            call()
            return answer
        if fault is Fault.DROP_RESPONSE:
            _lost(call)
        elif fault is Fault.DELAY:
            with self._lock:
                self._delayed.append(_Late(number + self._delay_writes, call))
        raise UnknownOutcomeError(f"target {self.name} did not answer {operation} in time")

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        return self._write("ensure_namespace", lambda: self.inner.ensure_namespace(spec, fence=fence))

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._write("upsert", lambda: self.inner.upsert(namespace, records, fence=fence))

    def set_removed(
        self, namespace: str, ids: pa.Array, removed_in: int, *, fence: int = 0, ending: str = ""
    ) -> WriteReceipt:
        send = partial(self.inner.set_removed, namespace, ids, removed_in, fence=fence, ending=ending)
        return self._write("set_removed", send)

    def derive(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._write("derive", lambda: self.inner.derive(namespace, records, fence=fence))

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        return self._write("set_metadata", lambda: self.inner.set_metadata(namespace, records, fence=fence))

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        return self._write("delete", lambda: self.inner.delete(namespace, ids, fence=fence))

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        self._write("drop_namespace", lambda: self.inner.drop_namespace(namespace, fence=fence))

    def purge(self, namespace: str) -> None:
        self.inner.purge(namespace)

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def address(self, namespace: str) -> str:
        return self.inner.address(namespace)

    def describe(self, namespace: str) -> NamespaceState | None:
        return self.inner.describe(namespace)

    def namespaces(self) -> list[str]:
        return self.inner.namespaces()

    def wait_until_fresh(self, namespace: str, receipt: WriteReceipt, *, timeout_s: float = 60.0) -> None:
        self.inner.wait_until_fresh(namespace, receipt, timeout_s=timeout_s)

    def scan(self, namespace: str, *, prefix: str = "", batch_records: int = 65_536) -> Iterator[pa.RecordBatch]:
        return self.inner.scan(namespace, prefix=prefix, batch_records=batch_records)

    def fetch(self, namespace: str, ids: Iterable[str], *, vectors: bool = True) -> pa.Table:
        return self.inner.fetch(namespace, ids, vectors=vectors)

    def query(
        self,
        namespace: str,
        vectors: Vector,
        *,
        top_k: int,
        version: int | None = None,
        filter: Filter | None = None,
        exact: bool = True,
        include_text: bool = True,
    ) -> list[list[Match]]:
        return self.inner.query(
            namespace,
            vectors,
            top_k=top_k,
            version=version,
            filter=filter,
            exact=exact,
            include_text=include_text,
        )

    def point_alias(self, alias: str, namespace: str) -> None:
        self.inner.point_alias(alias, namespace)

    def drop_alias(self, alias: str) -> None:
        self.inner.drop_alias(alias)

    def native_aliases(self) -> dict[str, str]:
        return self.inner.native_aliases()

    def importer(self, spec: NamespaceSpec, content: str) -> Importer:
        return FaultyImporter(self.inner.importer(spec, content), self._write)

    def import_files(self, prefix: str) -> dict[str, int]:
        return self.inner.import_files(prefix)

    def close(self) -> None:
        """Close ``inner``. What is still delayed never arrives."""
        self._delayed.clear()
        self.inner.close()


def _lost(call: Callable[[], object]) -> None:
    """Make the call and lose what it answers, an error too; only what the caller's own side would say is kept."""
    try:
        call()
    except InputError:
        raise
    except VectorPipelineError:
        return
