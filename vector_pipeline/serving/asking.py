"""One call of a reader: which version answers, and which one instead when it does not.

Laws
----
1. One call sees one version in one space: what was resolved when it began it keeps to its end, whatever moves meanwhile. Only where
   that version's place does not answer is the whole call begun again, with another one, and the answer says so.
2. A route costs no answer: where the routed version cannot answer within ``ROUTE_TIME`` of the call's time, production does. The
   failure is counted against the route, wherever it was: also while the query was embedded.
3. Of production, places that fail again and again are not asked for a while: the version before answers, if it is elsewhere. Only
   the target's own failures count: a wrong query, a registry or an embedder that does not answer open no breaker.
4. Every attempt of an arm is counted once, by its arm. A wrong question is no failure of whoever was asked, and what its caller
   cancelled counts for nothing.
5. A move into another space is followed when its model is loaded (``warming``), or at once where what is known does not answer.
"""

import time

from vector_pipeline.errors import CorruptError, InputError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.serving.again import retried
from vector_pipeline.serving.answers import ROUTE_ARM, Answer, Hit
from vector_pipeline.serving.arms import Arms, Failure, out_of_time, told
from vector_pipeline.serving.breaker import Turn
from vector_pipeline.serving.calls import Call
from vector_pipeline.serving.embedding import Embeddings
from vector_pipeline.serving.following import Follower
from vector_pipeline.serving.metering import Meter
from vector_pipeline.serving.resolving import Live, Served
from vector_pipeline.serving.spans import Attributes, Spans
from vector_pipeline.serving.threads import Threads, closed
from vector_pipeline.serving.warming import Warming
from vector_pipeline.targets.base import Match
from vector_pipeline.targets.stopping import CALL

ROUTE_TIME = 0.5
"""Share of what is left of a call's time that a routed version has."""
_THREADS = 64
_FAILURES = (UnavailableError, NotFoundError, CorruptError)
"""Of a target: it does not answer, has lost the namespace, or what is in it cannot be read."""


class Asker:
    """Asks what an alias points at. Thread-safe."""

    def __init__(self, parts: Parts, follower: Follower, name: str, embeddings: Embeddings, retries: int) -> None:
        self._parts = parts
        self._follower = follower
        self._name = name
        self._embeddings = embeddings
        self._retries = retries
        self._spans = Spans()
        self._aside = Threads(_THREADS, "route")
        self.arms = Arms()
        self._warming = Warming(
            embeddings.model,
            lambda version: embeddings.of(version).embedder,
            lambda live: self.arms.breaker(live.served).state == "closed",
        )
        follower.then(self._warming.heard)
        self.meter = Meter()

    def answers(self, call: Call) -> list[Answer]:
        """One answer for each text."""
        call.arm_began = call.began
        about: Attributes = {
            "vector_pipeline.dataset": self._follower.followed.dataset, "vector_pipeline.alias": self._name,
            "vector_pipeline.top_k": call.top_k,
        }  # fmt: skip
        with self._spans.span("vector_pipeline.query", about) as said:
            try:
                with self._spans.span("vector_pipeline.alias", {}):
                    known = self._follower.current()
                    live = self._warming.taken(known)
            except VectorPipelineError:
                self._count(call, failed=True)
                raise
            found = self._followed(call, live, known, said)
            said["vector_pipeline.hits"] = sum(len(one.hits) for one in found)
            return found

    def served(self, live: Live) -> Live:
        """Law 5: what the next query searches, of what the registry says. Asks nobody, and changes nothing."""
        return self._warming.served(live)

    def give_up(self, call: Call) -> None:
        """Time is over: the call counts as failed here, whatever becomes of it on its thread."""
        self._leave(call, timed_out=True)
        arm = call.part or call
        name = call.served.arm if call.served is not None else self._name
        self.meter.add(name, arm.seconds, embed_s=arm.embed_s, search_s=arm.search_s, failed=True)

    def cancel(self, call: Call) -> None:
        """Its caller went away: nothing is counted, and what is being done for it is stopped."""
        self._leave(call, timed_out=False)

    def close(self, within_s: float) -> None:
        """Ask no routed version any more, and load no model."""
        self._aside.close(within_s)
        self._warming.close(within_s)

    def _leave(self, call: Call, *, timed_out: bool) -> None:
        served, arm = call.served, call.part or call
        ended = arm.abandoned
        call.leave()
        turn = call.turn
        if served is None or turn is None or ended:
            return
        breaker = self.arms.breaker(served)
        if not timed_out or (arm.search_began is None and served.arm != ROUTE_ARM):
            breaker.unsaid(turn)
        else:
            breaker.timed_out(turn, time.perf_counter() - (arm.search_began or arm.arm_began))

    def _followed(self, call: Call, live: Live, known: Live, said: Attributes) -> list[Answer]:
        """Law 5. ``known``: what the registry says."""
        try:
            return self._asked(call, live, said)
        except InputError:
            raise
        except VectorPipelineError:
            if live.served is known.served or call.abandoned:
                raise
            self._warming.given_up(live)
            return self._asked(call, self.served(known), said)

    def _asked(self, call: Call, live: Live, said: Attributes) -> list[Answer]:
        failures: list[Failure] = []
        for served, turn in self.arms.sides(live, call.key):
            call.turn_to(served, turn)
            # Said before it is asked: of a query that fails, too, it is known who was asked.
            said["vector_pipeline.arm"], said["vector_pipeline.space"] = served.arm, served.version.space
            said["vector_pipeline.version"] = served.deployment.version
            try:
                found = self._routed(call, turn) if served.arm == ROUTE_ARM else self._ask(call, served, turn)
            except VectorPipelineError as error:
                wrong = isinstance(error, InputError)
                self._count(call, failed=not wrong)
                if wrong:
                    raise
                self._require_wanted(call)
                failures.append((served, error))
                # Law 3: what opens the breaker is answered already by what stands in.
                if not self.arms.others_may(served, live):
                    break
            else:
                self._count(call, failed=False)
                return found
        raise told(live, failures)

    def _routed(self, call: Call, turn: Turn) -> list[Answer]:
        """Law 2: without a limit on the call there is none on its route."""
        served = call.served
        assert served is not None
        if call.until is None:
            return self._ask(call, served, turn)
        allowed = max(0.0, call.left_s * ROUTE_TIME)
        part = call.apart(time.perf_counter() + allowed)
        if call.abandoned:
            part.leave()
        try:
            future = self._aside.submit(lambda: self._ask(part, served, turn))
        except UnavailableError as error:  # Its own calls are what hangs.
            self.arms.failed(served, turn, error)
            raise
        try:
            return future.result(allowed)
        except TimeoutError:
            self._aside.leave(future)
            given_up = part.abandoned
            part.leave()
            late = out_of_time(served, allowed)
            if not given_up:
                self.arms.failed(served, turn, late)
            raise late from None
        finally:
            call.embed_s, call.search_s, call.part = part.embed_s, part.search_s, None

    def _ask(self, call: Call, served: Served, turn: Turn) -> list[Answer]:
        """Ask one version, and tell its breaker how that ended, but where whoever gave up did."""
        breaker, token, ended = self.arms.breaker(served), CALL.set(call.stop), False
        try:
            found = self._searched(call, served)
            ended = True
            if not call.abandoned:
                breaker.succeeded(turn)
            return found
        except VectorPipelineError as error:
            own = isinstance(error, _FAILURES) and call.search_began is not None
            if call.abandoned:
                ended = True
            elif not isinstance(error, InputError) and (own or served.arm == ROUTE_ARM):
                ended = True
                self.arms.failed(served, turn, error)
            raise
        finally:
            CALL.reset(token)
            if not ended:
                breaker.unsaid(turn)

    def _searched(self, call: Call, served: Served) -> list[Answer]:
        deployment = served.deployment
        self._require_wanted(call)
        target = self._parts.target_named(deployment.target, read_only=True)
        able = target.capabilities
        if not 1 <= call.top_k <= able.max_top_k:
            raise InputError(f"top_k is {call.top_k}", fix=f"Ask for 1 to {able.max_top_k} hits")
        embedding = self._embeddings.of(served.version)
        with self._spans.span("vector_pipeline.embed", {"vector_pipeline.texts": len(call.texts)}):
            before = time.perf_counter()
            try:
                vectors = retried(lambda: embedding.vectors(call.texts), call, self._retries)
            finally:
                call.embed_s = time.perf_counter() - before

        def search() -> list[list[Match]]:
            # An index that was asked for in the configuration is used; else search is exact.
            return target.query(
                deployment.namespace, vectors, top_k=call.top_k, version=deployment.version, filter=call.filter,
                exact=not able.approximate,
            )  # fmt: skip

        self._require_wanted(call)
        with self._spans.span("vector_pipeline.search", {"vector_pipeline.target": deployment.target}):
            before = call.search_began = time.perf_counter()
            try:
                found = retried(search, call, self._retries)
            finally:
                call.search_s = time.perf_counter() - before
        took = time.perf_counter() - call.began
        number, space = deployment.version, served.version.space
        return [
            Answer(
                [_hit(match, number) for match in matches], number, space, served.arm, embedding.bridged, took,
                embedding.bridge, embedding.recall,
            )
            for matches in found
        ]  # fmt: skip

    def _require_wanted(self, call: Call) -> None:
        """Nothing is opened for a call that nobody waits for: the index may be closed already."""
        if call.abandoned:
            raise closed() if self._follower.closed else UnavailableError("nobody waits for it", kind="timeout")

    def _count(self, call: Call, *, failed: bool) -> None:
        if not call.abandoned:
            arm = call.served.arm if call.served is not None else self._name
            self.meter.add(arm, call.seconds, embed_s=call.embed_s, search_s=call.search_s, failed=failed)


def _hit(match: Match, version: int) -> Hit:
    return Hit(match.document_id, match.score, match.text or "", match.metadata, version, match.id)
