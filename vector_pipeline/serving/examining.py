"""How a reader is: every part that a query needs is asked, for a bounded time.

Laws
----
1. ``ok`` is what the next query would meet, by what can be known without asking one: that an alias is known and may be used, that
   whoever would be asked is there, does not fail again and again, and that queries for it can be embedded here.
2. Asking takes nothing from queries: the registry is asked once, however many ask, and on threads of its own what does not answer.
"""

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


@dataclass(frozen=True, slots=True)
class _Side:
    """A version that may be asked next."""

    target: PartHealth
    embedder: PartHealth

    @property
    def ok(self) -> bool:
        return self.target.ok and self.embedder.ok


def examine(parts: Parts, follower: Follower, asker: Asker, embeddings: Embeddings, threads: Threads) -> Health:
    """Health of a reader, within ``PATIENCE_S``. A model that was never looked at may take longer: it is not ready until then."""
    until, question = time.monotonic() + PATIENCE_S, follower.question()

    def within(asked: "Future[Any]") -> VectorPipelineError | None:
        """What was said instead of an answer."""
        try:
            asked.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            if asked is not question:  # For which others wait, too.
                asked.cancel()
            return UnavailableError(f"no answer within {PATIENCE_S:g} s", kind="timeout")
        except VectorPipelineError as error:
            return error
        return None

    followed = follower.followed
    said = within(question)
    known = follower.known
    if known is None:
        nothing = PartHealth(False, "it is not known what to ask")
        return Health(
            False, followed.dataset, followed.name, None, None, followed.name, None, follower.hearing, "closed", _part(said),
            nothing, nothing,
        )  # fmt: skip
    age, live = time.monotonic() - known.asked, asker.served(known)
    # An outage is lived through; that nothing is promoted any more is an answer.
    follows = said is None or (isinstance(said, UnavailableError | ConflictError) and age < follower.bound_s)
    state = asker.arms.breaker(live.served).state

    def begun(served: Served) -> Callable[[], _Side]:
        reached, embedded = (
            threads.submit(lambda: _reach(parts, served)),
            threads.submit(lambda: embeddings.of(served.version)),
        )
        return lambda: _side(served, asker.arms, within(reached), within(embedded))

    looks = {one.arm: begun(one) for one in _asked_next(live, state)}
    sides = {arm: look() for arm, look in looks.items()}
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
