"""Source → ``documents``: list, compare in the lake, read only what changed, commit once.

Laws
----
1. The dataset's state says what the last sync of every shard saw: the source's revision (with the source's settings in it) and the
   number of shards. A sync of some shards that saw another revision takes the revision away, in the same commit.
2. The number of shards is fixed once built: another one would look for documents in shards where they are not.
3. A source that suddenly lists nothing is an error, not a mass deletion.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from vector_pipeline.build.files import OnRead, stage_files
from vector_pipeline.build.records import record_revision, stage_records
from vector_pipeline.config import DatasetConfig, RecordSourceConfig
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.corpus.sources import listed_source
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake import documents as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import SourceState, SyncCounts
from vector_pipeline.lake.tables import DatasetTables


def sync_documents(
    lake: Lake,
    dataset: str,
    config: DatasetConfig,
    base: Path,
    *,
    shards: Sequence[int] | None = None,
    on_read: OnRead | None = None,
    erased: Collection[str] = (),
    sample: Sample | None = None,
) -> SyncCounts:
    """Bring the documents of the selected shards (None: all) to the source's present state.

    ``erased``: keys of documents that stay out. Their items stand in quarantine with that reason while the source lists them.
    ``sample``: of what the source lists, these alone are the dataset's documents.
    """
    tables = DatasetTables(dataset)
    tables.ensure(lake)
    known = known_state(lake, tables, config)
    store.select_shards(lake, config.shards, shards)
    source, revision = config.source, None
    if not isinstance(source, RecordSourceConfig):
        listed = stage_files(lake, tables, listed_source(source, base), config.shards, on_read, erased, sample)
    else:
        revision = record_revision(source, base, sample)
        if known is not None and revision is not None and revision == known.revision:
            return _unchanged(lake, tables)
        listed = stage_records(lake, tables, source, base, config.shards, erased, sample)
    if not listed and not source.allow_empty:
        raise _empty(lake, tables, config, base)
    whole = shards is None or set(shards) >= set(range(config.shards))
    seen = revision if whole or (known is not None and known.revision == revision) else None
    return store.apply_sync(lake, tables, SourceState(seen, config.shards), known, f"sync {dataset}")


def known_state(lake: Lake, tables: DatasetTables, config: DatasetConfig) -> SourceState | None:
    """State at the last sync, None before the first. ``RefusedError`` when it was built with another number of shards."""
    known = store.source_state(lake, tables)
    if known is not None and known.shards != config.shards:
        raise RefusedError(
            f"{tables.dataset} was built with {known.shards} shards, the configuration says {config.shards}",
            fix=f"Set `shards: {known.shards}`, or build under another dataset name",
        )
    return known


def _unchanged(lake: Lake, tables: DatasetTables) -> SyncCounts:
    """Counts of a record source whose files have not been touched since the last whole sync."""
    listed, quarantined = lake.row(
        f"""SELECT count(*), count(*) FILTER (reason IS NOT NULL) FROM {tables.items}
            WHERE shard IN (FROM selected_shards)"""
    )
    return SyncCounts(listed=int(listed), unchanged=int(listed - quarantined), quarantined=int(quarantined))


def _empty(lake: Lake, tables: DatasetTables, config: DatasetConfig, base: Path) -> RefusedError:
    source = config.source
    where = (
        (source.path or "the query") if isinstance(source, RecordSourceConfig) else listed_source(source, base).where
    )
    known = int(lake.row(f"SELECT count(*) FROM {tables.items}")[0])
    before = f"; it listed {known} items before" if known else ""
    return RefusedError(
        f"{tables.dataset}: the source {where} lists nothing{before}",
        fix="Check its path and patterns, or set `allow_empty: true` if everything really was deleted",
    )
