"""Routes and breakers of a dataset that is served from two targets: each reader stays at its own."""

import pytest

from tests.mirrors.conftest import World, make_world, world  # noqa: F401 (fixtures)
from vector_pipeline.errors import RefusedError, VectorPipelineError
from vector_pipeline.serving import open_index

PLACES = (None, "local", "other")


@pytest.mark.slow
def test_readers_are_routed_at_every_place_or_nowhere(world: World) -> None:  # noqa: F811
    first = world.release()
    second = world.build()
    world.project.push("handbook", target="local")
    with pytest.raises(RefusedError, match="never pushed to other"):
        world.project.route("handbook", second, 1.0, by="test")
    world.project.push("handbook")
    with pytest.raises(RefusedError, match="has not passed"):
        world.project.route("handbook", second, 1.0, by="test")
    world.verify()
    world.project.route("handbook", second, 1.0, by="test")
    for target in PLACES:
        with open_index("handbook", project=world.config, target=target) as index:
            answer = index.search("About page 1", top_k=1)
            assert (answer.version, answer.arm) == (second, "route")
            assert index._follower.current().routed.deployment.target == (target or "local")  # type: ignore[union-attr]
    world.project.promote("handbook", by="test")
    assert world.project.routed("handbook") is None
    world.project.rollback("handbook", by="test")
    assert world.serves() == {"local": first, "other": first}


@pytest.mark.slow
def test_each_place_has_its_own_version_before(world: World) -> None:  # noqa: F811
    first = world.release()
    world.stage(strategy="blue-green")
    world.project.promote("handbook", by="test")
    for target in PLACES:
        with open_index("handbook", project=world.config, target=target, retries=0) as index:
            previous = index._follower.current().previous
            assert previous is not None
            assert (previous.deployment.target, previous.version.number) == (target or "local", first)
            namespace = index._follower.current().served.deployment.namespace
            there = (
                world.config.parent / {"other": "other_index"}.get(target or "", ".vector_pipeline/index") / namespace
            )
            away = there.rename(there.with_name("away"))
            for _ in range(2):
                with pytest.raises(VectorPipelineError):
                    index.search("About page 1")
            answer = index.search("About page 1", top_k=1)
            assert (answer.version, answer.arm, answer.hits[0].document) == (first, "previous", "page1.md")
            away.rename(there)
