"""One embedding space's branch: ``chunks`` → ``embeddings`` → ``snapshot``. Two spaces side by side is dual-writing.

Laws
----
1. In a run of the dataset's own jobs (``build``, ``release``) a space that does not serve is brought up to date where it was
   filled, and nowhere else: production waits for no migration (ADR 0014). Every other run of its assets, a backfill or ``reembed``,
   fills.
2. A space that is not whole has no version, and that is no failure of a build.
"""

import time
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from assets import metadata as show
from assets.names import CHUNKS, EMBEDDINGS, SNAPSHOT, documents_key, job_name, space_key
from assets.partitions import each_shard, selected_shards, shard_key, shard_partitions
from assets.steps import step
from resources import ProjectResource
from vector_pipeline.config import DatasetConfig, SpaceConfig
from vector_pipeline.hashing import fingerprint
from vector_pipeline.project import Project
from vector_pipeline.project.filling import Filled
from vector_pipeline.report.samples import chunk_samples, chunk_shards, vector_shards

_NOT_OF_THE_SPACE = {"device", "batch_size", "prices"}
_KIND_OF = {"sentence-transformers": "huggingface"}
"""Kinds that Dagster has a picture of."""


class SnapshotSettings(dg.Config):
    """What a run may say about the version that it makes."""

    message: str = ""
    """One line on why; kept with the version."""


class FillSettings(dg.Config):
    """What a run may say about filling a space that does not serve."""

    texts_per_s: float | None = Field(default=None, gt=0)
    """Texts that are embedded in a second at most; default: ``reembed.max_texts_per_s``."""
    over_budget: bool = False
    """Lets it embed more than ``reembed.max_texts`` and ``reembed.max_cost``."""


def fills(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, dataset: str) -> bool:
    """Whether this run fills (law 1)."""
    return context.run.job_name not in {job_name(dataset, "build"), job_name(dataset, "release")}


def _left(core: Project, dataset: str, space: str) -> show.Metadata:
    left = core.unfilled(dataset, space)
    if not left:
        return {}
    return {"shards_to_fill": left, "next": show.command(f"vector-pipeline reembed {dataset} --space {space}")}


def _catches_up(
    context: dg.AssetExecutionContext, core: Project, dataset: str, space: str, shards: list[int] | None
) -> bool:
    """Law 1 for a space that is filled in part: what is filled is brought up to date and told; the rest is no part of this run."""
    if fills(context, dataset) or not core.unfilled(dataset, space):
        return False
    covered = core.shards_to_build(dataset, space, shards) or []
    if covered:
        core.catch_up(dataset, space, covered, run_id=context.run.run_id)
        lake, tables = core.lake(read_only=True), core.tables(dataset, space)
        for step_name, facts in (
            (CHUNKS, chunk_shards(lake, tables, covered)),
            (EMBEDDINGS, vector_shards(lake, tables, covered)),
        ):
            for shard in covered:
                rows = facts[shard].rows if shard in facts else 0
                tell_shard(context, space_key(dataset, space, step_name), shard, {"rows": rows})
    context.log.info(
        "%s is filled in part: %s shards were brought up to date, %s are left to a re-embedding",
        space, len(covered), core.unfilled(dataset, space),
    )  # fmt: skip
    return True


def tell_shard(context: dg.AssetExecutionContext, key: dg.AssetKey, shard: int, facts: show.Metadata) -> None:
    """One shard of an asset as materialised now, in the middle of a run or without its own step."""
    context.log_event(dg.AssetMaterialization(key, partition=shard_key(shard), metadata=facts))


def branch(config: DatasetConfig, space: str) -> set[str]:
    """The space's name as a kind of its assets, where there are several: the graph shows the last word of a key alone."""
    return {space} if len(config.spaces) > 1 else set()


def code_version(space: SpaceConfig) -> str:
    """Name of a space's configuration. Not its fingerprint: that needs the model, and definitions load without it."""
    embedder = space.embedder.model_dump(mode="json", exclude=_NOT_OF_THE_SPACE)
    return fingerprint({"embedder": embedder, "chunker": space.chunker.model_dump(mode="json"), "metric": space.metric})


def chunks(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The chunks of a space, by shard."""
    settings = config.spaces[space]

    @dg.asset(
        key=space_key(dataset, space, CHUNKS),
        # A space that is filled in part has no step in a release: what is filled of it is told shard by shard.
        output_required=space == config.serving_space,
        deps=[documents_key(dataset)],
        partitions_def=shard_partitions(config.shards),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds={"python", "ducklake", *branch(config, space)},
        code_version=code_version(settings),
        description=(
            f"Documents cut into chunks of at most {settings.chunker.max_tokens} tokens of {settings.embedder.model}. "
            "Only documents that changed are cut."
        ),
    )
    def body(context: dg.AssetExecutionContext, project: ProjectResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, config.shards)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            if not core.serves(dataset, space) and _catches_up(context, core, dataset, space, shards):
                return
            filling = not core.serves(dataset, space) and fills(context, dataset)
            made = (
                core.chunk_each(dataset, space, shards) if filling else core.chunk(dataset, space=space, shards=shards)
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
                    "sample": show.table(chunk_samples(lake, tables)),
                }
            )

    return body


def embeddings(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The vectors of a space, by shard."""
    settings, count = config.spaces[space], config.shards

    @dg.asset(
        key=space_key(dataset, space, EMBEDDINGS),
        deps=[space_key(dataset, space, CHUNKS)],
        partitions_def=shard_partitions(config.shards),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds={_KIND_OF.get(settings.embedder.kind, "python"), "ducklake", *branch(config, space)},
        code_version=code_version(settings),
        description=f"Vectors made with {settings.embedder.model}. No text is ever embedded twice in a space.",
    )
    def body(context: dg.AssetExecutionContext, config: FillSettings, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, count)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            filling = not core.serves(dataset, space) and fills(context, dataset)
            made = (
                _filled(context, core, dataset, space, shards, config)
                if filling
                else core.embed(dataset, space=space, shards=shards, run_id=context.run.run_id)
            )
            took = time.perf_counter() - started
            resolved = core.space(dataset, space)
            facts = vector_shards(core.lake(read_only=True), core.tables(dataset, space), shards)
            show.report_shards(context, each_shard(shards, count), facts, "vectors")
            return dg.MaterializeResult(
                metadata={
                    **show.counts(made, "embedded", "copied", "vectors"),
                    "seconds": show.seconds(took),
                    "texts_per_second": show.seconds(made.embedded / made.seconds if made.seconds else 0.0),
                    "space": space,
                    "fingerprint": resolved.fingerprint,
                    "dimension": resolved.dimension,
                    **(_left(core, dataset, space) if filling else {}),
                }
            )

    return body


def _filled(
    context: dg.AssetExecutionContext,
    core: Project,
    dataset: str,
    space: str,
    shards: list[int] | None,
    said: FillSettings,
) -> Filled:
    """Law 1. A shard is told when it is whole, so that people see how far a long run is."""
    key = space_key(dataset, space, EMBEDDINGS)
    return core.fill(
        dataset, space, shards=shards, texts_per_s=said.texts_per_s, over_budget=said.over_budget,
        run_id=context.run.run_id,
        on_filled=lambda one: tell_shard(context, key, one.shard, {"documents": one.documents, "records": one.records}),
    )  # fmt: skip


def snapshot(dataset: str, config: DatasetConfig, space: str) -> dg.AssetsDefinition:
    """The numbered, immutable version of a dataset in a space."""

    @dg.asset(
        key=space_key(dataset, space, SNAPSHOT),
        deps=[space_key(dataset, space, EMBEDDINGS)],
        # Law 2: where a space that does not serve is not whole.
        output_required=space == config.serving_space,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds={"ducklake", *branch(config, space)},
        code_version=code_version(config.spaces[space]),
        description="The lake's present state as a numbered version. Made only if its content differs from the last one's.",
    )
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
            take = core.snapshot if core.serves(dataset, space) else core.snapshot_caught_up
            made = take(dataset, space=space, message=config.message, run_id=context.run.run_id)
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
