"""The parts that a configuration names, opened on demand: lake, registry, targets, spaces, embedders.

Laws
----
1. A part is opened when it is first asked for, and once. Asking for a version loads no model.
2. ``read_only`` never creates a lake, a registry or an index.
3. What is opened for writing goes through one door (``release.admitting``): whose it is, and whether it is sealed, is asked first.
4. Resolving a space reads the files of its model, which takes seconds: whoever asks for another part does not wait for it.
"""

import os
import threading
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import quote

from vector_pipeline.config import Config, DatasetConfig, EnvironmentConfig, S3Given, find_config, load_config
from vector_pipeline.config.given import with_given
from vector_pipeline.corpus import Chunker
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.embedding.factory import open_embedder, resolve_space
from vector_pipeline.errors import ConfigError, InputError, NotFoundError, RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.release.admitting import Admission
from vector_pipeline.release.belonging import SEALED, owner_mark
from vector_pipeline.release.owned import OwnedTarget
from vector_pipeline.release.registry import Registry, Version
from vector_pipeline.targets.base import Target


class Parts:
    """A configuration in one environment, and what it names. Thread-safe; close it when done."""

    def __init__(self, config: Config, base: Path, environment: str | None = None) -> None:
        self.config = config
        self.base = base
        self.environment = choose_environment(config, environment)
        self._lock = threading.RLock()
        self._open = ExitStack()
        self._admission = Admission(self.environment, self.settings)
        self._lakes: dict[bool, Lake] = {}
        self._registries: dict[bool, Registry] = {}
        self._targets: dict[tuple[str, bool], Target] = {}
        self._spaces: dict[tuple[str, str], tuple[EmbeddingSpace, Chunker]] = {}
        self._resolving: dict[tuple[str, str], threading.Lock] = {}

    @classmethod
    def load(cls, path: Path | str | None = None, *, environment: str | None = None, s3: S3Given | None = None) -> Self:
        """Read the configuration: ``path``, ``$VECTOR_PIPELINE_CONFIG``, or the nearest one above the current folder.

        ``s3``: how S3 is reached, where the configuration does not say it.
        """
        found = Path(path) if path is not None else find_config()
        config = load_config(found)
        return cls(config if s3 is None else with_given(config, s3), found.resolve().parent, environment)

    def close(self) -> None:
        """Close everything that was opened. The project may be used again: parts are opened anew."""
        with self._lock:
            self._open.close()
            self._open = ExitStack()
            for cache in (self._lakes, self._registries, self._targets):
                cache.clear()
            self._admission.forget()

    def close_when_unused(self) -> None:
        """Close what is open when the last user of this object has let it go: for whoever cannot know who uses it still."""
        weakref.finalize(self, self._open.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def settings(self) -> EnvironmentConfig:
        """This environment's configuration."""
        return self.config.environments[self.environment]

    def dataset(self, name: str) -> DatasetConfig:
        """A dataset's configuration. ``NotFoundError`` lists those that exist; ``ConfigError`` says what is wrong with its own."""
        found = self.config.datasets.get(name)
        if found is None and name in self.config.broken:
            raise ConfigError(self.config.broken[name].reason)
        if found is None:
            raise NotFoundError(
                f"no dataset {name!r}; the configuration has: {', '.join(self.config.names)}",
                fix="Check the name, or add it to vector_pipeline.yaml",
            )
        return found

    def lake(self, *, read_only: bool = False) -> Lake:
        """The lake. ``read_only`` refuses to make one; else ``RefusedError`` where it is another registry's, or sealed."""
        with self._lock:
            registry = None if read_only else self.registry()
            # A lake that is open for writing reads as well: two attachments would only cost memory.
            key = read_only and False not in self._lakes
            if key not in self._lakes:
                lake = Lake.open(self.settings.lake, self.base, read_only=read_only)
                self._open.callback(lake.close)
                if registry is not None:
                    self._admission.require_lake(lake, registry)
                self._lakes[key] = lake
            return self._lakes[key]

    def registry(self, *, read_only: bool = False) -> Registry:
        """The registry. ``read_only`` refuses to make one; else ``RefusedError`` where it is somebody else's, or sealed."""
        with self._lock:
            if not read_only:
                self._admission.require(self._registry_url())
            key = read_only and False not in self._registries
            if key not in self._registries:
                registry = Registry.open(self._registry_url(), migrate=not read_only)
                self._open.callback(registry.close)
                self._registries[key] = registry
            if not read_only:
                self._admission.enter(self._registries[key])
            return self._registries[key]

    def _registry_url(self) -> str:
        url = self.settings.registry.resolve_url()
        if not url.startswith("sqlite:///"):
            return url
        path = (self.base / url.removeprefix("sqlite:///")).resolve()
        catalog = self.settings.lake.catalog.resolve()
        if catalog.startswith("sqlite:///") and (self.base / catalog.removeprefix("sqlite:///")).resolve() == path:
            raise ConfigError(
                f"lake.catalog and registry are the same SQLite file ({path}), which would lose locks",
                fix="Give the registry a file of its own",
            )
        # Quoted: SQLAlchemy unquotes a file's path and cuts it at a question mark.
        return f"sqlite:///{quote(str(path))}"

    def target(self, dataset: str, *, read_only: bool = False) -> Target:
        """The target that a dataset is pushed to. What was pushed before may be in another: see ``target_named``."""
        return self.target_named(self.dataset(dataset).target, read_only=read_only)

    def target_named(self, name: str, *, read_only: bool = False) -> Target:
        """A target of this environment, such as a deployment's. ``RefusedError`` when the configuration has it no longer."""
        from vector_pipeline.targets.factory import open_target

        if name not in self.settings.targets:
            raise RefusedError(
                f"environment {self.environment} has no target {name!r} any more, and something deployed is in it; "
                f"it has: {', '.join(self.settings.targets)}",
                fix=f"Put target {name} back into vector_pipeline.yaml, or push and promote a version on another one",
            )
        with self._lock:
            if (name, read_only) not in self._targets:
                target = open_target(name, self.settings.targets[name], self.base, read_only=read_only)
                if not read_only:
                    target = OwnedTarget(target, self._owner)
                self._open.callback(target.close)
                self._targets[name, read_only] = target
            return self._targets[name, read_only]

    def require_writable(self) -> None:
        """``RefusedError`` where this environment may not write to where it points. Writes nothing itself."""
        self._admission.require(self._registry_url())

    def is_sealed(self) -> bool:
        """Whether only the seal is lacking to write here: what looks leaves out what it would record."""
        try:
            self.require_writable()
        except RefusedError as error:
            if error.code == SEALED:
                return True
            raise
        return False

    def _owner(self) -> str:
        """Whose what is written is. Asked with each write: so is the door."""
        return owner_mark(self.registry().id, self.environment)

    def space(self, dataset: str, space: str | None = None) -> EmbeddingSpace:
        """A dataset's embedding space as it is on this machine; by default the one that production serves."""
        return self._resolved(dataset, space)[0]

    def chunker(self, dataset: str, space: str | None = None) -> Chunker:
        """The chunker of a space."""
        return self._resolved(dataset, space)[1]

    def embedder(self, dataset: str, space: str | None = None) -> Embedder:
        """The embedder of a space. Its weights are loaded at its first use, once per process."""
        settings = self.dataset(dataset)
        return open_embedder(settings.spaces[self._space_name(dataset, space)].embedder, self.base)

    def query_space(self, version: Version) -> EmbeddingSpace:
        """The space that embeds queries for a version, as it is on this machine.

        Queries do not depend on the chunker: it may have changed since. ``RefusedError`` when embedder, dimension or metric have.
        """
        here = self.space(version.dataset, version.space)
        if _query_identity(here) != _query_identity(version):
            raise RefusedError(
                f"{version.dataset}: version {version.number} is served in another space than {version.space} is here "
                f"(embedder {version.embedder_fingerprint}, {version.dimension} dimensions, {version.metric}; here "
                f"{here.embedder_fingerprint}, {here.dimension}, {here.metric}, {here.model})",
                fix="Install the model and settings that the version was built with, or build and promote a new version",
            )
        return here

    def tables(self, dataset: str, space: str | None = None) -> SpaceTables:
        """The lake tables of a space as it is configured now."""
        return SpaceTables.of(dataset, self.space(dataset, space))

    def version(self, dataset: str, number: int | None = None, space: str | None = None) -> Version:
        """A version by number, or the newest of the serving space as it is configured now."""
        self.dataset(dataset)
        registry = self.registry(read_only=True)
        if number is not None:
            if number < 1:
                raise InputError(f"{number} is no version number", fix="Versions are numbered from 1")
            return registry.version(dataset, number)
        wanted = self.space(dataset, space)
        found = registry.latest_version(dataset, wanted.name, wanted.fingerprint)
        if found is None:
            raise NotFoundError(
                f"{dataset} has no version in space {wanted.name} yet",
                fix=f"Build one: vector-pipeline build {dataset}",
            )
        return found

    def _space_name(self, dataset: str, space: str | None) -> str:
        settings = self.dataset(dataset)
        name = space or settings.serving_space
        if name not in settings.spaces:
            raise NotFoundError(f"{dataset} has no space {name!r}; it has: {', '.join(settings.spaces)}")
        return name

    def _resolved(self, dataset: str, space: str | None) -> tuple[EmbeddingSpace, Chunker]:
        """Law 4."""
        key = dataset, self._space_name(dataset, space)
        found = self._spaces.get(key)
        if found is not None:
            return found
        with self._lock:
            own = self._resolving.setdefault(key, threading.Lock())
        with own:
            found = self._spaces.get(key)
            if found is None:
                config = self.dataset(dataset).spaces[key[1]]
                chunker = Chunker(config.chunker, self.embedder(*key).tokens)
                found = self._spaces[key] = resolve_space(key[1], config, self.base, chunker.version), chunker
            return found


def _query_identity(space: EmbeddingSpace | Version) -> tuple[str, int, str]:
    return space.embedder_fingerprint, space.dimension, space.metric


def choose_environment(config: Config, name: str | None) -> str:
    """The named environment, ``$VECTOR_PIPELINE_ENV``, or the first of the file. ``ConfigError`` for an unknown one."""
    wanted = name or os.environ.get("VECTOR_PIPELINE_ENV") or next(iter(config.environments))
    if wanted not in config.environments:
        raise ConfigError(
            f"no environment {wanted!r}; the configuration has: {', '.join(config.environments)}",
            fix="Name one of them: --env NAME, or VECTOR_PIPELINE_ENV",
        )
    return wanted
