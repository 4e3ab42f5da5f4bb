"""What a gate may look at: one candidate version, what production serves, and where both are deployed.

Laws
----
1. Nothing here writes. Parts are opened when a gate asks for them, and once: several gates share what they read (``once``).
2. ``production`` is what readers get now, unless that is the candidate itself: then what they got before. None at a first release.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from vector_pipeline.config import DatasetConfig, GateConfig
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.release.registry import Deployment, Registry, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import Target

T = TypeVar("T")
AGAINST = "against"
"""Key of a verdict's detail that says what the candidate was compared with; on comparisons only."""


@dataclass(frozen=True, slots=True)
class Side:
    """One version: its rows in the lake, and where a target holds it (None: nowhere)."""

    version: Version
    deployment: Deployment | None = None

    @property
    def tables(self) -> SpaceTables:
        """The lake tables that it was made from."""
        return tables_of(self.version)

    @property
    def documents(self) -> str:
        """Relation for FROM: its documents (``lake.tables``)."""
        return at(self.tables.dataset.documents, self.version.lake_snapshot)

    @property
    def chunks(self) -> str:
        """Relation for FROM: its chunks, one a record. Vectors: join ``tables.embeddings`` USING (shard, content_hash)."""
        return at(self.tables.chunks, self.version.lake_snapshot)


@dataclass(frozen=True, slots=True)
class Opened:
    """How a context opens parts."""

    lake: Callable[[], Lake]
    registry: Callable[[], Registry]
    target: Callable[[str], Target]
    embedder: Callable[[Version], Embedder]
    """The embedder of a version's space; ``RefusedError`` where this machine has another one."""
    space: Callable[[Version], EmbeddingSpace]
    """The space of that name as it is configured on this machine now: its fingerprint may be another one."""


class GateContext:
    """Everything that gates look at in one verification. Not for several threads at once."""

    def __init__(
        self,
        settings: DatasetConfig,
        gates: GateConfig,
        base: Path,
        candidate: Side,
        production: Side | None,
        opened: Opened,
        now: datetime,
        sample: Sample | None = None,
    ) -> None:
        self.settings = settings
        """The dataset's configuration. Of gates see ``gates``."""
        self.gates = gates
        """What this environment demands."""
        self.base = base
        """Folder that paths of the configuration are relative to."""
        self.candidate = candidate
        self.production = production
        self.now = now
        self.sample = sample
        """What of the source is built here; None: all of it."""
        self._opened = opened
        self._lock = threading.RLock()
        self._shared: dict[str, Any] = {}

    @property
    def version(self) -> Version:
        """The candidate's."""
        return self.candidate.version

    @property
    def lake(self) -> Lake:
        """Opened for reading."""
        return self._opened.lake()

    @property
    def registry(self) -> Registry:
        """Opened for reading."""
        return self._opened.registry()

    def target(self, side: Side) -> Target:
        """The target that holds a side; ``NotFoundError`` where none does."""
        if side.deployment is None:
            raise NotFoundError(f"version {side.version.number} of {side.version.dataset} is on no target")
        return self._opened.target(side.deployment.target)

    def embedder(self, side: Side) -> Embedder:
        """Of a side's space. Weights are loaded at its first use."""
        return self._opened.embedder(side.version)

    def space(self, side: Side) -> EmbeddingSpace:
        """The space of a side's name as it is on this machine now."""
        return self._opened.space(side.version)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What several gates need, made by the first that asks. ``key`` names it: begin it with the module's name."""
        with self._lock:
            if key not in self._shared:
                self._shared[key] = make()
            return cast(T, self._shared[key])

    def against(self) -> Mapping[str, Any]:
        """What the candidate was compared with: goes into a verdict's detail."""
        found = self.production
        return {} if found is None else {"version": found.version.number, "digest": found.version.digest}
