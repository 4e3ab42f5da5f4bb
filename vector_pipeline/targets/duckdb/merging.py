"""Carrying out compaction: new files with the same content, published like any write. The caller holds the lock."""

import logging
from dataclasses import replace

from vector_pipeline.errors import CorruptError, UnavailableError
from vector_pipeline.targets.duckdb.compaction import Merge, next_merge
from vector_pipeline.targets.duckdb.engine import Engine, View
from vector_pipeline.targets.duckdb.files import COLUMNS, Source, write_changes, write_segment
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.duckdb.manifest import Changes, Manifest, apply_merge
from vector_pipeline.targets.duckdb.relations import live

_LOG = logging.getLogger(__name__)


def maintain(engine: Engine, folder: Folder, manifest: Manifest, *, hnsw: bool) -> None:
    """Compact and collect after a write that has landed: what fails here is left for the next write, and must not look as if
    the write had failed."""
    try:
        while (merge := next_merge(manifest)) is not None:
            with engine.view(folder) as view:
                manifest = run_merge(engine, folder, view, merge, hnsw=hnsw)
    except (UnavailableError, CorruptError) as error:
        _LOG.warning("compaction of %s is put off: %s", folder.path, error)
        return  # perhaps published: what is garbage is for the next write to see
    folder.collect(manifest)


def run_merge(engine: Engine, folder: Folder, view: View, merge: Merge, *, hnsw: bool) -> Manifest:
    """The manifest that was published."""
    manifest = view.manifest
    segment, changes = None, manifest.changes
    with folder.making() as made:
        if merge.segments:
            parts = tuple(part for part in manifest.segments if part.number in merge.segments)
            rows = sum(part.records - part.dead for part in parts)
            records = live(replace(view, manifest=replace(manifest, segments=parts)), COLUMNS)
            segment = write_segment(
                engine, folder, Source(records, rows, {}), manifest.spec, manifest.next_segment, hnsw=hnsw
            )
            made.append(segment.file)
        if merge.changes_from is not None:
            changes = _merged_changes(engine, folder, view, merge.changes_from)
            made.append(changes[-1].file)
        manifest = apply_merge(manifest, merge.segments, segment, changes)
        folder.publish(manifest)
    return manifest


def _merged_changes(engine: Engine, folder: Folder, view: View, start: int) -> tuple[Changes, ...]:
    """Change files with those from ``start`` on made one: the newest word on each position."""
    kept, merged = view.manifest.changes[:start], view.manifest.changes[start:]
    numbers = sorted({number for part in merged for number in part.segments})
    union = " UNION ALL ".join(
        f"SELECT *, {age} AS age FROM {view.table(part.file, 'changes')}" for age, part in enumerate(merged)
    )
    with engine.cursor() as cursor:
        rows = cursor.execute(
            f"SELECT segment, position, arg_max(removed_in, age) AS removed_in FROM ({union})"
            f" WHERE segment IN ({', '.join(map(str, numbers))}) GROUP BY segment, position"
        ).to_arrow_table()
    source = Source("SELECT * FROM merged", rows.num_rows, {"merged": rows})
    return (*kept, write_changes(engine, folder, source, numbers))
