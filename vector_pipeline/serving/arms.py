"""Which versions answer a call, in which order, and what is told when none does.

Laws
----
1. A key gets the same version throughout a route, in every process, and goes on getting it when the share grows.
2. Every deployment has a breaker of its own, one as a route and one as production or the version before: a routed version that
   cannot be embedded for is a failure of the route only.
3. The version before is asked while production's breaker lets nobody through, or after it failed as one that does not answer; not
   while its own breaker is open. Where it fails too, production is asked after all.
4. What is told is production's error. What others said is noted on it (``__notes__``).
"""

import hashlib
import random
from collections.abc import Iterator, Sequence

from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.serving.answers import ROUTE_ARM
from vector_pipeline.serving.breaker import Breaker, Turn
from vector_pipeline.serving.resolving import Live, Served

Failure = tuple[Served, VectorPipelineError]


class Arms:
    """The breakers of a reader. Thread-safe."""

    def __init__(self) -> None:
        self._breakers: dict[tuple[int, bool], Breaker] = {}
        self._said: dict[tuple[int, bool], str] = {}

    def breaker(self, served: Served) -> Breaker:
        """Law 2."""
        key = _key(served)
        found = self._breakers.get(key)
        return found if found is not None else self._breakers.setdefault(key, Breaker())

    def said(self, served: Served) -> str:
        """Why a deployment failed last, in one line; empty where it never did."""
        return self._said.get(_key(served), "")

    def failed(self, served: Served, turn: Turn, error: VectorPipelineError) -> None:
        """It did not answer: its own failure."""
        self._said[_key(served)] = error.what
        self.breaker(served).failed(turn)

    def sides(self, live: Live, key: str | None) -> Iterator[tuple[Served, Turn]]:
        """What to ask, in this order, until something answers. Who takes one ends its turn."""
        route, routed = live.route, live.routed
        if route is not None and routed is not None and takes(route.dataset, route.version, route.share, key):
            turn = self.breaker(routed).allows()
            if turn is not None:
                yield routed, turn
        allowed = self.breaker(live.served).allows()
        if allowed is not None:
            yield live.served, allowed
        if live.previous is not None:
            turn = self.breaker(live.previous).allows()
            if turn is not None:
                yield live.previous, turn
        if allowed is None:  # With nothing else to ask, an open breaker stops nobody.
            yield live.served, self.breaker(live.served).begun()

    def others_may(self, served: Served, live: Live) -> bool:
        """Whether something else is asked after this failed: always after a route; after production, if it is thought away."""
        return served is not live.served or self.breaker(served).state != "closed"


def told(live: Live, failures: Sequence[Failure]) -> VectorPipelineError:
    """Law 4."""
    own = [error for served, error in failures if served is live.served]
    error = own[-1] if own else failures[-1][1]
    for served, other in failures:
        if other is not error and served is not live.served:
            error.add_note(f"{served.arm} (version {served.version.number} in {' '.join(served.place)}): {other}")
    return error


def out_of_time(served: Served, seconds: float) -> UnavailableError:
    """The error of an arm that took too long."""
    return UnavailableError(f"{served.place[0]} did not answer within {seconds:.3g} s", kind="timeout")


def takes(dataset: str, version: int, share: float, key: str | None) -> bool:
    """Law 1: whether a reader with this key is among the share; without one, chance decides."""
    if key is None:
        return random.random() < share
    digest = hashlib.blake2b(f"{dataset}\0{version}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64


def _key(served: Served) -> tuple[int, bool]:
    return served.deployment.id, served.arm == ROUTE_ARM
