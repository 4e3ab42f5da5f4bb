"""What Pinecone has beside vectors: its own names of namespaces (``aliases``) and bulk imports (``importing``), for one target."""

import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vector_pipeline.errors import RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.pinecone.aliases import NamespaceAliases, targeted
from vector_pipeline.targets.pinecone.importing import Imports, PineconeImporter, folder_of, root_of
from vector_pipeline.targets.pinecone.indexes import Indexes
from vector_pipeline.targets.pinecone.service import Place, Service

if TYPE_CHECKING:
    from pinecone.index import Index

    from vector_pipeline.targets.pinecone.target import PineconeTarget

_ANY = 2**62
"""Batches for files are no requests."""


def importer(target: "PineconeTarget", spec: NamespaceSpec, content: str) -> PineconeImporter:
    """An import into a namespace. Nothing is looked at, and no file written, before it is asked."""
    folder = folder_of(target.config, target.base)
    if folder is None:
        raise RefusedError(f"target {target.name} imports no files", fix="Set its import_uri")
    limits = replace(target.capabilities, max_batch_records=_ANY, max_batch_bytes=_ANY)

    def index(make: bool) -> "tuple[str, Index] | None":
        place = target.indexes.ensure_index(spec) if make else target.indexes.index_of(spec)
        return None if place is None else _client(target, place)

    return PineconeImporter(
        Imports(index, target.service.calls),
        folder,
        spec.name,
        content,
        partial(checks.conform, spec=spec, capabilities=limits),
        target.config.import_integration,
        changing=partial(target.require_writable, spec.name),
    )


def cancel_imports(target: "PineconeTarget", namespace: str) -> None:
    """Before a namespace is dropped: what still imports into it would make it anew."""
    folder = folder_of(target.config, target.base)
    for place in target.indexes.all() if folder is not None else ():
        imports = Imports(lambda _make, place=place: _client(target, place), target.service.calls)  # type: ignore[misc]
        imports.cancel_below(root_of(folder, namespace))  # type: ignore[arg-type]


def _client(target: "PineconeTarget", place: Place) -> "tuple[str, Index]":
    return place.host, target.service.client.data(place.host)


class Names:
    """Pinecone's own names, over all indexes of a target. Nothing is opened before the first use."""

    def __init__(self, service: Service, indexes: Indexes) -> None:
        self._service, self._indexes = service, indexes
        self._opened: NamespaceAliases | None = None
        self._lock = threading.Lock()

    @property
    def offered(self) -> bool:
        """False once the service was found not to have them."""
        return self._opened is None or self._opened.offered

    def point(self, alias: str, namespace: str) -> None:
        # Not from memory: an index that is gone would be taken for a service without such names.
        place = self._indexes.look(namespace)
        if place is None:
            raise self._indexes.missing(namespace)
        self.client().point(alias, namespace, host=place.host, others=self._hosts())

    def drop(self, alias: str) -> None:
        self.client().drop(alias, hosts=self._hosts())

    def all(self) -> dict[str, str]:
        return self.client().names(self._hosts())

    def keeping(self, place: Place) -> RefusedError | None:
        """Why a namespace cannot be dropped: which names point at it; None where none does."""
        names = self.client().targeting(place.namespace, host=place.host)
        return targeted(self._service.name, place.namespace, names) if names else None

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _hosts(self) -> list[str]:
        return [index.host for index in self._indexes.all()]

    def client(self) -> NamespaceAliases:
        with self._lock:
            if self._opened is None:
                config, key = self._service.config, self._service.client.key()
                self._opened = NamespaceAliases(
                    self._service.name, key, timeout_s=config.timeout_s, retry_s=config.retry_s
                )
            return self._opened
