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
from vector_pipeline.lake import since
from vector_pipeline.lake.changes import find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.snapshots import SnapshotFacts, combined, describe_digest, describe_snapshot
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
        facts = describe_snapshot(lake, tables)
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
        if _is_kept(lake, version) if described else _is_as_now(lake, version, facts) or reads_back(lake, version):
            return version, made, facts
        lost = version.number
        # It says what is true, and frees no file that anybody needs. What is served or pinned stays as it is.
        with suppress(RefusedError):
            registry.mark_expired(version.dataset, [lost])
    raise ConflictError(
        f"the lake's states of {tables.dataset.dataset} are expired while they are recorded", fix="Build again"
    )


def _is_kept(lake: Lake, version: Version) -> bool:
    """Whether the lake still has the version's snapshot; for one that was described just now, that is enough."""
    try:
        lake.rows(f"SELECT 1 FROM {at(tables_of(version).chunks, version.lake_snapshot)} LIMIT 1")
    except NotFoundError:
        return False
    return True


def _is_as_now(lake: Lake, version: Version, facts: SnapshotFacts) -> bool:
    """Whether nothing became of the version's state until the one that was described: then it reads back as that does."""
    tables, columns = tables_of(version), ("shard", "record_id", "metadata_hash")
    if version.lake_snapshot > facts.lake_snapshot:
        return False
    found = find_changes(
        lake, tables.dataset, tables.chunk_table, columns, version.lake_snapshot, facts.lake_snapshot, "records_since"
    )
    return found and lake.row("SELECT count(*) FROM records_since")[0] == 0


def reads_back(lake: Lake, version: Version) -> bool:
    """Whether the lake still holds the version, with its digest. One query."""
    try:
        return describe_digest(lake, tables_of(version), version.lake_snapshot) == version.digest
    except NotFoundError:
        return False


def is_there(lake: Lake, version: Version) -> bool:
    """``reads_back``, at the cost of what changed since, where the lake knows of a later state what it described: for whoever tells
    of a version, and serves none.
    """
    tables = tables_of(version)
    known = since.described(lake, tables)
    if known is not None and version.lake_snapshot <= known.snapshot:
        try:
            told = since.went_back(lake, tables, known, version.lake_snapshot)
        except NotFoundError:
            return False
        if told is not None:
            return combined(told) == version.digest and _is_kept(lake, version)
    return reads_back(lake, version)


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
