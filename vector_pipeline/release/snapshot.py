"""Make a version: describe the lake's complete state in a space, and number it in the registry if it is a new one."""

from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.snapshots import SnapshotFacts, describe_snapshot
from vector_pipeline.lake.tables import DatasetTables, SpaceTables
from vector_pipeline.release.registry import NewVersion, Registry, Version


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

    ``RefusedError`` when the state is not complete.
    """
    facts = describe_snapshot(lake, tables)
    version, made = registry.record_version(
        NewVersion(
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
        )
    )
    return version, made, facts


def tables_of(version: Version) -> SpaceTables:
    """The lake tables that a version was made from, whatever the configuration says today."""
    return SpaceTables(DatasetTables(version.dataset), version.chunk_table, version.embedding_table)
