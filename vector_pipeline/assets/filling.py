"""What a run does for a space that does not serve: fill it, or bring what is filled up to date.

Laws
----
1. In a run of the dataset's own jobs (``build``, ``release``) a space that does not serve is brought up to date where it was
   filled, and nowhere else: production waits for no migration (ADR 0014). Every other run of its assets, a backfill or ``reembed``,
   fills.
2. Catching up that would cost more than the budget of the space is left undone, and is no failure of a release either: production
   waits for nobody's decision. The asset says so, and the space stays behind.
"""

import dagster as dg
from pydantic import Field

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.names import CHUNKS, EMBEDDINGS, job_name, space_key
from vector_pipeline.assets.partitions import shard_key
from vector_pipeline.assets.shown import FINGERPRINT
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.project.filling import Filled
from vector_pipeline.release.spacefill import OVER_BUDGET
from vector_pipeline.report.samples import chunk_shards, vector_shards


class FillSettings(dg.Config):
    """What a run may say about filling a space that does not serve."""

    texts_per_s: float | None = Field(default=None, gt=0)
    """Texts that are embedded in a second at most; default: ``reembed.max_texts_per_s``."""
    over_budget: bool = False
    """Lets it embed more than ``reembed.max_texts`` and ``reembed.max_cost``."""


def fills(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, dataset: str) -> bool:
    """Whether this run fills (law 1)."""
    return context.run.job_name not in {job_name(dataset, "build"), job_name(dataset, "release")}


def left_to_fill(core: Project, dataset: str, space: str) -> show.Metadata:
    left = core.unfilled(dataset, space)
    if not left:
        return {}
    return {"shards_to_fill": left, "next": show.command(f"vector-pipeline reembed {dataset} --space {space}")}


def catches_up(
    context: dg.AssetExecutionContext, core: Project, dataset: str, space: str, shards: list[int] | None
) -> bool:
    """Law 1 for a space that is filled in part: what is filled is brought up to date and told; the rest is no part of this run."""
    if fills(context, dataset) or not core.unfilled(dataset, space):
        return False
    covered = core.shards_to_build(dataset, space, shards) or []
    if covered and caught_up(context, core, dataset, space, covered) is None:
        return True
    if covered:
        lake, tables = core.lake(read_only=True), core.tables(dataset, space)
        for step_name, facts in (
            (CHUNKS, chunk_shards(lake, tables, covered)),
            (EMBEDDINGS, vector_shards(lake, tables, covered)),
        ):
            for shard in covered:
                rows = facts[shard].rows if shard in facts else 0
                known = {"rows": rows, FINGERPRINT: core.space(dataset, space).fingerprint}
                tell_shard(context, space_key(dataset, space, step_name), shard, known)
    context.log.info(
        "%s is filled in part: %s shards were brought up to date, %s are left to a re-embedding",
        space, len(covered), core.unfilled(dataset, space),
    )  # fmt: skip
    return True


def caught_up(
    context: dg.AssetExecutionContext, core: Project, dataset: str, space: str, shards: list[int] | None
) -> Filled | None:
    """Law 2: None where the budget refuses it."""
    try:
        return core.catch_up(dataset, space, shards, run_id=context.run.run_id)
    except RefusedError as error:
        if error.code != OVER_BUDGET:
            raise
        tell_refused(context, space_key(dataset, space, EMBEDDINGS), error)
        return None


def tell_refused(context: dg.AssetExecutionContext, key: dg.AssetKey, error: RefusedError) -> None:
    """What was left undone, and why: in the log, and on the asset."""
    context.log.warning("%s", error)
    context.log_event(dg.AssetObservation(key, metadata={"refused": str(error)}))


def tell_shard(context: dg.AssetExecutionContext, key: dg.AssetKey, shard: int, facts: show.Metadata) -> None:
    """One shard of an asset as materialised now, in the middle of a run or without its own step."""
    context.log_event(dg.AssetMaterialization(key, partition=shard_key(shard), metadata=facts))


def filled(
    context: dg.AssetExecutionContext,
    core: Project,
    dataset: str,
    space: str,
    shards: list[int] | None,
    said: FillSettings,
) -> Filled:
    """Law 1. A shard is told when it is whole, so that people see how far a long run is."""
    key, known = space_key(dataset, space, EMBEDDINGS), {FINGERPRINT: core.space(dataset, space).fingerprint}
    return core.fill(
        dataset, space, shards=shards, texts_per_s=said.texts_per_s, over_budget=said.over_budget,
        run_id=context.run.run_id,
        on_filled=lambda one: tell_shard(
            context, key, one.shard, {"documents": one.documents, "records": one.records, **known}
        ),
    )  # fmt: skip
