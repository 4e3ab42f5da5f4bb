"""What lies before the documents: somebody else's asset.

Laws
----
1. Somebody else's asset is read, never run, and nothing of it is changed.
2. What it made is one release: the sensor asks for one run of the chain however many materialisations it saw, and none while one of
   its releases waits or goes on.
3. What was made is owed until a release that succeeded has read it (``owed``): a run that failed is repeated, after a wait that
   doubles.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster_shared.utils.warnings import BetaWarning

from vector_pipeline.assets.automation import release_sensor
from vector_pipeline.assets.names import run_tags, upstream_key
from vector_pipeline.assets.owed import ATTEMPT_TAG, Owed, Releases, skipped
from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.assets.placing import environment_of, group_of, takes_project
from vector_pipeline.assets.steps import step
from vector_pipeline.config import DatasetConfig
from vector_pipeline.errors import UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.resources import ProjectResource

Land = Callable[[Project, Any], dict[str, Any]]
"""Keeps a value where the dataset's source reads it; returns counts, with ``digest``."""
_NAMED = 3
"""Partitions that a message names."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What a dataset's chain begins with."""

    assets: Sequence[dg.AssetsDefinition] = ()
    deps: Sequence[dg.AssetDep] = ()
    """Of ``raw_documents``."""
    sensors: Sequence[dg.SensorDefinition] = ()


def source_upstream(dataset: str, config: DatasetConfig, keys: Sequence[dg.AssetKey]) -> Upstream:
    """Assets that write what the dataset's own source reads: files, a table."""
    # Shards and the other's partitions have nothing to do with each other: every shard depends on all of it.
    deps = [dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in keys]
    return Upstream((), deps, [upstream_sensor(dataset, config, keys)])


def value_upstream(
    dataset: str, config: DatasetConfig, key: dg.AssetKey, land: Land, *, type_of: Any, io_manager: str | None
) -> Upstream:
    """An asset whose value is the documents: its I/O manager loads it, and ``land`` keeps it for the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)  # As in ``assets.factory``.
        asset = _landing(dataset, config, key, land, type_of=type_of, io_manager=io_manager)
    return Upstream([asset], [dg.AssetDep(asset.key)], [upstream_sensor(dataset, config, [key])])


def _landing(
    dataset: str, config: DatasetConfig, key: dg.AssetKey, land: Land, *, type_of: Any, io_manager: str | None
) -> dg.AssetsDefinition:
    @dg.asset(
        key=upstream_key(dataset),
        # A day that was not made yet is no reason to stop.
        ins={"documents": dg.AssetIn(key, metadata={"allow_missing_partitions": True}, input_manager_key=io_manager)},
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=group_of(dataset),
        owners=config.owners,
        kinds={"parquet"},
        description=f"What {key.to_user_string()} made, kept where the source of {dataset} reads it.",
    )
    @takes_project(dataset)
    def body(context: dg.AssetExecutionContext, documents: type_of, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(context):
            _require_there(context, key, documents)
            found = land(project.get(), documents)
            return dg.MaterializeResult(data_version=dg.DataVersion(str(found["digest"])), metadata=found)

    return body


def _require_there(context: dg.AssetExecutionContext, key: dg.AssetKey, documents: object) -> None:
    """``UnavailableError`` where a partition was made and its value is not there: that is no deletion of its documents."""
    made = context.instance.get_materialized_partitions(key)
    if not made or not isinstance(documents, Mapping):
        return
    lost = sorted(made.intersection(context.asset_partition_keys_for_input("documents")).difference(documents))
    if lost:
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        raise UnavailableError(
            f"{key.to_user_string()} was made for {', '.join(lost[:_NAMED])}{more}, and its I/O manager has no value of it",
            fix="Materialise it again, or wipe the partition in Dagster where its documents are to go",
        )


def upstream_sensor(dataset: str, config: DatasetConfig, keys: Sequence[dg.AssetKey]) -> dg.SensorDefinition:
    """Laws 2 and 3. The cursor holds the last materialisation that was seen, of each asset, and what is owed."""
    environment, own = environment_of(dataset), run_tags(dataset)
    name, names = f"{dataset}__upstream", ", ".join(key.to_user_string() for key in keys)

    @release_sensor(dataset, config, name, "changes", f"Releases what {names} made.")
    def body(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now = {
            key.to_user_string(): entry.storage_id
            for key in keys
            if (entry := _last(context.instance, key)) is not None
        }
        if len(now) < len(keys):
            return dg.SkipReason(f"{names}: nothing was made yet")
        releases = Releases(context.instance, dataset, name, environment)
        held = json.loads(context.cursor) if context.cursor else {}
        if "owed" not in held:
            held = {"made": None, "serial": releases.requested(), "owed": Owed().write()}
        owed, new, shards = Owed.read(held["owed"]), now != held["made"], range(config.shards)
        if new:
            owed = owed.plus(shards, releases.newest())
        standing = releases.standing(owed)

        def cursor(serial: int, owed: Owed) -> str:
            return json.dumps({"made": now, "serial": serial, "owed": owed.write()})

        if not standing.ask:
            said = ("" if new else "nothing new was made") + (standing.why_not and f"; {standing.why_not}")
            return skipped(said.removeprefix("; "), cursor(held["serial"], standing.owed), context.cursor)
        serial = held["serial"] + 1
        tags = {**range_tags(shards[0], shards[-1]), **own}
        if standing.attempt:
            tags[ATTEMPT_TAG] = str(standing.attempt)
        # Dagster drops a key that it has seen: a repetition needs a new one.
        request = dg.RunRequest(run_key="-".join(str(one) for one in (serial, *now.values())), tags=tags)
        return dg.SensorResult(run_requests=[request], cursor=cursor(serial, standing.owed.asked(releases.newest())))

    return body


def _last(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    found = instance.fetch_materializations(key, limit=1).records
    return found[0] if found else None
