"""Targets: an index a space, a folder, a tenant and a database. (pgvector's database is among ``databases``.)

Laws
----
1. A space says its dimension without its weights; one whose model is not on this machine is not known here, and a push makes its
   index on demand.
2. What a target would refuse at the first push is told now: an index of another dimension, a document index, a wrong region.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vector_pipeline.config import ChromaTargetConfig, DuckDBTargetConfig, PineconeTargetConfig
from vector_pipeline.errors import ConfigError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.provision.things import Action, Thing
from vector_pipeline.targets.base import NamespaceSpec

_INDEX_FIX = "Give the target another `index:`, or delete that index yourself: provision deletes nothing"


class Places:
    """What the targets of an environment need."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def things(self) -> Iterator[Thing]:
        for name, config in self._parts.settings.targets.items():
            try:
                match config:
                    case PineconeTargetConfig():
                        yield from self._indexes(name, config)
                    case ChromaTargetConfig():
                        yield from self._chroma(name, config)
                    case DuckDBTargetConfig():
                        yield folder("duckdb folder", self._parts.base / config.path)
            except ModuleNotFoundError as error:
                raise ConfigError(
                    f"target {name} is of kind {config.kind}, and package {error.name} is not installed",
                    fix=f"pip install 'vector-pipeline[{config.kind}]'",
                ) from error

    def spaces(self, target: str) -> Iterator[tuple[str, NamespaceSpec | VectorPipelineError]]:
        """Every space of the datasets that a target serves; an error where it is not known here (law 1)."""
        for dataset, settings in self._parts.config.datasets.items():
            if target not in (settings.target, *settings.mirrors):
                continue
            for space in settings.spaces:
                try:
                    found = self._parts.space(dataset, space)
                except VectorPipelineError as error:
                    yield f"{dataset}/{space}", error
                    continue
                yield f"{dataset}/{space}", NamespaceSpec("", found.dimension, found.metric, found.fingerprint)

    def _indexes(self, target: str, config: PineconeTargetConfig) -> Iterator[Thing]:
        from vector_pipeline.targets.pinecone.provisioning import IndexProvisioning

        indexes, seen = IndexProvisioning(target, config), set[str]()
        try:
            for label, spec in self.spaces(target):
                if isinstance(spec, VectorPipelineError):
                    fix = f"{spec.fix or 'See the message'}; a push makes the index on demand"
                    yield Thing(
                        "pinecone index", f"{config.index}-… for {label}", Action.UNKNOWN, note=spec.what, fix=fix
                    )
                    continue
                name = indexes.name_of(spec)
                if name in seen:
                    continue
                seen.add(name)
                facts = (
                    ("space", f"{label} {spec.space[:8]}"), ("dimension", str(spec.dimension)), ("metric", spec.metric),
                    ("cloud", config.cloud), ("region", config.region),
                    ("deletion protection", "on" if config.deletion_protection else "off"),
                )  # fmt: skip
                standing = indexes.look(spec)
                make, protect = (partial(self._with_index, target, config, spec, verb) for verb in ("make", "protect"))
                if not standing.there:
                    yield Thing("pinecone index", name, Action.CREATE, facts, make=make)
                elif standing.differs:
                    yield Thing("pinecone index", name, Action.DIFFERS, facts, "; ".join(standing.differs), _INDEX_FIX)
                elif standing.unprotected:
                    yield Thing(
                        "pinecone index", name, Action.CHANGE, facts, "deletion protection is off", make=protect
                    )
                else:
                    yield Thing("pinecone index", name, Action.EXISTS, facts)
        finally:
            indexes.close()

    def _with_index(self, target: str, config: PineconeTargetConfig, spec: NamespaceSpec, verb: str) -> None:
        from vector_pipeline.targets.pinecone.provisioning import IndexProvisioning

        indexes = IndexProvisioning(target, config)
        try:
            (indexes.make if verb == "make" else indexes.protect)(spec)
        finally:
            indexes.close()

    def _chroma(self, target: str, config: ChromaTargetConfig) -> Iterator[Thing]:
        from vector_pipeline.targets.chroma.provisioning import PlaceProvisioning

        def make() -> None:
            made = PlaceProvisioning(target, config, self._parts.base)
            try:
                made.make()
            finally:
                made.close()

        facts = (("tenant", config.tenant), ("database", config.database))
        place = PlaceProvisioning(target, config, self._parts.base)
        try:
            name = str(self._parts.base / config.path) if config.path is not None else str(config.url)
            there = place.folder_there() and place.tenant_there() and place.database_there()
        finally:
            place.close()
        action = Action.EXISTS if there else Action.CREATE
        yield Thing("chroma database", f"{config.tenant}/{config.database} at {name}", action, facts, make=make)


def folder(kind: str, path: Path) -> Thing:
    """A folder of this machine."""
    if path.is_dir():
        if os.access(path, os.W_OK | os.X_OK):
            return Thing(kind, str(path), Action.EXISTS)
        return Thing(kind, str(path), Action.DIFFERS, note="it may not be written to", fix="Give this user the folder")
    if path.exists():
        return Thing(kind, str(path), Action.DIFFERS, note="it is no folder", fix="Name another path")

    def make() -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{path}: {error.strerror}", fix="Check the folder above it") from None

    return Thing(kind, str(path), Action.CREATE, make=make)
