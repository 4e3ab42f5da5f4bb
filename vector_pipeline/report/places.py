"""Several targets of one dataset as text: what a push takes at each, and where each stands."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from vector_pipeline.release.costs import duration
from vector_pipeline.release.plan import Cost, Plan
from vector_pipeline.release.registry import Alias
from vector_pipeline.report.tables import table
from vector_pipeline.report.units import human_bytes, moment

_TAKES = ("target", "strategy", "records", "vectors", "size", "requests", "time", "cost")


def plans_table(plans: Sequence[Plan]) -> Table:
    """What each place takes, and all together. Places are written one after the other: their times add up."""
    rows = [(one.target, str(one.strategy) if not one.empty else "nothing to do", *_takes(one.cost)) for one in plans]
    made = table(_TAKES, [*rows, ("total", "", *_takes(_total([one.cost for one in plans])))], right=_TAKES[2:])
    made.columns[0].header = "Target"
    return made


def _takes(cost: Cost) -> tuple[str, ...]:
    money = "" if cost.money is None else f"{cost.money:,.2f} {cost.currency}"
    return (
        f"{cost.records:,}", f"{cost.vectors:,}", human_bytes(cost.bytes), f"{cost.requests:,}", duration(cost.seconds),
        money,
    )  # fmt: skip


def _total(costs: Sequence[Cost]) -> Cost:
    """Money only where all of it is in one currency; a place without prices costs nothing that is known."""
    priced = [one for one in costs if one.money is not None]
    one_currency = len({one.currency for one in priced}) == 1
    return Cost(
        sum(one.records for one in costs), sum(one.vectors for one in costs), sum(one.bytes for one in costs),
        sum(one.requests for one in costs), sum(one.seconds for one in costs),
        sum(one.money or 0 for one in priced) if one_currency else None, priced[0].currency if one_currency else None,
    )  # fmt: skip


def places_table(places: Sequence[Mapping[str, Any]]) -> Table:
    """Where each place stands: ``target``, ``staging``, ``production`` (aliases or None), ``index`` and ``note``, by name."""
    return table(
        ("target", "staging", "production", "index", ""),
        (
            (one["target"], _points(one["staging"]), _points(one["production"]), one["index"], Text(one["note"], style="yellow"))
            for one in places
        ),
    )  # fmt: skip


def _points(alias: Alias | None) -> str:
    return f"v{alias.deployment.version}, {moment(alias.moved_at)} UTC" if alias is not None else ""


def named(targets: Sequence[str]) -> str:
    """``local``, ``local and other``, ``a, b and c``."""
    return " and ".join([", ".join(targets[:-1]), targets[-1]] if len(targets) > 1 else list(targets))
