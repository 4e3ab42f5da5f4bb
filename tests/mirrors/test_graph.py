"""The asset graph of a dataset with mirrors."""

from tests.mirrors.conftest import World
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import STAGING_INDEX, space_key


def checks(world: World) -> set[str]:
    defs = project_definitions(world.config)
    key = space_key("handbook", "tiny", STAGING_INDEX)
    found = defs.resolve_asset_graph().asset_check_keys
    return {one.name for one in found if one.asset_key == key}


def test_mirrors_have_a_check_of_their_own(world: World) -> None:
    both = checks(world)
    assert both >= {"expectations_of_version", "coverage", "canary_retrieval", "mirrors"}
    world.configure("local")
    assert checks(world) == both - {"mirrors"}
