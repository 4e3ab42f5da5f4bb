"""Imports are weighed against upserts by money and time, and shown beside them."""

from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.imports.test_importing import CONTENT, kinds
from tests.release.world import Store, World
from tests.support.pinecone import pinecone_target
from vector_pipeline.config.targets import PineconePriceConfig
from vector_pipeline.release.loading import WORTH, figures, preferred
from vector_pipeline.release.plan import Cost, Plan, StageKind
from vector_pipeline.report.changes import plan_lines
from vector_pipeline.testing.pinecone_server import PineconeServer

SMALL, LARGE = Cost(seconds=3.0, money=0.0004, currency="USD"), Cost(seconds=11_160.0, money=9.80, currency="USD")


def cost(seconds: float, money: float | None = None) -> Cost:
    return Cost(seconds=seconds, money=money, currency=None if money is None else "USD")


def test_ten_minutes_are_not_waited_for_a_few_records() -> None:
    assert not preferred(cost(600.0, 0.0001), SMALL)


def test_a_large_load_is_cheaper_and_sooner_by_import() -> None:
    by_import = cost(720.0, 1.40)
    assert preferred(by_import, LARGE)
    assert figures(by_import, LARGE) == "import: 12 min, 1.40 USD against upsert: 3.1 h, 9.80 USD"


def test_a_longer_wait_must_save_something() -> None:
    upsert = cost(400.0, 4.0)
    assert preferred(cost(600.0, 4.0 - WORTH), upsert)
    assert not preferred(cost(600.0, 4.0 - WORTH / 2), upsert)
    assert preferred(cost(300.0, 4.0 - WORTH / 2), upsert)


_COSTS = st.builds(cost, st.floats(0, 1e6), st.floats(0, 1e4))


@given(_COSTS, _COSTS)
def test_what_is_dearer_is_never_preferred(by_import: Cost, by_upsert: Cost) -> None:
    assert by_import.money is not None
    assert by_upsert.money is not None
    if by_import.money > by_upsert.money:
        assert not preferred(by_import, by_upsert)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_without_prices_the_faster_way_is_taken(by_import: float, by_upsert: float) -> None:
    assert preferred(cost(by_import), cost(by_upsert)) == (by_import < by_upsert)


def test_a_plan_shows_both_ways_and_takes_the_right_one(world: World) -> None:
    plan = world.plan(world.version(CONTENT), prices=PineconePriceConfig())
    assert kinds(plan) == [StageKind.ENSURE_NAMESPACE, StageKind.UPSERT]
    ways = [one for one in plan.alternatives if one.load]
    assert [one.load for one in ways] == ["upsert", "import"]
    assert ways[1].cost.seconds >= world.target.capabilities.import_s
    assert all("import: 10 min, " in one.why and " against upsert: " in one.why for one in ways)
    console = Console(file=StringIO(), width=200)
    console.print(plan_lines(plan))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "upsert: chosen, preferred: import: 10 min" in text
    assert "import: not chosen: import: 10 min" in text
    assert Plan.from_json(plan.to_json()) == plan


def test_what_is_asked_for_is_done(world: World) -> None:
    version = world.version(CONTENT)
    assert kinds(world.plan(version, load="import")) == [StageKind.IMPORT]
    upserts = [StageKind.ENSURE_NAMESPACE, StageKind.UPSERT]
    assert kinds(world.plan(version, load="upsert")) == upserts


def test_planning_again_gives_the_same_plan(world: World) -> None:
    version = world.version(CONTENT)
    assert world.plan(version, load="import") == world.plan(version, load="import")


def test_a_saved_plan_is_applied_as_it_was_planned(world: World) -> None:
    version = world.version(CONTENT)
    saved = world.plan(version, load="import")
    pushed = world.push(version, saved=saved)
    assert kinds(pushed.plan) == [StageKind.IMPORT]
    assert world.visible(pushed.deployment) == world.wanted(version.number)


def test_a_target_without_a_place_for_files_imports_nothing(store: Store, server: PineconeServer) -> None:
    target = pinecone_target(server)
    world = World(store, target)
    plan = world.plan(world.version(CONTENT), load="import")
    assert kinds(plan) == [StageKind.ENSURE_NAMESPACE, StageKind.UPSERT]
    assert any("imports no files" in note for note in plan.notes)
    target.close()


def test_plans_of_a_read_only_target_look_at_imports(
    world: World, server: PineconeServer, store: Store, tmp_path: Path
) -> None:
    reading = World(
        store,
        pinecone_target(server, read_only=True, import_uri=f"{tmp_path}/imports"),
        world.dataset,
    )
    assert kinds(reading.plan(world.version(CONTENT), load="import")) == [StageKind.IMPORT]
    reading.target.close()


@pytest.mark.parametrize("load", ["auto", "upsert", "import"])
def test_a_version_that_is_there_is_not_loaded_again(world: World, load: str) -> None:
    version = world.version(CONTENT)
    world.push(version, load=load)
    assert world.plan(version, load=load).empty
