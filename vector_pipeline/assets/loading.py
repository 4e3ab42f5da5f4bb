"""Every dataset of a configuration as one set of definitions.

Laws
----
1. Nobody's failure is another one's: a dataset that cannot be loaded stands in the graph as one asset that says why (``broken``),
   and every other one is loaded as if it were alone.
2. A dataset whose files are not there is loaded, with what is missing in its description: its past stays in sight, and what is
   mended needs no reload.
"""

import logging
from pathlib import Path

import dagster as dg
from dagster._check import CheckError

from vector_pipeline.assets.alerts import alerts_sensor
from vector_pipeline.assets.broken import not_loaded
from vector_pipeline.assets.factory import build_vector_dataset
from vector_pipeline.config import BrokenDataset, Config, DatasetConfig, EnvironmentConfig, load_config
from vector_pipeline.config.models import automation_of, gates_of
from vector_pipeline.errors import ConfigError, VectorPipelineError
from vector_pipeline.parts import choose_environment
from vector_pipeline.project.troubles import troubles
from vector_pipeline.resources import ProjectResource

_LOG = logging.getLogger(__name__)
_REFUSALS = (
    dg.DagsterError, CheckError, VectorPipelineError, ImportError, OSError, ValueError, TypeError, LookupError, AttributeError,
    RuntimeError,
)  # fmt: skip
"""What code that a dataset names may raise when it is imported, and Dagster when it is given what it does not take."""


def project_definitions(path: Path, *, environment: str | None = None, only: str | None = None) -> dg.Definitions:
    """Definitions of a configuration file's datasets (``only``: of one of them).

    ``ConfigError`` when the file cannot be read, or the only one that is asked for cannot be loaded.
    """
    config = load_config(path)
    project = ProjectResource(config_path=str(path.resolve()), environment=environment)
    chosen = choose_environment(config, environment)
    if only is not None:
        found = _load(only, config, path, chosen, project, pooled=False)
        if isinstance(found, BrokenDataset):
            raise ConfigError(f"dataset {only} cannot be loaded: {found.reason}")
        return found
    parts, broken = [], dict(config.broken)
    for name in config.datasets:
        part = _load(name, config, path, chosen, project, pooled=True)
        if isinstance(part, BrokenDataset):
            broken[name] = part
        else:
            parts.append(part)
    parts += [not_loaded(one, path.resolve()) for one in broken.values()]
    tells = alerts_sensor(config, chosen, list(broken.values()))
    return dg.Definitions.merge(*parts, dg.Definitions(sensors=[tells] if tells is not None else []))


def _load(
    name: str, config: Config, path: Path, chosen: str, project: ProjectResource, *, pooled: bool
) -> dg.Definitions | BrokenDataset:
    """A dataset's definitions; where there can be none, why."""
    if name in config.broken:
        return config.broken[name]
    environment = config.environments[chosen]
    try:
        settings = _described(name, _in(environment, config.datasets[name]), path.resolve().parent)
        kind = environment.targets[settings.target].kind
        return build_vector_dataset(name, settings, project, target_kind=kind, pooled=pooled, environment=chosen)
    except _REFUSALS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return BrokenDataset(name, reason, config.owners_of(name), config.file_of(name) or path)


def _in(environment: EnvironmentConfig, dataset: DatasetConfig) -> DatasetConfig:
    """A dataset as an environment wants it: what stands there comes before its own."""
    own = {"promotion": environment.promotion} if environment.promotion is not None else {}
    more = {"gates": gates_of(dataset, environment), "automation": automation_of(dataset, environment)}
    return dataset.model_copy(update={**own, **more})


def _described(name: str, dataset: DatasetConfig, base: Path) -> DatasetConfig:
    """Law 2."""
    found = troubles(dataset, base)
    if not found:
        return dataset
    _LOG.warning("dataset %s cannot be built as it is: %s", name, "; ".join(found))
    said = "\n".join(f"- {one}" for one in found)
    about = f"{dataset.description or name}\n\n**It cannot be built as it is**, seen when this was loaded:\n\n{said}"
    return dataset.model_copy(update={"description": about})
