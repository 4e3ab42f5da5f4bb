"""Pinecone's bulk import: files below ``<import_uri>/<namespace>/<content>/<namespace>/``, then the service reads them by itself.

Laws
----
1. The folder that Pinecone is given holds one folder, of the namespace's name: that is how it learns the namespace.
2. An import of a content that is under way is never started twice; of a start whose answer was lost, the list tells.
3. One record that cannot be read ends the whole import (``error_mode="abort"``): half a namespace is never "completed".
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.targets.base import Importer, ImportState, ImportStatus
from vector_pipeline.targets.pinecone.calls import Calls
from vector_pipeline.targets.pinecone.files import Folder, rows_of

if TYPE_CHECKING:
    from pinecone.index import Index
    from pinecone.models.imports.model import ImportModel

_STATUS = {
    "Pending": ImportStatus.PENDING,
    "InProgress": ImportStatus.RUNNING,
    "Completed": ImportStatus.DONE,
    "Failed": ImportStatus.FAILED,
    "Cancelled": ImportStatus.CANCELLED,
}
_UNDER_WAY = (ImportStatus.PENDING, ImportStatus.RUNNING)


class Imports:
    """Bulk imports of one index. ``index``: its address and the SDK's client. Given True it makes the index where there is none;
    else None says that there is none.
    """

    def __init__(self, index: "Callable[[bool], tuple[str, Index] | None]", calls: Calls) -> None:
        self._index, self._calls = index, calls

    def start(self, uri: str, integration: str | None) -> str:
        found = self._index(True)
        assert found is not None
        host, index = found
        started = self._calls(
            lambda: index.start_import(uri=uri, error_mode="abort", integration_id=integration),
            f"start an import of {uri}", host=host, writes=True,
        )  # fmt: skip
        return str(started.id)

    def listing(self, root: str) -> list[ImportState]:
        """Those whose files were below ``root``, newest first."""
        found = self._index(False)
        if found is None:
            return []
        host, index = found
        every = self._calls(lambda: list(index.list_imports()), "list imports", host=host)
        ours = [one for one in every if one.uri.startswith(f"{root}/")]
        return [state_of(one) for one in sorted(ours, key=_age, reverse=True)]

    def state(self, identifier: str) -> ImportState:
        host, index = self._there(identifier)
        return state_of(
            self._calls(lambda: index.describe_import(identifier), f"describe import {identifier}", host=host)
        )

    def cancel(self, identifier: str) -> None:
        host, index = self._there(identifier)
        try:
            self._calls(lambda: index.cancel_import(identifier), f"cancel import {identifier}", host=host, writes=True)
        except (InputError, RefusedError):
            # Perhaps it has just ended.
            if self.state(identifier).status in _UNDER_WAY:
                raise

    def cancel_below(self, root: str) -> int:
        """Cancel what is under way of files below ``root``: before its namespace is dropped. Returns how many."""
        under_way = [one for one in self.listing(root) if one.status in _UNDER_WAY]
        for one in under_way:
            self.cancel(one.id)
        return len(under_way)

    def _there(self, identifier: str) -> "tuple[str, Index]":
        found = self._index(False)
        if found is None:
            raise NotFoundError(f"import {identifier} is not there: its index does not exist")
        return found


class PineconeImporter(Importer):
    """One import. ``conform``: records as an upsert takes them; ``changing`` raises where nothing may be changed."""

    def __init__(
        self,
        imports: Imports,
        folder: Folder,
        namespace: str,
        content: str,
        conform: Callable[[pa.Table], pa.Table],
        integration: str | None = None,
        changing: Callable[[], None] = lambda: None,
    ) -> None:
        self._imports, self._folder, self._namespace = imports, folder, namespace
        self._content, self._conform, self._integration = content, conform, integration
        self._changing = changing
        self._root = root_of(folder, namespace)
        self.uri = f"{self._root}/{content}"

    def write(self, batches: Iterable[pa.Table]) -> int:
        self.discard()
        rows = (rows_of(self._conform(batch)) for batch in batches if batch.num_rows)
        return self._folder.write(f"{self._namespace}/{self._content}/{self._namespace}", rows)

    def start(self) -> ImportState:
        self._changing()
        running = self.find()
        if running is not None and running.uri == self.uri and running.status in _UNDER_WAY:
            return running
        return ImportState(self._imports.start(self.uri, self._integration), self.uri, ImportStatus.PENDING)

    def find(self) -> ImportState | None:
        found = self._imports.listing(self._root)
        return next((one for one in found if one.status in _UNDER_WAY), found[0] if found else None)

    def state(self, identifier: str) -> ImportState:
        return self._imports.state(identifier)

    def cancel(self, identifier: str) -> None:
        self._changing()
        self._imports.cancel(identifier)

    def discard(self) -> None:
        self._changing()
        self._folder.delete(self._namespace)


def root_of(folder: Folder, namespace: str) -> str:
    """Where all imports into a namespace have their files."""
    return f"{folder.uri}/{namespace}"


def folder_of(config: PineconeTargetConfig, base: Path) -> Folder | None:
    """Where a target's files for imports are written; None: it imports none."""
    return Folder(config.import_uri, base) if config.import_uri else None


def state_of(model: "ImportModel") -> ImportState:
    """An import as the SDK tells it. A status that this release does not know is under way."""
    return ImportState(
        id=str(model.id),
        uri=model.uri.rstrip("/"),
        status=_STATUS.get(model.status, ImportStatus.RUNNING),
        records=int(model.records_imported or 0),
        share=min(1.0, float(model.percent_complete or 0.0) / 100),
        error=" ".join((model.error or "").split())[:300],
    )


def _age(model: "ImportModel") -> tuple[str, int, str]:
    """Newest last: by time, then by number."""
    return (model.created_at or "", len(model.id), model.id)
