"""Follow an alias: ask the registry when what is known is stale, and live through an outage of it.

Laws
----
1. While the registry answers, what ``current`` gives is at most ``max_staleness_s`` seconds old; 0 asks every time.
2. While it does not, the last known alias is given for ``OUTAGE_S`` seconds more: one thread keeps asking, and no other waits for
   it longer than ``WAIT_S``, once.
3. Alias and version belong together: the version's row is read once for each generation of the alias.
4. Whoever asks for a target follows it whatever its alias is called: swapping the places in the configuration moves nobody.
"""

import logging
import threading
import time
from dataclasses import dataclass

from vector_pipeline.errors import ConflictError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.release.mirrors import at, standing
from vector_pipeline.release.registry import Alias, Registry, Version

OUTAGE_S = 60.0
"""How long the last known alias is served while the registry does not answer (or ``max_staleness_s``, if that is longer)."""
WAIT_S = 1.0
"""How long a query waits for another thread's question to the registry, before it takes what is known."""
_PAUSE_S = 5.0
"""Between two questions to a registry that does not answer."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Live:
    """What an alias pointed to when the registry was asked (monotonic seconds)."""

    alias: Alias
    version: Version
    asked: float


class Follower:
    """Follows one alias of a dataset, or the one of that rank at a target. Threads may share it."""

    def __init__(
        self, parts: Parts, dataset: str, alias: str, max_staleness_s: float, target: str | None = None
    ) -> None:
        self._parts = parts
        self._dataset = dataset
        self._name = alias
        self._target = target
        self._staleness = max_staleness_s
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._failed: tuple[float, VectorPipelineError] | None = None
        """When the registry last did not answer, and what it said; None while it answers."""
        self._slow = False
        """The registry did not answer, or not soon: nobody waits for whoever asks it."""

    @property
    def known(self) -> Live | None:
        """What the registry said last, however old; None: nothing yet. Asks nobody."""
        return self._live

    def refresh(self) -> Live:
        """Ask the registry now."""
        with self._lock:
            return self._resolve()

    def current(self) -> Live:
        """What to search now. ``NotFoundError`` when nothing was promoted; ``UnavailableError`` or ``ConflictError`` when the
        registry does not answer and nothing, or nothing recent enough, is known.
        """
        live = self._live
        if live is not None and self._age(live) < self._staleness:
            return live
        known = live is not None and self._age(live) < self._bound
        # Of several threads that found it stale together, one asks; the others wait for it, but not for an outage.
        if not self._lock.acquire(timeout=(0 if self._slow else WAIT_S) if known else -1):
            self._slow = True
            assert live is not None
            return live
        try:
            return self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> Live:
        """With the lock held: ask the registry, or take what is known while it does not answer."""
        live = self._live
        if live is not None and self._age(live) < self._staleness:
            return live
        if self._failed is None or time.monotonic() - self._failed[0] > _PAUSE_S:
            try:
                return self._resolve()
            except (UnavailableError, ConflictError) as error:
                self._failed, self._slow = (time.monotonic(), error), True
                _log.warning("%s: the registry does not answer: %s", self._dataset, error)
        if live is not None and self._age(live) < self._bound:
            return live
        raise self._failed[1]

    def _age(self, live: Live) -> float:
        return time.monotonic() - live.asked

    @property
    def _bound(self) -> float:
        return max(OUTAGE_S, self._staleness)

    def _resolve(self) -> Live:
        now = time.monotonic()
        registry = self._parts.registry(read_only=True)
        found = self._found(registry)
        known = self._live
        same = known is not None and _identity(known.alias) == _identity(found)
        version = (
            known.version if known is not None and same else registry.version(self._dataset, found.deployment.version)
        )
        self._live, self._failed, self._slow = Live(found, version, now), None, False
        return self._live

    def _found(self, registry: Registry) -> Alias:
        """Law 4: whatever a place's alias is called, its deployment says which target it is."""
        environment = self._parts.environment
        verb = "promote" if self._name == "production" else "push"
        if self._target is None:
            found = registry.alias(self._dataset, environment, self._name)
            if found is None:
                raise NotFoundError(
                    f"nothing of {self._dataset} is in {self._name} yet", fix=f"vector-pipeline {verb} {self._dataset}"
                )
            return found
        found = at(standing(registry, self._dataset, environment, self._name), self._target)
        if found is not None:
            return found
        out = [one for one in registry.withdrawals(self._dataset, environment) if one.target == self._target]
        if out:
            raise NotFoundError(
                f"{self._target} is out of service for {self._dataset} since {out[0].at:%Y-%m-%d %H:%M} UTC ({out[0].reason})",
                fix="Read another target, or leave it to the alias: open_index without target",
            )
        raise NotFoundError(
            f"nothing of {self._dataset} is in {self._name} on {self._target}",
            fix=f"vector-pipeline {verb} {self._dataset}",
        )


def _identity(alias: Alias) -> tuple[str, int, int]:
    return alias.name, alias.generation, alias.deployment.id
