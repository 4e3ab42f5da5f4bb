"""How a reader is: every part that a query needs is asked, for a bounded time."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from vector_pipeline.errors import NotFoundError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.serving.answers import Health, PartHealth
from vector_pipeline.serving.asking import Asker
from vector_pipeline.serving.embedding import Embeddings
from vector_pipeline.serving.following import Follower
from vector_pipeline.serving.resolving import Served
from vector_pipeline.serving.threads import Threads

PATIENCE_S = 3.0
"""How long the parts have to answer, all together."""


def examine(
    parts: Parts, follower: Follower, asker: Asker, embeddings: Embeddings, threads: Threads
) -> Health:  # fmt: skip
    """Health of a reader, within ``PATIENCE_S``. A model that was never looked at may take longer: it is not ready until then."""
    until = time.monotonic() + PATIENCE_S
    followed = follower.followed
    registry = _within(threads.submit(follower.refresh), until)
    live = follower.known
    if live is None:
        nothing = PartHealth(False, "it is not known what to ask")
        return Health(
            False, followed.dataset, followed.name, None, None, followed.name, None, follower.hearing, "closed", registry,
            nothing, nothing,
        )  # fmt: skip
    state = asker.breaker(live.served).state
    asked = threads.submit(lambda: _reach(parts, live.served))
    stands_in = live.previous is not None and state != "closed"
    before = threads.submit(lambda: _reach(parts, live.previous)) if stands_in else None
    embedding = threads.submit(lambda: embeddings.of(live.version))
    target, embedder = _within(asked, until), _within(embedding, until)
    answers = target.ok or (before is not None and _within(before, until).ok)
    age = time.monotonic() - live.asked
    served = live.previous if live.previous is not None and state == "open" else live.served
    route = None if live.route is None else {"version": live.route.version, "share": live.route.share}
    return Health(
        answers and embedder.ok and age < follower.bound_s, followed.dataset, followed.name,
        served.version.number, served.version.space, served.arm, age, follower.hearing, state, registry, target, embedder,
        route,
    )  # fmt: skip


def _reach(parts: Parts, served: Served | None) -> None:
    """``VectorPipelineError`` where the place of a version does not answer, or is not there."""
    assert served is not None
    deployment = served.deployment
    target = parts.target_named(deployment.target, read_only=True)
    if target.describe(deployment.namespace) is None:
        raise NotFoundError(f"{deployment.target} has no {deployment.namespace}", fix="See: vector-pipeline drift")


def _within(asked: "Future[Any]", until: float) -> PartHealth:
    try:
        return _said(lambda: asked.result(max(0.0, until - time.monotonic())))
    except TimeoutError:
        asked.cancel()
        return PartHealth(False, f"no answer within {PATIENCE_S:g} s")


def _said(ask: Callable[[], object]) -> PartHealth:
    try:
        ask()
    except VectorPipelineError as error:
        return PartHealth(False, str(error))
    return PartHealth(True)
