"""A route costs no answer, wherever it fails; and nobody is routed to what was not judged."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.conftest import edited
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Version
from vector_pipeline.serving import Index, open_index
from vector_pipeline.serving.breaker import FAILURES
from vector_pipeline.serving.embedding import Embeddings, QueryEmbedding


class Lame:
    """How queries for version 2 are embedded: not at all, or not before it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.held: threading.Event | None = None
        vectors, of = QueryEmbedding.vectors, Embeddings.of
        lame: set[int] = set()

        def found(embeddings: Embeddings, version: Version) -> QueryEmbedding:
            embedding = of(embeddings, version)
            if version.number == 2:
                lame.add(id(embedding))
            return embedding

        def embedded(embedding: QueryEmbedding, texts: Any) -> Any:
            if id(embedding) in lame:
                self.asked += 1
                if self.held is None:
                    raise UnavailableError("the model does not answer")
                self.held.wait(60)
            return vectors(embedding, texts)

        monkeypatch.setattr(Embeddings, "of", found)
        monkeypatch.setattr(QueryEmbedding, "vectors", embedded)


@pytest.fixture
def lame(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lame]:
    made = Lame(monkeypatch)
    yield made
    if made.held is not None:
        made.held.set()


def arms(index: Index, times: int) -> list[str]:
    return [index.search("about page 1", top_k=1).arm for _ in range(times)]


@pytest.mark.parametrize("timeout_s", [30.0, None])
def test_what_cannot_embed_is_the_routes_failure(released: Project, lame: Lame, timeout_s: float | None) -> None:
    released.route("handbook", 2, 1.0, by="test")
    with open_index("handbook", project=released.base, retries=0, timeout_s=timeout_s) as index:
        assert set(arms(index, FAILURES + 3)) == {"production"}
        assert lame.asked == FAILURES
        counted = index.metrics().arms
        assert (counted["route"].count, counted["route"].errors) == (FAILURES, FAILURES)
        assert (counted["production"].count, counted["production"].errors) == (FAILURES + 3, 0)
        assert index.health().breaker == "closed"


@pytest.mark.slow
def test_what_hangs_while_it_embeds_is_the_routes_failure(released: Project, lame: Lame) -> None:
    released.route("handbook", 2, 1.0, by="test")
    lame.held = threading.Event()
    with open_index("handbook", project=released.base, timeout_s=4.0) as index:
        assert set(arms(index, FAILURES + 1)) == {"production"}
        assert lame.asked == FAILURES
        counted = index.metrics().arms
        assert (counted["route"].count, counted["route"].errors) == (FAILURES, FAILURES)
        assert counted["production"].errors == 0
        lame.held.set()


@pytest.mark.slow
def test_in_one_namespace_a_route_does_not_open_productions_breaker(released: Project, lame: Lame) -> None:
    released.promote("handbook", by="test")
    third = edited(released, 903, strategy="versioned", promote=False)
    released.route("handbook", third, 1.0, by="test")
    with open_index("handbook", project=released.base, retries=0) as index:
        live = index._follower.current()
        assert live.routed is not None
        assert live.routed.place == live.served.place
        assert index._asker.arms.breaker(live.routed) is not index._asker.arms.breaker(live.served)


def test_readers_get_the_deployment_that_was_judged_and_no_other(released: Project) -> None:
    route = released.route("handbook", 2, 1.0, by="test")
    judged = released.deployment_of(released.version("handbook", 2))
    assert route.deployments == (judged.id,)
    # The same version again, elsewhere: newer, whole, and no gate was asked of it.
    registry = released.registry()
    other = registry.begin_deployment(
        dataset="handbook", environment="dev", target="local", namespace="unjudged", version=2, space=judged.space,
        fingerprint=judged.fingerprint, records=judged.records,
    )  # fmt: skip
    registry.finish_deployment(other.id, judged.status, judged.digest)
    with open_index("handbook", project=released.base, max_staleness_s=0) as index:
        assert index.search("about page 1").arm == "route"
        assert index._follower.current().routed.deployment.id == judged.id  # type: ignore[union-attr]
        # It is being written again: not whole.
        registry.begin_deployment(
            dataset="handbook", environment="dev", target="local", namespace=judged.namespace, version=2, space=judged.space,
            fingerprint=judged.fingerprint, records=judged.records,
        )  # fmt: skip
        assert index.search("about page 1").arm == "production"
        # It is whole again, for those who read on as for those who come.
        registry.finish_deployment(judged.id, judged.status, judged.digest)
        assert index.search("about page 1").arm == "route"


@pytest.mark.slow
def test_another_target_in_the_configuration_moves_no_readers(released: Project) -> None:
    released.route("handbook", 2, 1.0, by="test")
    released.unroute("handbook", by="test")
    config = released.base / "vector_pipeline.yaml"
    text = config.read_text(encoding="utf-8").replace("target: local", "target: other")
    two = "environments: {dev: {targets: {local: {}, other: {path: other_index}}}}\n"
    config.write_text(text + two, encoding="utf-8")
    with Project.load(config) as changed:
        changed.push("handbook", version=2)
        changed.verify("handbook", version=2)
        # Judged in other; production, and so its readers, are in local.
        with pytest.raises(RefusedError, match="readers of handbook read local"):
            changed.route("handbook", 2, 1.0, by="test")
