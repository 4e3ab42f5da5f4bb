"""From a dataset's configuration to its part of the asset graph."""

import warnings
from typing import Any

import dagster as dg
from dagster_shared.utils.warnings import BetaWarning

from assets.attesting import attestation_check
from assets.auditing import drift_check
from assets.automation import changes_sensor
from assets.checks import data_checks, staging_checks
from assets.declarative import staging_sensor
from assets.documents import raw_documents
from assets.inbox import inbox_sensor
from assets.jobs import dataset_jobs
from assets.maintenance import maintenance_jobs
from assets.names import index_pool
from assets.production import production_index
from assets.release import staging_index
from assets.schedules import schedules
from assets.space import branch, chunks, embeddings, snapshot
from resources import ProjectResource
from vector_pipeline.config import DatasetConfig


def build_vector_dataset(
    name: str, config: DatasetConfig, project: ProjectResource, *, target_kind: str | None = None, pooled: bool = True
) -> dg.Definitions:
    """Assets, checks, jobs, sensors and schedules of a dataset. Opens nothing: no lake, no model, no source.

    ``target_kind`` (``duckdb``) is shown on the assets that stand on the target. ``pooled``: steps that write to the target wait
    for each other in Dagster's pool ``index_<target>``; not in a command's own process, which would wait for a slot for ever and
    deaf to Ctrl-C. There the registry's lease alone keeps writers apart, as it does everywhere.
    """
    with warnings.catch_warnings():
        # Single-run backfills are what keeps one model in one process; Dagster is pinned.
        warnings.simplefilter("ignore", BetaWarning)
        pool = index_pool(config.target) if pooled else None
        return _build(name, config, project, {target_kind} if target_kind else set(), pool)


def _build(
    name: str, config: DatasetConfig, project: ProjectResource, kinds: set[str], pool: str | None
) -> dg.Definitions:
    spaces = list(config.spaces)
    assets: list[Any] = [raw_documents(name, config)]
    checks: list[Any] = data_checks(name, spaces, config.gates)
    for space in spaces:
        assets += [step(name, config, space) for step in (chunks, embeddings, snapshot)]
        assets.append(staging_index(name, config, space, kinds | branch(config, space), pool))
        gates = staging_checks(name, space, config.gates, mirrored=bool(config.mirrors))
        checks += [gates] if gates is not None else []
    assets.append(production_index(name, config, kinds, pool))
    checks += [drift_check(name), attestation_check(name)]
    sensors = [changes_sensor(name, config), inbox_sensor(name, config), staging_sensor(name, config)]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*dataset_jobs(name, config), *maintenance_jobs(name)],
        sensors=[one for one in sensors if one is not None],
        schedules=schedules(name, config),
        resources={"project": project},
        executor=dg.in_process_executor,
    )
