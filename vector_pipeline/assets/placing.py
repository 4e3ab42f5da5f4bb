"""Where a dataset stands in a code location: under which keys, in which group, with which resource.

Laws
----
1. A dataset of a code location of our own has no prefix, is its own group, and reads its project from the resource ``project``.
2. In somebody else's code location nothing of ours has a name that somebody else may have: the resource is named after the dataset.
3. Placed when its definitions are made: whoever names a key afterwards, in a run or a sensor, gets the same one.
"""

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from vector_pipeline.config import DatasetConfig

PROJECT = "project"
"""Name of the resource, and of the parameter by which a body takes it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Names of a dataset in a code location."""

    prefix: tuple[str, ...] = ()
    """Before ``[dataset, step]``."""
    group: str | None = None
    """Default: the dataset."""
    resource: str = PROJECT
    environment: str = ""
    """Whose runs are its own; empty where that was never said."""


_PLACED: dict[str, Placement] = {}


def place(dataset: str, placement: Placement) -> None:
    """Law 3."""
    _PLACED[dataset] = placement


def placement_of(dataset: str) -> Placement:
    """Where a dataset stands; one that was never placed: law 1."""
    return _PLACED.get(dataset, Placement())


def environment_of(dataset: str) -> str:
    """The environment that a dataset's definitions are of. Ask when they are made: a process may make those of another later."""
    return placement_of(dataset).environment


def group_of(dataset: str) -> str:
    """The group of a dataset's assets."""
    return placement_of(dataset).group or dataset


def placed_key(dataset: str, *path: str) -> dg.AssetKey:
    """``[*prefix, dataset, *path]``."""
    return dg.AssetKey([*placement_of(dataset).prefix, dataset, *path])


def dataset_in(key: dg.AssetKey) -> str:
    """The dataset that a key of ours belongs to; of anybody's key its first part."""
    for dataset, one in _PLACED.items():
        if one.prefix and tuple(key.path[: len(one.prefix) + 1]) == (*one.prefix, dataset):
            return dataset
    return key.path[0]


def index_asset(
    dataset: str,
    config: DatasetConfig,
    key: dg.AssetKey,
    after: dg.AssetKey,
    *,
    kinds: set[str],
    pool: str | None,
    condition: dg.AutomationCondition[Any] | None,
    description: str,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of a dataset that stands on its target. ``pool``: see ``factory.build_vector_dataset``."""
    return dg.asset(
        key=key,
        deps=[after],
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=group_of(dataset),
        owners=config.owners,
        tags=config.tags,
        kinds=kinds,
        pool=pool,
        automation_condition=condition,
        description=description,
    )


def takes_project(dataset: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A body whose parameter ``project`` is filled from the dataset's resource, whatever that is called.

    Dagster takes the parameter's name for the resource's: it is shown another signature.
    """
    resource = placement_of(dataset).resource

    def named(body: Callable[..., Any]) -> Callable[..., Any]:
        if resource == PROJECT:
            return body
        seen, hints = inspect.signature(body), typing.get_type_hints(body, include_extras=True)
        parameters = [
            one.replace(name=resource if name == PROJECT else name, annotation=hints.get(name, one.annotation))
            for name, one in seen.parameters.items()
        ]

        def given(*args: Any, **kwargs: Any) -> dict[str, Any]:
            bound = seen.replace(parameters=parameters).bind(*args, **kwargs).arguments
            return {PROJECT if name == resource else name: value for name, value in bound.items()}

        if inspect.isgeneratorfunction(body):  # Dagster asks.

            @functools.wraps(body)
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                yield from body(**given(*args, **kwargs))
        else:

            @functools.wraps(body)
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                return body(**given(*args, **kwargs))

        del wrapped.__wrapped__  # Its hints are of the other name.
        shown = seen.replace(parameters=parameters, return_annotation=hints.get("return", seen.return_annotation))
        wrapped.__signature__ = shown  # type: ignore[attr-defined]
        wrapped.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": shown.return_annotation}
        return wrapped

    return named
