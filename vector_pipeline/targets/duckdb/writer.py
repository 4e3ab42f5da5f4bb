"""Writing to a namespace: one writer at a time, each call atomic, its cost that of what changes.

Every write runs in the same order: lock, fence, find what it touches, new files, publish, compact, collect. Until
``publish`` nothing that readers use has changed.
"""

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from vector_pipeline.errors import CorruptError, NotFoundError, RefusedError
from vector_pipeline.targets import checks
from vector_pipeline.targets.base import Capabilities, NamespaceSpec, NamespaceState, WriteReceipt
from vector_pipeline.targets.duckdb.compaction import full_merge
from vector_pipeline.targets.duckdb.engine import Engine, View
from vector_pipeline.targets.duckdb.failures import VanishedError, lost_files
from vector_pipeline.targets.duckdb.files import Source, write_changes, write_segment
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.duckdb.locks import check_fence, locked, remember_fence, remembered_fence
from vector_pipeline.targets.duckdb.manifest import Manifest, apply_write
from vector_pipeline.targets.duckdb.merging import maintain, run_merge
from vector_pipeline.targets.duckdb.relations import DEAD, live
from vector_pipeline.targets.duckdb.rewriting import derived, with_new_metadata


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes of one target."""

    engine: Engine
    root: Path
    capabilities: Capabilities
    hnsw: bool
    lock_timeout_s: float

    def ensure(self, spec: NamespaceSpec, fence: int) -> NamespaceState:
        checks.check_spec(spec, self.capabilities)
        with self._locked(spec.name) as folder:
            manifest = self._manifest(folder)
            if manifest is None:
                manifest = self._create(folder, spec, fence)
            elif different := checks.difference(spec, manifest.spec):
                raise RefusedError(f"namespace {spec.name} exists: {different}", fix="Use another namespace or drop it")
            else:
                manifest = self._taken(folder, self._fenced(folder, manifest, fence), spec.owner)
            return manifest.state()

    def upsert(self, namespace: str, records: pa.Table, fence: int) -> WriteReceipt:
        with self._session(namespace, fence) as (folder, view):
            spec = view.manifest.spec
            table = checks.conform(records, spec, self.capabilities)
            if not table.num_rows:
                return WriteReceipt(0, 0, mark=view.manifest.mark)
            touched = self._find(view, table.select(["id"]), f"{DEAD}", "true")
            source = Source("SELECT * FROM incoming", table.num_rows, {"incoming": table})
            return self._finish(folder, view, source, touched, table.num_rows)

    def set_removed(self, namespace: str, ids: pa.Array, removed_in: int, fence: int) -> WriteReceipt:
        with self._session(namespace, fence) as (folder, view):
            value = int(removed_in)
            touched = self._find(view, checks.id_table(ids), f"{value}", f"removed_in <> {value}")
            return self._finish(folder, view, None, touched, touched.num_rows)

    def derive(self, namespace: str, records: pa.Table, fence: int) -> WriteReceipt:
        with self._session(namespace, fence) as (folder, view):
            given = checks.conform_derived(records, self.capabilities)
            return self._rewrite(folder, view, given, given.nbytes)

    def set_metadata(self, namespace: str, records: pa.Table, fence: int) -> WriteReceipt:
        with self._session(namespace, fence) as (folder, view):
            given = checks.conform_metadata(records, self.capabilities)
            return self._rewrite(folder, view, with_new_metadata(self.engine, view, given), given.nbytes)

    def _rewrite(self, folder: Folder, view: View, given: pa.Table, travelled: int) -> WriteReceipt:
        """Write the records that ``given`` makes of live ones. What travelled is what the caller sent, not the file."""
        if not given.num_rows:
            return WriteReceipt(0, 0, mark=view.manifest.mark)
        source = derived(self.engine, view, given)
        touched = self._find(view, given.select(["id"]), f"{DEAD}", "true")
        receipt = self._finish(folder, view, source, touched, given.num_rows)
        return replace(receipt, bytes=travelled)

    def delete(self, namespace: str, ids: pa.Array, fence: int) -> WriteReceipt:
        with self._session(namespace, fence) as (folder, view):
            touched = self._find(view, checks.id_table(ids), f"{DEAD}", "true")
            return self._finish(folder, view, None, touched, touched.num_rows)

    def drop(self, namespace: str, fence: int) -> None:
        with self._locked(namespace) as folder:
            try:
                manifest = self._manifest(folder)
                seen = None if manifest is None else manifest.fence
            except CorruptError:  # to drop it is how one gets rid of it
                seen = remembered_fence(self.root, namespace)
            if seen is not None:
                check_fence(namespace, fence, seen)
                remember_fence(self.root, namespace, max(fence, seen))
            folder.remove()

    def compact(self, namespace: str, *, at_once: bool = False) -> None:
        """Merge everything into one segment. Content and mark stay. ``at_once``: no grace for files of earlier states."""
        with self._session(namespace, None) as (folder, view):
            merge = full_merge(view.manifest)
            if merge is not None:
                run_merge(self.engine, folder, view, merge, hnsw=self.hnsw)
        with self._locked(namespace) as folder, self.engine.view(folder) as view:
            folder.collect(view.manifest, at_once=at_once)

    def _locked(self, namespace: str) -> AbstractContextManager[Folder]:
        return locked(self.root, namespace, self.lock_timeout_s)

    @contextmanager
    def _session(self, namespace: str, fence: int | None) -> Iterator[tuple[Folder, View]]:
        with self._locked(namespace) as folder:
            manifest = self._manifest(folder)
            if manifest is None:
                raise NotFoundError(f"there is no namespace {namespace} in {self.root}")
            if fence is not None:
                self._fenced(folder, manifest, fence)
            with self.engine.view(folder) as view:
                yield folder, view

    def _manifest(self, folder: Folder) -> Manifest | None:
        pointer = folder.pointer()
        try:
            return None if pointer is None else folder.load(pointer)
        except VanishedError as error:  # under the lock nobody else takes it away
            raise lost_files(folder.path) from error

    def _create(self, folder: Folder, spec: NamespaceSpec, fence: int) -> Manifest:
        check_fence(spec.name, fence, remembered_fence(self.root, spec.name))
        remember_fence(self.root, spec.name, fence)
        folder.create()
        manifest = Manifest(uuid.uuid4().hex, number=1, lsn=1, fence=fence, next_segment=1, spec=spec)
        folder.publish(manifest)
        return manifest

    def _fenced(self, folder: Folder, manifest: Manifest, fence: int) -> Manifest:
        """Refuse a fence that is too low; remember a higher one before anything is written under it."""
        check_fence(folder.path.name, fence, manifest.fence)
        if fence > manifest.fence:
            remember_fence(self.root, folder.path.name, fence)
            manifest = replace(manifest, number=manifest.number + 1, fence=fence)
            folder.publish(manifest)
        return manifest

    def _taken(self, folder: Folder, manifest: Manifest, owner: str) -> Manifest:
        """A namespace that was nobody's is somebody's. Its content, and so its mark, stays."""
        if owner and not manifest.spec.owner:
            manifest = replace(manifest, number=manifest.number + 1, spec=replace(manifest.spec, owner=owner))
            folder.publish(manifest)
        return manifest

    def _find(self, view: View, ids: pa.Table, value: str, test: str) -> pa.Table:
        """``segment``, ``position``, ``removed_in`` of changes to the live records of ``ids`` that pass ``test``."""
        with self.engine.cursor() as cursor:
            cursor.register("wanted", ids)
            return cursor.execute(
                f"SELECT segment, position, {value}::BIGINT AS removed_in FROM ({live(view, ['id', 'removed_in'])})"
                f" WHERE {test} AND id IN (SELECT id FROM wanted)"
            ).to_arrow_table()

    def _finish(
        self, folder: Folder, view: View, source: Source | None, touched: pa.Table, records: int
    ) -> WriteReceipt:
        """Make the files, publish, tidy up. ``source``: rows of a new segment; ``touched``: changes to old ones."""
        manifest, added, changes = view.manifest, None, None
        if source is None and not touched.num_rows:
            return WriteReceipt(0, 0, mark=manifest.mark)
        counts, dead = _counts(touched)
        with folder.making() as made:
            if source is not None:
                number = manifest.next_segment
                added = write_segment(self.engine, folder, source, manifest.spec, number, hnsw=self.hnsw)
                made.append(added.file)
            if touched.num_rows:
                rows = Source("SELECT * FROM touched", touched.num_rows, {"touched": touched})
                changes = write_changes(self.engine, folder, rows, list(counts))
                made.append(changes.file)
            manifest = apply_write(manifest, added, changes, dead, counts)
            folder.publish(manifest)
        maintain(self.engine, folder, manifest, hnsw=self.hnsw)
        written = sum(part.bytes for part in (added, changes) if part is not None)
        return WriteReceipt(records, written, mark=manifest.mark)


def _counts(touched: pa.Table) -> tuple[dict[int, int], dict[int, int]]:
    """Change rows, and the deaths among them, by segment."""
    counts: dict[int, int] = {}
    dead: dict[int, int] = {}
    for group in touched.group_by(["segment", "removed_in"]).aggregate([([], "count_all")]).to_pylist():
        counts[group["segment"]] = counts.get(group["segment"], 0) + group["count_all"]
        if group["removed_in"] == DEAD:
            dead[group["segment"]] = group["count_all"]
    return counts, dead
