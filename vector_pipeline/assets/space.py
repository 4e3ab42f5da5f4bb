"""One embedding space's branch: ``chunks`` → ``embeddings`` → ``snapshot``. Two spaces side by side is dual-writing.

What a run does for a space that does not serve is in ``assets.filling``. One that is not whole has no version, and that is no
failure of a build.
"""

import time
from collections.abc import Iterator

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.filling import (
    FillSettings,
    catches_up,
    caught_up,
    filled,
    fills,
    left_to_fill,
    tell_refused,
)
from vector_pipeline.assets.names import CHUNKS, EMBEDDINGS, SNAPSHOT, documents_key, space_key
from vector_pipeline.assets.partitions import backfill_policy, each_shard, selected_shards, shard_partitions
from vector_pipeline.assets.placing import group_of, takes_project
from vector_pipeline.assets.shown import FINGERPRINT, forget_other
from vector_pipeline.assets.steps import step
from vector_pipeline.build import EmbedCounts
from vector_pipeline.config import DatasetConfig, SpaceConfig
from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import fingerprint
from vector_pipeline.project.filling import Filled
from vector_pipeline.release.spacefill import OVER_BUDGET
from vector_pipeline.report.samples import chunk_samples, chunk_shards, vector_shards
from vector_pipeline.resources import ProjectResource

_NOT_OF_THE_SPACE = {"device", "batch_size", "prices"}
_KIND_OF = {"sentence-transformers": "huggingface"}
"""Kinds that Dagster has a picture of."""


class SnapshotSettings(dg.Config):
    """What a run may say about the version that it makes."""

    message: str = ""
    """One line on why; kept with the version."""


def branch(config: DatasetConfig, space: str) -> set[str]:
    """The space's name as a kind of its assets, where there are several: the graph shows the last word of a key alone."""
    return {space} if len(config.spaces) > 1 else set()


def code_version(space: SpaceConfig) -> str:
    """Name of a space's configuration. Not its fingerprint: that needs the model, and definitions load without it."""
    embedder = space.embedder.model_dump(mode="json", exclude=_NOT_OF_THE_SPACE)
    return fingerprint({"embedder": embedder, "chunker": space.chunker.model_dump(mode="json"), "metric": space.metric})


def split_of(config: DatasetConfig, space: str) -> dg.BackfillPolicy:
    """A backfill of what serves is one run: its builds take the whole table. A space that does not is filled by several."""
    return backfill_policy(config.shards, 1 if space == config.serving_space else config.reembed.runs)


def chunks(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The chunks of a space, by shard."""
    settings = config.spaces[space]

    @dg.asset(
        key=space_key(dataset, space, CHUNKS),
        # A space that is filled in part has no step in a release: what is filled of it is told shard by shard.
        output_required=space == config.serving_space,
        deps=[documents_key(dataset)],
        partitions_def=shard_partitions(config.shards),
        backfill_policy=split_of(config, space),
        group_name=group_of(dataset),
        owners=config.owners,
        tags=config.tags,
        kinds={"python", "ducklake", *branch(config, space)},
        code_version=code_version(settings),
        description=(
            f"Documents cut into chunks of at most {settings.chunker.max_tokens} tokens of {settings.embedder.model}. "
            "Only documents that changed are cut."
        ),
    )
    @takes_project(dataset)
    def body(context: dg.AssetExecutionContext, project: ProjectResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, config.shards)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            if not core.serves(dataset, space) and forget_other(context.instance, core, dataset, space):
                context.log.info("another space was called %s: what was materialised of it is forgotten", space)
            if not core.serves(dataset, space) and catches_up(context, core, dataset, space, shards):
                return
            filling = not core.serves(dataset, space) and fills(context, dataset)
            made = (
                core.chunk_each(dataset, space, shards, run_id=context.run.run_id)
                if filling
                else core.chunk(dataset, space=space, shards=shards, run_id=context.run.run_id)
            )
            took = time.perf_counter() - started
            lake, tables = core.lake(read_only=True), core.tables(dataset, space)
            facts = chunk_shards(lake, tables, shards)
            show.report_shards(context, each_shard(shards, config.shards), facts, "chunks")
            yield dg.MaterializeResult(
                metadata={
                    **show.counts(made),
                    "seconds": show.seconds(took),
                    "space": space,
                    FINGERPRINT: core.space(dataset, space).fingerprint,
                    "sample": show.table(chunk_samples(lake, tables)),
                }
            )

    return body


def embeddings(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The vectors of a space, by shard."""
    settings, count = config.spaces[space], config.shards

    @dg.asset(
        key=space_key(dataset, space, EMBEDDINGS),
        # Law 2 of ``assets.filling``.
        output_required=space == config.serving_space,
        deps=[space_key(dataset, space, CHUNKS)],
        partitions_def=shard_partitions(config.shards),
        backfill_policy=split_of(config, space),
        group_name=group_of(dataset),
        owners=config.owners,
        tags=config.tags,
        kinds={_KIND_OF.get(settings.embedder.kind, "python"), "ducklake", *branch(config, space)},
        code_version=code_version(settings),
        description=f"Vectors made with {settings.embedder.model}. No text is ever embedded twice in a space.",
    )
    @takes_project(dataset)
    def body(
        context: dg.AssetExecutionContext, config: FillSettings, project: ProjectResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, count)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            filling = not core.serves(dataset, space) and fills(context, dataset)
            made: Filled | EmbedCounts | None
            if filling:
                made = filled(context, core, dataset, space, shards, config)
            elif core.serves(dataset, space):
                made = core.embed(dataset, space=space, shards=shards, run_id=context.run.run_id)
            else:
                made = caught_up(context, core, dataset, space, shards)
            if made is None:
                return
            took = time.perf_counter() - started
            resolved = core.space(dataset, space)
            facts = vector_shards(core.lake(read_only=True), core.tables(dataset, space), shards)
            show.report_shards(context, each_shard(shards, count), facts, "vectors")
            yield dg.MaterializeResult(
                metadata={
                    **show.counts(made, "embedded", "copied", "vectors"),
                    "seconds": show.seconds(took),
                    "texts_per_second": show.seconds(made.embedded / made.seconds if made.seconds else 0.0),
                    "space": space,
                    FINGERPRINT: resolved.fingerprint,
                    "dimension": resolved.dimension,
                    **(left_to_fill(core, dataset, space) if filling else {}),
                }
            )

    return body


def snapshot(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The numbered, immutable version of a dataset in a space."""

    @dg.asset(
        key=space_key(dataset, space, SNAPSHOT),
        deps=[space_key(dataset, space, EMBEDDINGS)],
        # A space that does not serve may not be whole.
        output_required=space == config.serving_space,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=group_of(dataset),
        owners=config.owners,
        tags=config.tags,
        kinds={"ducklake", *branch(config, space)},
        code_version=code_version(config.spaces[space]),
        description="The lake's present state as a numbered version. Made only if its content differs from the last one's.",
    )
    @takes_project(dataset)
    def body(
        context: dg.AssetExecutionContext, config: SnapshotSettings, project: ProjectResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        with step(context):
            started = time.perf_counter()
            core = project.get()
            left = 0 if core.serves(dataset, space) else core.unfilled(dataset, space)
            if left:
                context.log.info("%s: %s shards are to be filled before there can be a version", space, left)
                return
            run_id = context.run.run_id
            if core.serves(dataset, space):
                made = core.snapshot(dataset, space=space, message=config.message, run_id=run_id)
            else:
                try:
                    made = core.snapshot_caught_up(
                        dataset, space=space, message=config.message, over_budget=fills(context, dataset), run_id=run_id
                    )
                except RefusedError as error:
                    if error.code != OVER_BUDGET:
                        raise
                    tell_refused(context, space_key(dataset, space, EMBEDDINGS), error)
                    return
            version = made.version
            changes = (
                show.diff(made.diff) if made.diff is not None else {"diff": f"none since version {version.number}"}
            )
            yield dg.MaterializeResult(
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
