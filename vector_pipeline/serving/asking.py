"""One call of a reader: which version answers, and which one instead when it does not.

Laws
----
1. One call sees one version in one space: what was resolved when it began it keeps to its end, whatever moves meanwhile. Only where
   that version's place does not answer is the whole call begun again, with another one, and the answer says so.
2. A key gets the same version throughout a route, in every process, and goes on getting it when the share grows.
3. A route costs no answer: where the routed version cannot answer in time, production does. The failure is counted.
4. Of production, places that fail again and again are not asked for a while: the version before answers, if it is elsewhere. Only
   the target's own failures count: a wrong query, a registry or an embedder that does not answer open no breaker.
5. Every attempt of an arm is counted once, by its arm. A wrong question is no failure of whoever was asked.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay, wait_random_exponential

from vector_pipeline.errors import CorruptError, InputError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.serving.answers import ROUTE_ARM, Answer, Hit
from vector_pipeline.serving.breaker import Breaker
from vector_pipeline.serving.embedding import Embeddings
from vector_pipeline.serving.following import Follower
from vector_pipeline.serving.metering import Meter
from vector_pipeline.serving.resolving import Live, Served
from vector_pipeline.serving.spans import Attributes, Spans
from vector_pipeline.targets.base import Filter, Match

T = TypeVar("T")
_FAILURES = (UnavailableError, NotFoundError, CorruptError)
"""Of a target: it does not answer, has lost the namespace, or what is in it cannot be read."""
_WAIT_S = (0.05, 1.0)
"""Before a part is asked again: at first, at most; at random below that."""


@dataclass(slots=True)
class Call:
    """A query under way."""

    texts: list[str]
    top_k: int
    filter: Filter | None
    key: str | None
    until: float | None = None
    """When it must have ended (``perf_counter``)."""
    began: float = field(default_factory=time.perf_counter)
    arm_began: float = 0.0
    """When the present arm was begun with."""
    served: Served | None = None
    """What is being asked now."""
    searching: bool = False
    abandoned: bool = False
    """Nobody waits for it any more: it was counted by whoever gave up."""
    embed_s: float = 0.0
    search_s: float = 0.0


class Asker:
    """Asks what an alias points at. Thread-safe."""

    def __init__(self, parts: Parts, follower: Follower, name: str, embeddings: Embeddings, retries: int) -> None:
        self._parts = parts
        self._follower = follower
        self._name = name
        self._embeddings = embeddings
        self._retries = retries
        self._spans = Spans()
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self.meter = Meter()

    def breaker(self, served: Served) -> Breaker:
        """Of the place where a version is."""
        found = self._breakers.get(served.place)
        return found if found is not None else self._breakers.setdefault(served.place, Breaker())

    def answers(self, call: Call) -> list[Answer]:
        """One answer for each text."""
        call.arm_began = call.began
        about: Attributes = {"vector_pipeline.alias": self._name, "vector_pipeline.top_k": call.top_k}
        with self._spans.span("vector_pipeline.query", about) as told:
            try:
                with self._spans.span("vector_pipeline.alias", {}):
                    live = self._follower.current()
            except VectorPipelineError:
                self._count(call, failed=True)
                raise
            served, found = self._asked(call, live)
            told["vector_pipeline.dataset"] = live.alias.dataset
            told["vector_pipeline.version"] = served.deployment.version
            told["vector_pipeline.space"] = served.version.space
            told["vector_pipeline.arm"] = served.arm
            told["vector_pipeline.hits"] = sum(len(one.hits) for one in found)
            return found

    def give_up(self, call: Call) -> None:
        """Time is over: the call counts as failed here, whatever becomes of it on its thread."""
        call.abandoned, served = True, call.served
        if served is not None and call.searching:
            self.breaker(served).failed()
        self.meter.add(
            served.arm if served else self._name, time.perf_counter() - call.arm_began, embed_s=call.embed_s,
            search_s=call.search_s, failed=True,
        )  # fmt: skip

    def _asked(self, call: Call, live: Live) -> tuple[Served, list[Answer]]:
        failure: VectorPipelineError | None = None
        for served in self._sides(live, call.key):
            if failure is not None:
                call.arm_began, call.embed_s, call.search_s = time.perf_counter(), 0.0, 0.0
            call.served = served
            try:
                found = self._ask(call, served)
            except VectorPipelineError as error:
                wrong = isinstance(error, InputError)
                self._count(call, failed=not wrong)
                if wrong or call.abandoned:
                    raise
                failure = error
                # Law 3; law 4: what opens the breaker is answered already by what stands in.
                if served.arm != ROUTE_ARM and self.breaker(served).state == "closed":
                    raise
                continue
            self._count(call, failed=False)
            return served, found
        assert failure is not None
        raise failure

    def _sides(self, live: Live, key: str | None) -> Iterator[Served]:
        """What to ask, in this order."""
        route, routed = live.route, live.routed
        if (
            route is not None
            and routed is not None
            and takes(route.dataset, route.version, route.share, key)
            and self.breaker(routed).allows()
        ):
            yield routed
        # With nothing else to ask, an open breaker stops nobody.
        if self.breaker(live.served).allows() or live.previous is None:
            yield live.served
        if live.previous is not None:
            yield live.previous

    def _ask(self, call: Call, served: Served) -> list[Answer]:
        deployment, breaker = served.deployment, self.breaker(served)
        said = False
        try:
            target = self._parts.target_named(deployment.target, read_only=True)
            able = target.capabilities
            if not 1 <= call.top_k <= able.max_top_k:
                raise InputError(f"top_k is {call.top_k}", fix=f"Ask for 1 to {able.max_top_k} hits")
            embedding = self._embeddings.of(served.version)
            with self._spans.span("vector_pipeline.embed", {"vector_pipeline.texts": len(call.texts)}):
                before = time.perf_counter()
                vectors = self._retried(lambda: embedding.vectors(call.texts), call)
                call.embed_s = time.perf_counter() - before

            def search() -> list[list[Match]]:
                # An index that was asked for in the configuration is used; else search is exact.
                return target.query(
                    deployment.namespace, vectors, top_k=call.top_k, version=deployment.version, filter=call.filter,
                    exact=not able.approximate,
                )  # fmt: skip

            with self._spans.span("vector_pipeline.search", {"vector_pipeline.target": deployment.target}):
                before, call.searching = time.perf_counter(), True
                try:
                    found = self._retried(search, call)
                except _FAILURES:
                    said = True
                    if not call.abandoned:
                        breaker.failed()
                    raise
                finally:
                    call.searching, call.search_s = False, time.perf_counter() - before
            said = True
            if not call.abandoned:
                breaker.succeeded()
        finally:
            if not said:
                breaker.unsaid()
        took = time.perf_counter() - call.began
        number, space = deployment.version, served.version.space
        return [
            Answer(
                [_hit(match, number) for match in matches], number, space, served.arm, embedding.bridged, took,
                embedding.bridge, embedding.recall,
            )
            for matches in found
        ]  # fmt: skip

    def _retried(self, work: Callable[[], T], call: Call) -> T:
        """What does not answer is asked again, while there is time."""
        try:
            return work()
        except UnavailableError:
            if not self._retries:
                raise
            left = float("inf") if call.until is None else call.until - time.perf_counter()
            pause = random.uniform(0, _WAIT_S[0])
            if call.abandoned or left <= pause:
                raise
        time.sleep(pause)
        stop = stop_after_attempt(self._retries)
        again = Retrying(
            retry=retry_if_exception_type(UnavailableError),
            wait=wait_random_exponential(multiplier=2 * _WAIT_S[0], max=_WAIT_S[1]),
            stop=stop if call.until is None else stop | stop_before_delay(max(left - pause, 0.001)),
            reraise=True,
        )
        return again(work)

    def _count(self, call: Call, *, failed: bool) -> None:
        if not call.abandoned:
            arm = call.served.arm if call.served is not None else self._name
            took = time.perf_counter() - call.arm_began
            self.meter.add(arm, took, embed_s=call.embed_s, search_s=call.search_s, failed=failed)


def takes(dataset: str, version: int, share: float, key: str | None) -> bool:
    """Law 2: whether a reader with this key is among the share; without one, chance decides."""
    if key is None:
        return random.random() < share
    digest = hashlib.blake2b(f"{dataset}\0{version}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64


def _hit(match: Match, version: int) -> Hit:
    return Hit(match.document_id, match.score, match.text or "", match.metadata, version, match.id)
