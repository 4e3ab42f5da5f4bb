"""``vector_index``: a dataset's chain over somebody else's assets, as definitions to merge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from vector_pipeline.assets.alerts import alerts_sensor
from vector_pipeline.assets.factory import build_vector_dataset
from vector_pipeline.assets.placing import Placement, place
from vector_pipeline.assets.upstream import Upstream, source_upstream, value_upstream
from vector_pipeline.config import Config, DatasetConfig, find_config, load_config
from vector_pipeline.config.models import automation_of, gates_of
from vector_pipeline.dagster.landing import land, landing_file
from vector_pipeline.errors import ConfigError
from vector_pipeline.parts import choose_environment
from vector_pipeline.project import Project
from vector_pipeline.resources import ProjectResource

UpstreamAsset = dg.AssetKey | str | Sequence[str] | dg.AssetsDefinition | dg.AssetSpec
"""An asset by key (``"raw/articles"``, ``["raw", "articles"]``), or itself."""
Read = Literal["value", "source"]


def vector_index(
    dataset: str,
    upstream: UpstreamAsset | Sequence[dg.AssetKey],
    *,
    config: Path | str | None = None,
    environment: str | None = None,
    read: Read = "value",
    value_type: Any = None,
    io_manager_key: str | None = None,
    key_prefix: str | Sequence[str] = (),
    group_name: str | None = None,
    project: ProjectResource | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, sensors and schedules of ``dataset``, over ``upstream``. Opens nothing, and reads ``config`` alone.

    ``config``: ``vector_pipeline.yaml`` with the dataset; default: ``$VECTOR_PIPELINE_CONFIG``, or the nearest one above the
    current folder. ``environment``: default: ``$VECTOR_PIPELINE_ENV``, or the first of the file.

    ``read="value"``: the rows are what the upstream asset returned, loaded by its I/O manager (by ``io_manager_key`` where that is
    given) as ``value_type``: a DataFrame of pandas or polars, an Arrow table, a list of mappings, paths of files that hold rows, or
    a mapping from partitions to any of these. ``read="source"``: it wrote what the dataset's source reads; there may be several.

    ``key_prefix`` stands before ``[dataset, step]``, ``group_name`` instead of the dataset's name. ``project``: another resource
    than one of the file alone, such as ``vector_pipeline.resources.s3.S3ProjectResource``; its file must be ``config``.

    Raises ``ConfigError`` for a file that is wrong, an unknown dataset, or a source that cannot take what is handed over.
    """
    path = Path(config) if config is not None else find_config()
    chosen = load_config(path)
    settings = _settled(chosen, dataset, path, environment)
    prefix = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix)
    at = choose_environment(chosen, environment)
    placement = Placement(prefix, group_name, f"vector_pipeline__{dataset}", at)
    place(dataset, placement)
    made = build_vector_dataset(
        dataset, settings, project or ProjectResource(config_path=str(path.resolve()), environment=environment),
        target_kind=chosen.environments[at].targets[settings.target].kind,
        placement=placement, environment=at,
        upstream=_upstream(dataset, settings, upstream, read, value_type, io_manager_key),
    )  # fmt: skip
    alone = chosen.knowing({}, {}).model_copy(update={"datasets": {dataset: settings}})
    tells = alerts_sensor(alone, at, name=f"{dataset}__alerts")
    return dg.Definitions.merge(made, dg.Definitions(sensors=[tells])) if tells is not None else made


def _settled(config: Config, dataset: str, path: Path, environment: str | None) -> DatasetConfig:
    """The dataset as the environment wants it."""
    if dataset in config.broken:
        raise ConfigError(config.broken[dataset].reason)
    if dataset not in config.datasets:
        raise ConfigError(f"{path}: no dataset {dataset!r}; there are: {', '.join(config.datasets)}")
    found, settings = config.datasets[dataset], config.environments[choose_environment(config, environment)]
    return found.model_copy(
        update={
            "promotion": settings.promotion or found.promotion,
            "gates": gates_of(found, settings),
            "automation": automation_of(found, settings),
        }
    )


def _upstream(
    dataset: str, settings: DatasetConfig, given: Any, read: Read, value_type: Any, io_manager_key: str | None
) -> Upstream:
    keys = _keys(dataset, given)
    if read == "source":
        return source_upstream(dataset, settings, keys)
    landing_file(dataset, settings.source, Path())  # Says at once what a run would say.
    if len(keys) > 1:
        raise ConfigError(
            f"dataset {dataset}: rows of several upstream assets", fix="Join them in one asset, or say read: source"
        )
    name = keys[0].to_user_string()

    def keep(project: Project, value: Any) -> dict[str, Any]:
        source = project.dataset(dataset).source
        path = landing_file(dataset, source, project.base)
        return land(value, source, path, asset=name)  # type: ignore[arg-type]  # landing_file has looked

    return value_upstream(
        dataset, settings, keys[0], keep, type_of=Any if value_type is None else value_type, io_manager=io_manager_key
    )


def _keys(dataset: str, given: Any) -> list[dg.AssetKey]:
    if isinstance(given, dg.AssetsDefinition | dg.AssetSpec):
        keys = list(given.keys) if isinstance(given, dg.AssetsDefinition) else [given.key]
    elif isinstance(given, dg.AssetKey):
        keys = [given]
    elif isinstance(given, str):
        keys = [dg.AssetKey.from_user_string(given)]
    elif all(isinstance(one, str) for one in given):
        keys = [dg.AssetKey(list(given))] if given else []
    else:
        keys = [key for one in given for key in _keys(dataset, one)]
    if not keys:
        raise ConfigError(
            f"dataset {dataset}: no upstream asset is named", fix="Name one, such as upstream: raw/articles"
        )
    return keys
