"""``raw_documents``: source → lake."""

import time
from collections.abc import Sequence

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.names import documents_key
from vector_pipeline.assets.partitions import each_shard, selected_shards, shard_partitions
from vector_pipeline.assets.placing import group_of, takes_project
from vector_pipeline.assets.steps import step
from vector_pipeline.config import DatasetConfig
from vector_pipeline.corpus import Quarantined
from vector_pipeline.hashing import fingerprint
from vector_pipeline.lake.tables import DatasetTables
from vector_pipeline.report.samples import document_samples, document_shards, quarantined_shards
from vector_pipeline.resources import ProjectResource

_KIND_OF = {"files": "file", "jsonl": "json"}
"""Kinds that Dagster has a picture of."""


def raw_documents(dataset: str, config: DatasetConfig, deps: Sequence[dg.AssetDep] = ()) -> dg.AssetsDefinition:
    """The documents of a dataset, by shard. ``deps``: what the source is made of, where an asset makes it."""

    @dg.asset(
        key=documents_key(dataset),
        deps=deps,
        partitions_def=shard_partitions(config.shards),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=group_of(dataset),
        owners=config.owners,
        tags=config.tags,
        kinds={_KIND_OF.get(config.source.kind, config.source.kind), "ducklake"},
        code_version=fingerprint({"source": config.source.model_dump(mode="json")}),
        description=f"{config.description or dataset}\n\nDocuments as the source has them. Only files that changed are read.",
    )
    @takes_project(dataset)
    def body(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        shards = selected_shards(context.partition_keys, config.shards)
        with step(context):
            started = time.perf_counter()
            core = project.get()
            taken = core.take_inbox(dataset, shards=shards)
            for one in taken.aside:
                context.log.warning("put aside from the inbox: %s: %s", one.id, one.detail)
            synced = core.sync(dataset, shards=shards)
            took = time.perf_counter() - started
            lake, tables = core.lake(read_only=True), DatasetTables(dataset)
            aside = quarantined_shards(lake, tables, shards) if synced.quarantined else {}
            facts = document_shards(lake, tables, shards, aside)
            show.report_shards(context, each_shard(shards, config.shards), facts, "documents")
            quarantined = core.quarantined(dataset)[:10] if synced.quarantined else []
            return dg.MaterializeResult(
                metadata={
                    **show.counts(synced),
                    "documents": sum(one.rows for one in facts.values()),
                    "seconds": show.seconds(took),
                    "sample": show.table(document_samples(lake, tables)),
                    **({"from_inbox": len(taken.moved)} if taken.moved else {}),
                    **({"put_aside": show.table([_aside(one) for one in taken.aside])} if taken.aside else {}),
                    **({"quarantine": show.table(quarantined)} if quarantined else {}),
                    "next": show.command(f"vector-pipeline documents {dataset}"),
                }
            )

    return body


def _aside(one: Quarantined) -> dict[str, str]:
    return {"file": one.id, "reason": one.reason.value, "detail": one.detail}
