"""How a reader is: every part that a query needs is asked, for a bounded time.

Laws
----
1. ``ok`` is what the next query would meet, by what can be known without asking one: that an alias is known and may be used, that
   whoever would be asked is there, does not fail again and again, and that queries for it can be embedded here.
2. Asking takes nothing from queries: the registry is asked once, however many ask, and on threads of its own what does not answer.
3. What does not answer hides nothing else: each part is asked at once, beside the registry where something is known. Whoever
   asks while a part is being asked waits for that answer: a part that hangs holds one thread, however often health is asked.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from vector_pipeline.errors import ConflictError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.serving.answers import Health, PartHealth
from vector_pipeline.serving.arms import Arms
from vector_pipeline.serving.asking import Asker
from vector_pipeline.serving.embedding import Embeddings
from vector_pipeline.serving.following import Follower
from vector_pipeline.serving.resolving import Live, Served
from vector_pipeline.serving.threads import Threads

PATIENCE_S = 3.0
"""How long the parts have to answer, all together."""
_REGISTRY = 1 / 3
"""The registry's share of it, where something is known: an outage of the registry is lived through."""
_LOOKS = 8
"""Parts that are asked at once how they are."""
_Part = tuple[str, ...]
"""What is looked at: a place, or the embedder of a version."""


class Looks:
    """Looks under way, one at each part. Thread-safe."""

    def __init__(self) -> None:
        self._threads = Threads(_LOOKS, "health")
        self._lock = threading.Lock()
        self._asking: dict[_Part, Future[Any]] = {}
        self._process = os.getpid()

    def at(self, part: _Part, look: Callable[[], Any]) -> "Future[Any]":
        """The look at a part that is under way, or a new one (law 3). ``UnavailableError`` (``closed``) afterwards."""
        with self._lock:
            if self._process != os.getpid():  # Those of the process that was forked never end here.
                self._process, self._asking = os.getpid(), {}
            found = self._asking.get(part)
            if found is None or found.done():
                self._asking = {one: asked for one, asked in self._asking.items() if not asked.done()}
                found = self._asking[part] = self._threads.submit(look)
            return found

    def close(self, within_s: float) -> None:
        """Look no more."""
        self._threads.close(within_s)


@dataclass(frozen=True, slots=True)
class _Side:
    """A version that may be asked next."""

    target: PartHealth
    embedder: PartHealth

    @property
    def ok(self) -> bool:
        return self.target.ok and self.embedder.ok


def examine(parts: Parts, follower: Follower, asker: Asker, embeddings: Embeddings, looks: Looks) -> Health:
    """Health of a reader, within ``PATIENCE_S``. A model that was never looked at may take longer: it is not ready until then."""
    began, question = time.monotonic(), follower.question()

    def within(asked: "Future[Any]", seconds: float = PATIENCE_S) -> VectorPipelineError | None:
        """What was said instead of an answer, until so long after the beginning. It is not cancelled: others wait, too."""
        try:
            asked.result(max(0.0, began + seconds - time.monotonic()))
        except TimeoutError:
            return UnavailableError(f"no answer within {seconds:.3g} s", kind="timeout")
        except VectorPipelineError as error:
            return error
        return None

    asked: dict[_Part, Future[Any]] = {}

    def look(part: _Part, how: Callable[[], Any]) -> "Future[Any]":
        if part not in asked:
            asked[part] = looks.at(part, how)
        return asked[part]

    def begun(live: Live, state: str) -> dict[str, Callable[[], _Side]]:
        return {one.arm: sided(one) for one in _asked_next(live, state)}

    def sided(served: Served) -> Callable[[], _Side]:
        reached = look(("target", *served.place), lambda: _reach(parts, served))
        embedded = look(("embedder", str(served.version.number)), lambda: embeddings.of(served.version))
        return lambda: _side(served, asker.arms, within(reached), within(embedded))

    followed, known = follower.followed, follower.known
    if known is not None:  # What the registry says next is mostly the same.
        live = asker.served(known)
        begun(live, asker.arms.breaker(live.served).state)
    said = within(question, PATIENCE_S if known is None else PATIENCE_S * _REGISTRY)
    known = follower.known
    if known is None:
        nothing = PartHealth(False, "it is not known what to ask")
        return Health(
            False, followed.dataset, followed.name, None, None, followed.name, None, follower.hearing, "closed", _part(said),
            nothing, nothing,
        )  # fmt: skip
    live = asker.served(known)
    age = time.monotonic() - known.asked
    # An outage is lived through; that nothing is promoted any more is an answer.
    follows = said is None or (isinstance(said, UnavailableError | ConflictError) and age < follower.bound_s)
    state = asker.arms.breaker(live.served).state

    sides = {arm: side() for arm, side in begun(live, state).items()}
    served = (
        live.previous if live.previous is not None and state == "open" and sides[live.previous.arm].ok else live.served
    )
    route = None if live.route is None else {"version": live.route.version, "share": live.route.share}
    return Health(
        follows and any(one.ok for one in sides.values()), followed.dataset, followed.name,
        served.version.number, served.version.space, served.arm, age, follower.hearing, state, _part(said),
        sides[live.served.arm].target, sides[served.arm].embedder, route,
    )  # fmt: skip


def _asked_next(live: Live, state: str) -> list[Served]:
    """As ``arms.Arms.sides``: the version before only where production is thought away."""
    return [live.served] if live.previous is None or state == "closed" else [live.served, live.previous]


def _side(
    served: Served, arms: Arms, reached: VectorPipelineError | None, embedded: VectorPipelineError | None
) -> _Side:
    if reached is None and arms.breaker(served).state == "open":
        return _Side(PartHealth(False, f"it failed again and again: {arms.said(served)}"), _part(embedded))
    return _Side(_part(reached), _part(embedded))


def _part(said: VectorPipelineError | None) -> PartHealth:
    return PartHealth(True) if said is None else PartHealth(False, str(said))


def _reach(parts: Parts, served: Served) -> None:
    """``VectorPipelineError`` where the place of a version does not answer, or is not there."""
    deployment = served.deployment
    target = parts.target_named(deployment.target, read_only=True)
    if target.describe(deployment.namespace) is None:
        raise NotFoundError(f"{deployment.target} has no {deployment.namespace}", fix="See: vector-pipeline drift")
