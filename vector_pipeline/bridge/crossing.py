"""Queries of a new model on their way into the space that production is still in: whether they may, and through which map.

Laws
----
1. Nobody crosses who did not ask for the new space by name. Where the version that is searched is of the same embedder, there is
   nothing to cross: after the cut-over a bridge is unused by itself.
2. A bridge is used for exactly the pair of embedders that it was fitted for, and the metric that it was measured with; while it is
   in force, the configuration allows bridges, and what was measured is enough for ``bridge.min_recall`` as it is now.
   Anything else is ``RefusedError``, and the query is not asked.
3. What is in force is asked of the registry every ``max_staleness_s`` seconds. While that does not answer, what was known is used
   for ``OUTAGE_S`` more, by whoever does not happen to ask.
"""

import threading
import time
from dataclasses import dataclass

from vector_pipeline.bridge.map import BridgeMap, name_of
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.errors import ConflictError, CorruptError, RefusedError, UnavailableError
from vector_pipeline.parts import Parts
from vector_pipeline.release.registry import Bridge, Version
from vector_pipeline.targets.base import Vector

OUTAGE_S = 60.0
_PAUSE_S = 5.0
"""Between two questions to a registry that does not answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """A bridge in force, with its map."""

    bridge: Bridge
    held: BridgeMap
    space: str
    """Name of the space whose embedder embeds the query."""

    @property
    def fingerprint(self) -> str:
        return self.bridge.fingerprint

    @property
    def recall(self) -> float:
        """As it was measured."""
        return self.bridge.recall

    def map(self, queries: Vector) -> Vector:
        """float32[n, d_new] → float32[n, d_old]."""
        return self.held.apply(queries)


@dataclass(slots=True)
class _Known:
    crossing: Crossing | None
    asked: float
    failed: float | None = None
    """When the registry last did not answer (monotonic seconds)."""


class Crossings:
    """What a reader that asks for a space by name goes through. Threads may share it."""

    def __init__(self, parts: Parts, dataset: str, space: str, max_staleness_s: float) -> None:
        """``NotFoundError`` for a space that the dataset does not have."""
        parts.space(dataset, space)
        self.space = space
        self._parts = parts
        self._staleness = max_staleness_s
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, str], _Known] = {}

    def to(self, version: Version) -> Crossing | None:
        """How queries of the named space get to a version; None: they are in its space. ``RefusedError`` by law 2."""
        here = self._parts.space(version.dataset, self.space)
        if here.embedder_fingerprint == version.embedder_fingerprint:
            return None
        settings = self._parts.dataset(version.dataset).bridge
        crossing = self._current(version, here)
        why = None
        if settings is None:
            why = "the configuration allows no bridge"
        elif crossing is None:
            why = "no bridge between them is on"
        elif crossing.bridge.detail.get("metric") != version.metric:
            why = f"the bridge was measured with metric {crossing.bridge.detail.get('metric')}, not {version.metric}"
        elif crossing.bridge.detail.get("low", 0.0) < settings.min_recall:
            why = f"the bridge keeps {crossing.recall:.1%} of the answers, and bridge.min_recall is {settings.min_recall:.0%}"
        if why is not None:
            raise _refused(version, self.space, why)
        return crossing

    def _current(self, version: Version, here: EmbeddingSpace) -> Crossing | None:
        pair = (version.dataset, here.embedder_fingerprint, version.embedder_fingerprint)
        known, now = self._known.get(pair), time.monotonic()
        if known is not None and now - known.asked < self._staleness:
            return known.crossing
        # One thread asks; others take what is known meanwhile, unless it is too old.
        if not self._lock.acquire(blocking=known is None or not self._recent(known, now)):
            assert known is not None
            return known.crossing
        try:
            return self._asked(pair)
        finally:
            self._lock.release()

    def _asked(self, pair: tuple[str, str, str]) -> Crossing | None:
        """With the lock held."""
        known, now = self._known.get(pair), time.monotonic()
        if (
            known is not None
            and known.failed is not None
            and now - known.failed < _PAUSE_S
            and self._recent(known, now)
        ):
            return known.crossing
        try:
            crossing = self._read(pair, known.crossing if known is not None else None)
        except (UnavailableError, ConflictError):
            if known is None or not self._recent(known, now):
                raise
            known.failed = time.monotonic()
            return known.crossing
        self._known[pair] = _Known(crossing, now)
        return crossing

    def _recent(self, known: _Known, now: float) -> bool:
        return now - known.asked < max(OUTAGE_S, self._staleness)

    def _read(self, pair: tuple[str, str, str], known: Crossing | None) -> Crossing | None:
        dataset, from_embedder, to_embedder = pair
        registry = self._parts.registry(read_only=True)
        found = registry.bridge_in_force(dataset, self._parts.environment, from_embedder, to_embedder)
        if found is None:
            return None
        if known is not None and known.bridge.id == found.id:
            return known
        return Crossing(found, opened(found, registry.bridge_map(found)), self.space)


def opened(bridge: Bridge, data: bytes) -> BridgeMap:
    """A bridge's map. ``CorruptError`` where it is not the one that was measured, or is of another pair."""
    if name_of(data, bridge.from_embedder, bridge.to_embedder) != bridge.fingerprint:
        raise CorruptError(
            f"bridge {bridge.fingerprint} of {bridge.dataset} is not what was measured",
            fix=f"Turn it off and fit another one: vector-pipeline bridge off {bridge.dataset}",
        )
    return BridgeMap.from_bytes(data)


def _refused(version: Version, space: str, why: str) -> RefusedError:
    return RefusedError(
        f"queries of space {space} cannot be asked of version {version.number} of {version.dataset}, which is in space "
        f"{version.space}: {why}",
        fix=f"Open the index without space, or turn a bridge on: vector-pipeline bridge fit {version.dataset} --space {space}",
    )
