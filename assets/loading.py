"""Every dataset of a configuration as one set of definitions."""

import logging
from pathlib import Path

import dagster as dg

from assets.alerts import alerts_sensor
from assets.factory import build_vector_dataset
from resources import ProjectResource
from vector_pipeline.config import DatasetConfig, load_config
from vector_pipeline.config.models import automation_of, gates_of
from vector_pipeline.errors import ConfigError, VectorPipelineError
from vector_pipeline.parts import choose_environment

_LOG = logging.getLogger(__name__)


def project_definitions(path: Path, *, environment: str | None = None, only: str | None = None) -> dg.Definitions:
    """Definitions of a configuration file's datasets (``only``: of one of them).

    ``ConfigError`` when the file cannot be read. A dataset that Dagster refuses (an owner that is no address) does not take
    the others down: it stands in the graph as one asset whose description says why.
    """
    config = load_config(path)
    project = ProjectResource(config_path=str(path.resolve()), environment=environment)
    chosen = {name: dataset for name, dataset in config.datasets.items() if only in (None, name)}
    settings = config.environments[choose_environment(config, environment)]
    kinds = {name: target.kind for name, target in settings.targets.items()}
    if settings.promotion is not None:  # An environment's own policy comes before a dataset's.
        chosen = {name: one.model_copy(update={"promotion": settings.promotion}) for name, one in chosen.items()}
    if settings.gates:
        chosen = {name: one.model_copy(update={"gates": gates_of(one, settings)}) for name, one in chosen.items()}
    if settings.automation is not None:
        chosen = {
            name: one.model_copy(update={"automation": automation_of(one, settings)}) for name, one in chosen.items()
        }
    parts = [_load(name, one, project, kinds[one.target], alone=only is not None) for name, one in chosen.items()]
    tells = alerts_sensor(config, choose_environment(config, environment)) if only is None else None
    return dg.Definitions.merge(*parts, dg.Definitions(sensors=[tells] if tells is not None else []))


def _load(name: str, config: DatasetConfig, project: ProjectResource, kind: str, *, alone: bool) -> dg.Definitions:
    try:
        return build_vector_dataset(name, config, project, target_kind=kind, pooled=not alone)
    except (dg.DagsterError, VectorPipelineError) as error:
        reason = " ".join(str(error).split())
        if alone:
            raise ConfigError(f"dataset {name} cannot be loaded into Dagster: {reason}") from None
        _LOG.warning("dataset %s is not loaded: %s", name, reason)
        broken = dg.AssetSpec(
            [name, "not_loaded"], group_name=name, description=f"This dataset is not loaded: {reason}", kinds={"error"}
        )
        return dg.Definitions(assets=[broken])
