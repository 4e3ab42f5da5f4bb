"""A lake and a registry for the tests of one module, and worlds in them."""

from collections.abc import Callable, Iterator

import pytest

from tests.release.world import Store, World
from vector_pipeline.targets.base import Target
from vector_pipeline.testing.memory_target import MemoryTarget

MakeWorld = Callable[..., World]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture
def make_world(store: Store) -> MakeWorld:
    """A dataset of its own in a target; default: in memory, with everything that a target can do."""

    def make(target: Target | None = None, **options: object) -> World:
        return World(store, target or MemoryTarget("local", **options))  # type: ignore[arg-type]

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
