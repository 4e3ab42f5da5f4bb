"""The factory as a Dagster component: ``type: vector_pipeline.dagster.VectorIndexComponent`` in a ``defs.yaml``.

Laws
----
1. An attribute means what the factory's argument of that name means. Paths are relative to the folder of ``defs.yaml``.
2. What is wrong in the file is one line: file, line, attribute, what to do. So a mistake is kept until it can say where it stands.
"""

import difflib
import functools
import importlib
from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster.components.resolved.errors import ResolutionException
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails

from vector_pipeline.config import CONFIG_NAME
from vector_pipeline.dagster.factory import Read, vector_index
from vector_pipeline.dagster.scaffolding import VectorIndexScaffolder
from vector_pipeline.errors import ConfigError


class _Lenient(BaseModel):
    """Law 2: what is wrong is kept."""

    _mistakes: ValidationError | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            made = cls.model_construct()
            made._mistakes = error
            return made


@dg.scaffold_with(VectorIndexScaffolder)
class VectorIndexComponent(dg.Component, dg.Model, dg.Resolvable):
    """A vector index over an asset that the project has: documents, chunks, embeddings, versions, staging, gates, production."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    dataset: str
    """Name of the dataset in ``config``."""
    upstream: str | list[str]
    """Key of the asset that its documents come from, such as ``raw/articles``; several with ``read: source``."""
    config: str = CONFIG_NAME
    """The file that says what the index is."""
    environment: str | None = None
    """Environment of that file; default: ``$VECTOR_PIPELINE_ENV``, or its first."""
    read: Read = "value"
    """``value``: what the asset returned, through its I/O manager. ``source``: it wrote what the dataset's source reads."""
    value_type: str | None = None
    """Type to ask of the I/O manager, such as ``pandas.DataFrame``; default: what it gives by itself."""
    io_manager_key: str | None = None
    """I/O manager that loads the value; default: the asset's own."""
    key_prefix: list[str] = []  # noqa: RUF012 - pydantic copies it
    """Before ``[dataset, step]`` in every key."""
    group_name: str | None = None
    """Group of the assets; default: the dataset's name."""

    @classmethod
    @functools.cache
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes' model, which tells its mistakes in ``load``."""
        made = create_model(cls.__name__, __base__=(_Lenient, cls.model()), __doc__=cls.__doc__)
        for name, field in made.model_fields.items():
            field.description = cls.model_fields[name].description
        made.model_rebuild(force=True)
        return made

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What lists of components show."""
        return dg.ComponentTypeSpec(
            description=cls.__doc__, tags=["vector index", "embeddings", "search"],
            produces=["asset", "asset_check", "job", "sensor", "schedule", "resource"],
        )  # fmt: skip

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "VectorIndexComponent":
        """From ``defs.yaml``; ``ConfigError``: law 2."""
        mistakes = getattr(attributes, "_mistakes", None)
        if attributes is None:
            raise ConfigError(f"{_place(context, ())}: attributes: missing key: add dataset and upstream")
        if mistakes is not None:
            raise ConfigError(_told(mistakes, context, list(cls.model_fields)))
        try:
            return super().load(attributes, context)
        except ResolutionException as error:
            said = [line.strip() for line in str(error).splitlines() if line.strip()]
            wrong = _unresolved(attributes, context)
            raise ConfigError(f"{_place(context, wrong)}: {'.'.join(('attributes', *wrong))}: {said[-1]}") from None
        except ValidationError as error:  # What a template became.
            raise ConfigError(_told(error, context, list(cls.model_fields))) from None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The factory's definitions; ``ConfigError``: law 2."""
        folder = context.path if context.path.is_dir() else context.path.parent
        several = self.upstream if isinstance(self.upstream, list) else [self.upstream]
        try:
            return vector_index(
                self.dataset, [dg.AssetKey.from_user_string(one) for one in several], config=folder / self.config,
                environment=self.environment, read=self.read, value_type=_type(self.value_type),
                io_manager_key=self.io_manager_key, key_prefix=self.key_prefix, group_name=self.group_name,
            )  # fmt: skip
        except ConfigError as error:
            raise ConfigError(f"{_place(context, ())}: {error.what}", fix=error.fix) from None


def _type(name: str | None) -> Any:
    if name is None:
        return None
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise ConfigError(f"attributes.value_type: no type {name}", fix="Write one as pandas.DataFrame") from None


def _place(context: dg.ComponentLoadContext, loc: Iterable[int | str]) -> str:
    """``file:line`` of an attribute, or of the nearest thing around it that is in the file."""
    tree = context.resolution_context.source_position_tree
    if tree is None:
        tree = getattr(getattr(context.component_decl, "source_tree", None), "source_position_tree", None)
    if tree is None:
        return str(context.path)
    position, _ = tree.lookup_closest_and_path(["attributes", *loc], None)
    return f"{position.filename}:{position.start.line}"


def _unresolved(attributes: BaseModel, context: dg.ComponentLoadContext) -> tuple[str, ...]:
    """The attribute whose template cannot be filled; Dagster's error does not say."""
    for name in type(attributes).model_fields:
        raw = getattr(attributes, name)
        try:
            if isinstance(raw, str) and "{{" in raw:
                context.resolution_context.resolve_value(raw)
        except ResolutionException:
            return (name,)
    return ()


def _told(error: ValidationError, context: dg.ComponentLoadContext, known: list[str]) -> str:
    found = error.errors(include_input=False, include_url=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    loc = [part for part in first["loc"] if part in known or isinstance(part, int)] or list(first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{_place(context, loc)}: attributes.{'.'.join(map(str, loc))}: {_reworded(first, known)}{more}"


def _reworded(problem: ErrorDetails, known: list[str]) -> str:
    if problem["type"] == "missing":
        return "missing key: add it"
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return f"unknown key; did you mean {close[0]}?" if close else f"unknown key; known here: {', '.join(known)}"
    return problem["msg"].replace("Input should be", "must be").replace("a valid string", "text")
