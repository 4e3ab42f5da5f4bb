"""One embedding space's branch: ``chunks`` → ``embeddings`` → ``snapshot``. Two spaces side by side is dual-writing."""

import time

import dagster as dg

from assets import metadata as show
from assets.names import CHUNKS, EMBEDDINGS, SNAPSHOT, documents_key, space_key
from assets.partitions import each_shard, selected_shards, shard_partitions
from assets.steps import step
from resources import ProjectResource
from vector_pipeline.config import DatasetConfig, SpaceConfig
from vector_pipeline.hashing import fingerprint
from vector_pipeline.report.samples import chunk_samples, chunk_shards, vector_shards

_NOT_OF_THE_SPACE = {"device", "batch_size", "prices"}
_KIND_OF = {"sentence-transformers": "huggingface"}
"""Kinds that Dagster has a picture of."""


class SnapshotSettings(dg.Config):
    """What a run may say about the version that it makes."""

    message: str = ""
    """One line on why; kept with the version."""


def code_version(space: SpaceConfig) -> str:
    """Name of a space's configuration. Not its fingerprint: that needs the model, and definitions load without it."""
    embedder = space.embedder.model_dump(mode="json", exclude=_NOT_OF_THE_SPACE)
    return fingerprint({"embedder": embedder, "chunker": space.chunker.model_dump(mode="json"), "metric": space.metric})


def chunks(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The chunks of a space, by shard."""
    settings = config.spaces[space]

    @dg.asset(
        key=space_key(dataset, space, CHUNKS),
        deps=[documents_key(dataset)],
        partitions_def=shard_partitions(config.shards),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds={"python", "ducklake"},
        code_version=code_version(settings),
        description=(
            f"Documents cut into chunks of at most {settings.chunker.max_tokens} tokens of {settings.embedder.model}. "
            "Only documents that changed are cut."
        ),
    )
    def body(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, config.shards)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            made = core.chunk(dataset, space=space, shards=shards)
            took = time.perf_counter() - started
            lake, tables = core.lake(read_only=True), core.tables(dataset, space)
            facts = chunk_shards(lake, tables, shards)
            show.report_shards(context, each_shard(shards, config.shards), facts, "chunks")
            return dg.MaterializeResult(
                metadata={
                    **show.counts(made),
                    "seconds": show.seconds(took),
                    "space": space,
                    "sample": show.table(chunk_samples(lake, tables)),
                }
            )

    return body


def embeddings(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The vectors of a space, by shard."""
    settings = config.spaces[space]

    @dg.asset(
        key=space_key(dataset, space, EMBEDDINGS),
        deps=[space_key(dataset, space, CHUNKS)],
        partitions_def=shard_partitions(config.shards),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds={_KIND_OF.get(settings.embedder.kind, "python"), "ducklake"},
        code_version=code_version(settings),
        description=f"Vectors made with {settings.embedder.model}. No text is ever embedded twice in a space.",
    )
    def body(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, config.shards)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            made = core.embed(dataset, space=space, shards=shards)
            took = time.perf_counter() - started
            resolved = core.space(dataset, space)
            facts = vector_shards(core.lake(read_only=True), core.tables(dataset, space), shards)
            show.report_shards(context, each_shard(shards, config.shards), facts, "vectors")
            return dg.MaterializeResult(
                metadata={
                    **show.counts(made, "embedded", "copied", "vectors"),
                    "seconds": show.seconds(took),
                    "texts_per_second": show.seconds(made.embedded / made.seconds if made.seconds else 0.0),
                    "space": space,
                    "fingerprint": resolved.fingerprint,
                    "dimension": resolved.dimension,
                }
            )

    return body


def snapshot(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The numbered, immutable version of a dataset in a space."""

    @dg.asset(
        key=space_key(dataset, space, SNAPSHOT),
        deps=[space_key(dataset, space, EMBEDDINGS)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds={"ducklake"},
        code_version=code_version(config.spaces[space]),
        description="The lake's present state as a numbered version. Made only if its content differs from the last one's.",
    )
    def body(
        context: dg.AssetExecutionContext, config: SnapshotSettings, project: ProjectResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(context):
            started = time.perf_counter()
            made = project.get().snapshot(dataset, space=space, message=config.message, run_id=context.run.run_id)
            version = made.version
            changes = (
                show.diff(made.diff) if made.diff is not None else {"diff": f"none since version {version.number}"}
            )
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version.digest),
                metadata={
                    "version": version.number,
                    "made_now": made.made,
                    "digest": version.digest,
                    "documents": version.documents,
                    "records": version.records,
                    **changes,
                    "space": version.space,
                    "fingerprint": version.fingerprint,
                    "dimension": version.dimension,
                    "lake_snapshot": version.lake_snapshot,
                    "message": version.message,
                    "seconds": show.seconds(time.perf_counter() - started),
                    "next": show.command(f"vector-pipeline plan {dataset} --version {version.number}"),
                },
            )

    return body
