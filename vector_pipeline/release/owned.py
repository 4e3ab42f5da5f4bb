"""A target whose namespaces say whose they are: what an environment writes through.

Laws
----
1. Every namespace that is made carries the registry's id; one that carries none is taken, one that carries another is not
   touched: not written, not dropped, not purged, not pointed at.
2. A line is not begun beside lines of the same dataset and space that are another registry's: their owner would meet it later.
3. Whose a namespace is is looked up once for a run of writes, and anew before whatever makes or drops one.
4. Reading is not asked for anything here.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.belonging import foreign, is_foreign
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

REMEMBERED_S = 60.0
_PARTS = 3
"""Of a line's name: dataset, space, fingerprint (``release.lines``); what follows tells one line of them from another."""


def require_ours(target: Target, state: NamespaceState, registry: str) -> None:
    """``RefusedError`` for a namespace of another registry than the one of that id, whoever looks."""
    if is_foreign(state.spec.owner, registry):
        raise foreign(
            f"namespace {state.spec.name} of target {target.name} ({target.address(state.spec.name)})",
            state.spec.owner, registry,
            "Check VECTOR_PIPELINE_ENV, and that this environment's target and registry are its own",
        )  # fmt: skip


def require_free(target: Target, namespace: str, registry: str) -> None:
    """Law 2, for a namespace that is not there."""
    line = namespace.split("--")[:_PARTS]
    if len(line) < _PARTS:
        return
    for name in target.namespaces():
        if name.split("--")[:_PARTS] == line and (state := target.describe(name)) is not None:
            require_ours(target, state, registry)


class OwnedTarget(Target):
    """``inner``, for the registry that ``mark`` names (``belonging.owner_mark``); asked with each write."""

    def __init__(self, inner: Target, mark: Callable[[], str]) -> None:
        self.inner, self.name, self.kind = inner, inner.name, inner.kind
        self._mark = mark
        self._ours: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        # What one kind of target has beside the contract.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        mark = self._mark()
        self._require(spec.name, mark, anew=True)
        made = self.inner.ensure_namespace(replace(spec, owner=mark), fence=fence)
        self._refuse(made, mark)  # Somebody else may have made it in between.
        return made

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        self._require(namespace)
        return self.inner.upsert(namespace, records, fence=fence)

    def set_removed(
        self, namespace: str, ids: pa.Array, removed_in: int, *, fence: int = 0, ending: str = ""
    ) -> WriteReceipt:
        self._require(namespace)
        return self.inner.set_removed(namespace, ids, removed_in, fence=fence, ending=ending)

    def derive(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        self._require(namespace)
        return self.inner.derive(namespace, records, fence=fence)

    def set_metadata(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        self._require(namespace)
        return self.inner.set_metadata(namespace, records, fence=fence)

    def delete(self, namespace: str, ids: pa.Array, *, fence: int = 0) -> WriteReceipt:
        self._require(namespace)
        return self.inner.delete(namespace, ids, fence=fence)

    def purge(self, namespace: str) -> None:
        self._require(namespace, anew=True)
        self.inner.purge(namespace)

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        self._require(namespace, anew=True)
        self._ours.pop(namespace, None)
        self.inner.drop_namespace(namespace, fence=fence)

    def point_alias(self, alias: str, namespace: str) -> None:
        mark = self._mark()
        self._require(namespace, mark)
        held = self.inner.native_aliases().get(alias)
        if held is not None:
            self._require(held, mark)
        self.inner.point_alias(alias, namespace)

    def drop_alias(self, alias: str) -> None:
        held = self.inner.native_aliases().get(alias)
        if held is not None:
            self._require(held)
        self.inner.drop_alias(alias)

    def importer(self, spec: NamespaceSpec, content: str) -> Importer:
        mark = self._mark()
        self._require(spec.name, mark, anew=True)
        return self.inner.importer(replace(spec, owner=mark), content)

    def _require(self, namespace: str, mark: str | None = None, *, anew: bool = False) -> None:
        """Law 1. ``anew``: law 3, and of a namespace that is not there law 2."""
        mark, now = mark or self._mark(), time.monotonic()
        if not anew and self._ours.get(namespace, 0.0) > now:
            return
        state = self.inner.describe(namespace)
        if state is not None:
            self._refuse(state, mark)
            self._ours[namespace] = now + REMEMBERED_S
            return
        if anew:
            require_free(self.inner, namespace, mark.partition("/")[0])

    def _refuse(self, state: NamespaceState, mark: str) -> None:
        try:
            require_ours(self.inner, state, mark.partition("/")[0])
        except RefusedError:
            self._ours.pop(state.spec.name, None)
            raise

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
        self, namespace: str, vectors: Vector, *, top_k: int, version: int | None = None, filter: Filter | None = None,
        exact: bool = True, include_text: bool = True,
    ) -> list[list[Match]]:  # fmt: skip
        return self.inner.query(
            namespace, vectors, top_k=top_k, version=version, filter=filter, exact=exact, include_text=include_text
        )

    def native_aliases(self) -> dict[str, str]:
        return self.inner.native_aliases()

    def import_files(self, prefix: str) -> dict[str, int]:
        return self.inner.import_files(prefix)

    def close(self) -> None:
        self.inner.close()
