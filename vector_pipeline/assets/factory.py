"""From a dataset's configuration to its part of the asset graph."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.utils.warnings import BetaWarning

from vector_pipeline.assets.attesting import attestation_check
from vector_pipeline.assets.auditing import drift_check
from vector_pipeline.assets.automation import changes_sensor
from vector_pipeline.assets.checks import data_checks, staging_checks
from vector_pipeline.assets.declarative import staging_sensor
from vector_pipeline.assets.documents import raw_documents
from vector_pipeline.assets.inbox import inbox_sensor
from vector_pipeline.assets.jobs import dataset_jobs
from vector_pipeline.assets.maintenance import maintenance_jobs
from vector_pipeline.assets.names import index_pool
from vector_pipeline.assets.placing import Placement, place, placement_of
from vector_pipeline.assets.production import production_index
from vector_pipeline.assets.release import staging_index
from vector_pipeline.assets.schedules import schedules
from vector_pipeline.assets.space import branch, chunks, embeddings, snapshot
from vector_pipeline.assets.upstream import Upstream
from vector_pipeline.config import DatasetConfig, load_config
from vector_pipeline.parts import choose_environment
from vector_pipeline.resources import ProjectResource


def build_vector_dataset(
    name: str,
    config: DatasetConfig,
    project: ProjectResource,
    *,
    target_kind: str | None = None,
    pooled: bool = True,
    placement: Placement | None = None,
    upstream: Upstream | None = None,
    environment: str | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, sensors and schedules of a dataset. Opens nothing: no lake, no model, no source.

    ``target_kind`` (``duckdb``) is shown on the assets that stand on the target. ``pooled``: steps that write to the target wait
    for each other in Dagster's pool ``index_<target>``; not in a command's own process, which would wait for a slot for ever and
    deaf to Ctrl-C. There the registry's lease alone keeps writers apart, as it does everywhere. ``placement``: where it stands in
    somebody else's code location, whose executor is left as it is. ``upstream``: the asset that its documents come from.
    ``environment``: whose runs are its own; default: the project's.
    """
    own = environment or project.environment or choose_environment(load_config(Path(project.config_path)), None)
    place(name, replace(placement or Placement(), environment=own))
    with warnings.catch_warnings():
        # Single-run backfills are what keeps one model in one process; Dagster is pinned.
        warnings.simplefilter("ignore", BetaWarning)
        pool = index_pool(config.target) if pooled else None
        return _build(name, config, project, {target_kind} if target_kind else set(), pool, upstream, placement is None)


def _build(
    name: str,
    config: DatasetConfig,
    project: ProjectResource,
    kinds: set[str],
    pool: str | None,
    upstream: Upstream | None,
    alone: bool,
) -> dg.Definitions:
    spaces = list(config.spaces)
    before = upstream or Upstream()
    assets: list[Any] = [*before.assets, raw_documents(name, config, before.deps)]
    checks: list[Any] = data_checks(name, spaces, config.gates)
    for space in spaces:
        assets += [step(name, config, space) for step in (chunks, embeddings, snapshot)]
        assets.append(staging_index(name, config, space, kinds | branch(config, space), pool))
        gates = staging_checks(name, space, config.gates, mirrored=bool(config.mirrors))
        checks += [gates] if gates is not None else []
    assets.append(production_index(name, config, kinds, pool))
    checks += [drift_check(name), attestation_check(name)]
    sensors = [changes_sensor(name, config), inbox_sensor(name, config), staging_sensor(name, config), *before.sensors]
    executor = None if alone else dg.in_process_executor
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*dataset_jobs(name, config, [one.key for one in before.assets], executor), *maintenance_jobs(name)],
        sensors=[one for one in sensors if one is not None],
        schedules=schedules(name, config),
        resources={placement_of(name).resource: project},
        executor=dg.in_process_executor if alone else None,
    )
