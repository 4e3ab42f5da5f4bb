"""Intervals are closed the cheapest way; what a plan costs is what the service counts, and says of when its prices are."""

from io import StringIO

import pytest
from rich.console import Console

from tests.release.conftest import MakeWorld
from tests.release.world import World, prices
from vector_pipeline.config.targets import PineconePriceConfig
from vector_pipeline.release.costs import Rates, with_endings
from vector_pipeline.release.plan import Plan, Stage, StageKind
from vector_pipeline.report.changes import plan_lines, retried_line
from vector_pipeline.targets.base import Ending
from vector_pipeline.targets.billing import Units, Work, money, reading, units
from vector_pipeline.testing.memory_target import MemoryTarget

UPDATE, FILTER, REWRITE = (
    Ending("update", 1, 100, 100),
    Ending("filter", 10_000, 5, 50_000),
    Ending("rewrite", 250, 100, 2_000, rewrites=True),
)
PRICES = PineconePriceConfig()


def closing(records: int, held: int, *endings: Ending, priced: bool = True) -> Stage:
    limits = MemoryTarget(endings=endings).capabilities
    stage = Stage(StageKind.CLOSE, records, 60 * records, 1, held=held)
    return with_endings([stage], Rates({}, limits), PRICES if priced else None)[0]


def test_money_decides_then_time() -> None:
    small = closing(12_000, 12_000 * 500, UPDATE, FILTER, REWRITE)
    assert (small.ending, small.requests) == ("filter", 2), "5 units a request at the least"
    # Records of 6 KB cost as much by id as by filter: the faster way.
    assert closing(12_000, 12_000 * 6_000, UPDATE, FILTER, REWRITE).ending == "filter"
    assert closing(12_000, 12_000 * 6_000, UPDATE, REWRITE).ending == "update", "what is read is paid for, too"
    assert closing(12_000, 12_000 * 6_000, UPDATE, REWRITE, priced=False).ending == "rewrite"
    assert closing(10, 1_000).ending == "", "a target with one way"


def test_the_stage_is_closed_as_the_plan_says(make_world: MakeWorld) -> None:
    world = make_world(endings=(UPDATE, FILTER), max_batch_records=2, billing="pinecone")
    world.push(world.version(dict.fromkeys(range(9), 0)), prices=PRICES)
    version = world.version(dict.fromkeys(range(2, 9), 0))
    plan = world.plan(version, "versioned", prices=PRICES)
    (close,) = (stage for stage in plan.stages if stage.kind is StageKind.CLOSE)
    assert (close.ending, close.requests, close.records) == ("filter", 1, 2)
    assert close.held > 0
    shown = _shown(plan)
    assert "close records by filter" in shown
    assert "write units, prices of 2026-11" in shown
    world.push(version, "versioned", prices=PRICES, saved=Plan.from_json(plan.to_json()))
    assert world.target.endings == ["filter"]  # type: ignore[attr-defined]


def _shown(plan: Plan) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(plan_lines(plan))
    return console.export_text()


def test_another_way_is_no_other_plan(world: World) -> None:
    """A plan that was saved stays good when another way of closing has become the cheaper one."""
    world.push(world.version({1: 1, 2: 2}))
    plan = world.plan(world.version({1: 1}))
    other = [
        {**stage, "ending": "filter", "held": 9} if stage["kind"] == "close" else stage
        for stage in plan.to_json()["stages"]
    ]
    assert Plan.from_json({**plan.to_json(), "stages": other}).identity() == plan.identity()


@pytest.mark.parametrize(
    ("work", "write", "read"),
    [
        (Work("upsert", 100, 600_000, 1), 600, 0),
        (Work("upsert", 1, 900, 1), 5, 0),
        (Work("upsert", 100, 600_000, 1, held=300_000), 900, 0),
        (Work("close", 100, 6_000, 100, ending="update", held=50_000), 500, 0),
        (Work("close", 100, 6_000, 100, ending="update", held=600_000), 1_200, 0),
        (Work("close", 100, 6_000, 1, ending="filter", held=50_000), 100, 0),
        (Work("close", 100, 1_200_000, 1, ending="rewrite", held=600_000), 1_200, 10),
        (Work("delete", 100, 6_000, 1, held=50_000), 50, 0),
        (Work("drop", requests=1), 5, 0),
        (reading(1_001, 1_000), 0, 11 + 100),
        (Work("import", 100, 600_000, 1, adds=True), 0, 0),
    ],
)
def test_units_are_those_of_the_price_list(work: Work, write: float, read: float) -> None:
    assert units([work], PRICES) == Units(write, read)
    bare = money([work], PRICES) - (work.bytes / 1e9 * (0.33 + 0.25) if work.kind == "import" else 0)
    assert bare == pytest.approx(write * 4e-6 + read * 16e-6)


def test_a_linear_price_counts_no_units() -> None:
    work = [Work("upsert", 1_000_000, 10**9, 100, adds=True), reading(100, 100)]
    assert units(work, prices(per_million_records=2)) is None
    assert money(work, prices(per_million_records=2, per_gb_written=3, per_gb_month=4)) == pytest.approx(9)


def test_what_was_retried_is_one_line() -> None:
    told = {"503": 6, "429": 14, "lost response (read back)": 4}
    assert retried_line(told) == "retried: 14 × 429, 6 × 503, 4 × lost response (read back)"
    assert retried_line({}) == ""
