"""Make a version: describe the lake's complete state in a space, and number it in the registry if it is a new one.

Laws
----
1. A version that is handed out reads back from the lake with its digest: one that does not (the lake was made anew beside an old
   registry, its snapshot was expired meanwhile) is never taken for the present state, whatever its digest.
2. A build of nothing new costs no version, and one query where the lake has moved on.
"""

from contextlib import suppress

from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.errors import ConflictError, CorruptError, NotFoundError, RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.since import Changes, changes_since, made_before
from vector_pipeline.lake.snapshots import SnapshotFacts, describe_digest, describe_snapshot
from vector_pipeline.lake.tables import DatasetTables, SpaceTables, at
from vector_pipeline.release.registry import NewVersion, Registry, Version

_ATTEMPTS = 5
"""Snapshots that are tried while somebody else expires them."""


def make_version(
    lake: Lake,
    registry: Registry,
    tables: SpaceTables,
    space: EmbeddingSpace,
    *,
    message: str = "",
    run_id: str | None = None,
    code_revision: str | None = None,
) -> tuple[Version, bool, SnapshotFacts]:
    """The version of the present state, and whether it was made now: equal content keeps the version that it has.

    ``RefusedError`` when the state is not complete; ``ConflictError`` when states are expired faster than they are recorded.
    """
    lost: int | None = None
    for _ in range(_ATTEMPTS):
        facts = _facts(lake, tables, _newest(lake, registry, tables, space) if lost is None else None)
        new = NewVersion(
            dataset=tables.dataset.dataset,
            space=space.name,
            fingerprint=space.fingerprint,
            embedder_fingerprint=space.embedder_fingerprint,
            dimension=space.dimension,
            metric=space.metric,
            digest=facts.digest,
            lake_snapshot=facts.lake_snapshot,
            documents=facts.documents,
            records=facts.records,
            chunk_table=tables.chunk_table,
            embedding_table=tables.embedding_table,
            run_id=run_id,
            code_revision=code_revision,
            message=message,
            model=space.model,
            chunker=space.chunker.model_dump_json(),
        )
        version, made = registry.record_version(new, not_as=lost)
        # Asked after the recording: from here on, the registry keeps the snapshot from expiry.
        described = version.lake_snapshot == facts.lake_snapshot
        if _is_kept(lake, version) if described else reads_back(lake, version):
            return version, made, facts
        lost = version.number
        # It says what is true, and frees no file that anybody needs. What is served or pinned stays as it is.
        with suppress(RefusedError):
            registry.mark_expired(version.dataset, [lost])
    raise ConflictError(
        f"the lake's states of {tables.dataset.dataset} are expired while they are recorded", fix="Build again"
    )


def complete_at(lake: Lake, registry: Registry, tables: SpaceTables, space: EmbeddingSpace) -> int | None:
    """Lake snapshot of the newest state that a version was made of in these tables (``lake.since``, laws 1 and 3)."""
    version = _newest(lake, registry, tables, space)
    return version.lake_snapshot if version is not None else None


def _facts(lake: Lake, tables: SpaceTables, newest: Version | None) -> SnapshotFacts:
    """Of the present state; what did not change since the newest version is taken from that."""
    changes = changes_since(lake, tables, newest.lake_snapshot) if newest is not None else None
    if newest is None or changes is None:
        return describe_snapshot(lake, tables)
    if not changes.any:
        return SnapshotFacts(newest.digest, newest.lake_snapshot, newest.documents, newest.records)
    return describe_snapshot(lake, tables, changes, None if changes.chunks else newest.digest)


def changes_from(lake: Lake, old: Version, new: Version) -> Changes | None:
    """What changed from an older version to one of the same tables; None where only a look at all of both can tell."""
    if tables_of(old) != tables_of(new) or not made_before(lake, old.lake_snapshot, old.created_at):
        return None
    return changes_since(lake, tables_of(old), old.lake_snapshot, new.lake_snapshot)


def _newest(lake: Lake, registry: Registry, tables: SpaceTables, space: EmbeddingSpace) -> Version | None:
    found = registry.latest_version(tables.dataset.dataset, space.name, space.fingerprint)
    if found is None or tables_of(found) != tables or not made_before(lake, found.lake_snapshot, found.created_at):
        return None
    return found


def _is_kept(lake: Lake, version: Version) -> bool:
    """Whether the lake still has the version's snapshot; for one that was described just now, that is enough."""
    try:
        lake.rows(f"SELECT 1 FROM {at(tables_of(version).chunks, version.lake_snapshot)} LIMIT 1")
    except NotFoundError:
        return False
    return True


def reads_back(lake: Lake, version: Version) -> bool:
    """Whether the lake still holds the version, with its digest. One query."""
    try:
        return describe_digest(lake, tables_of(version), version.lake_snapshot) == version.digest
    except NotFoundError:
        return False


def require_whole(lake: Lake, version: Version) -> None:
    """``CorruptError`` unless the lake still holds the version, with its digest."""
    if not reads_back(lake, version):
        raise _lost(lake, version)


def require_kept(lake: Lake, version: Version) -> None:
    """``RefusedError`` for an expired version, ``CorruptError`` for one whose snapshot the lake does not know. Cheap."""
    if version.expired_at is not None:
        raise RefusedError(
            f"version {version.number} of {version.dataset} was expired", fix="See: vector-pipeline versions"
        )
    if not _is_kept(lake, version):
        raise _lost(lake, version)


def _lost(lake: Lake, version: Version) -> CorruptError:
    return CorruptError(
        f"{lake.where} does not hold version {version.number} of {version.dataset} as it was made "
        f"(state {version.lake_snapshot}, digest {version.digest[:12]}): was the lake made anew?",
        fix=f"Build a new version: vector-pipeline build {version.dataset}",
    )


def tables_of(version: Version) -> SpaceTables:
    """The lake tables that a version was made from, whatever the configuration says today."""
    return SpaceTables(DatasetTables(version.lake_dataset), version.chunk_table, version.embedding_table)
