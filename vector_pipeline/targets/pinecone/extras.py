"""Bulk imports of a target (``importing``), given its client, its limits and its folder."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vector_pipeline.errors import RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.pinecone.importing import Imports, PineconeImporter, folder_of, root_of
from vector_pipeline.targets.pinecone.service import Place

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
