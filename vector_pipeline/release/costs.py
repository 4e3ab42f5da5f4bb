"""What executing stages takes: bytes, requests, money, seconds. Estimates for people and for choosing; never preconditions.

Laws
----
1. A request is full when it has as many records or as many bytes as the target takes: whichever is reached first.
2. Money is what the price table says: writes, bytes, requests, and one month of what a plan adds to the target.
3. Seconds come from what the newest pushes to the target measured, where they wrote enough; else from its declared rates. Those are
   of whole records: what carries no vector is taken to be ``LIGHT`` times as fast.
4. Where a target closes intervals in several ways, the one that costs least is taken, then the fastest: of its own declared rates.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vector_pipeline.config import Prices
from vector_pipeline.release.observed import Read
from vector_pipeline.release.plan import FILLING, WRITING, Cost, Stage, StageKind
from vector_pipeline.release.registry import Registry
from vector_pipeline.targets.base import Capabilities, NamespaceState, Target
from vector_pipeline.targets.billing import Work, reading, units
from vector_pipeline.targets.billing import money as charged

ID_BYTES = 60
"""Bytes that one id takes on the way."""
ENOUGH = 1_000
"""Records that must have been written before their rate is believed."""
LIGHT = 4.0
"""How much faster than whole records those without vectors, and ids, are taken to be where nothing was measured."""
_ADDING = FILLING | {StageKind.DERIVE}


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a target writes, by kind of stage."""

    records_per_s: dict[StageKind, float]
    """Measured; a kind that is missing was not."""
    limits: Capabilities
    parallel: int = 1

    def seconds(self, stage: Stage) -> float:
        """Expected time of one stage."""
        if stage.kind is StageKind.IMPORT:
            return self.limits.import_s + stage.bytes / self.limits.import_bytes_per_s
        way = next((one for one in self.limits.endings if one.name == stage.ending), None)
        if way is not None:
            return max(stage.records / way.records_per_s, stage.requests / way.requests_per_s)
        measured = self.records_per_s.get(stage.kind)
        if measured:
            return stage.records / measured
        waiting = stage.requests * self.limits.request_s / self.parallel
        rate = self.limits.records_per_s * (1.0 if stage.kind is StageKind.UPSERT else LIGHT)
        return waiting + (stage.records / rate if stage.kind in WRITING else 0.0)


def measured(registry: Registry, target: Target, environment: str, *, parallel: int = 1) -> Rates:
    """Rates of a target as its newest finished pushes show them."""
    found: dict[StageKind, float] = {}
    for kind in (StageKind.UPSERT, StageKind.DERIVE, StageKind.CLOSE, StageKind.DELETE):
        seen = registry.throughput(target.name, environment, step=kind.value)
        if seen is not None and seen.records >= ENOUGH and seen.seconds > 0:
            found[kind] = seen.records / seen.seconds
    return Rates(found, target.capabilities, max(1, parallel))


def requests(records: int, size: int, limits: Capabilities) -> int:
    """Law 1."""
    return max(_ceil(records, limits.max_batch_records), _ceil(size, limits.max_batch_bytes))


def upserting(records: int, payload: int, dimension: int, limits: Capabilities, held: int = 0) -> Stage:
    """Whole records. ``payload``: bytes of their texts and metadata; ``held``: of what they are written over."""
    size = payload + records * (4 * dimension + limits.record_overhead)
    return Stage(StageKind.UPSERT, records, size, requests(records, size, limits), held=held)


def sending(kind: StageKind, records: int, payload: int, limits: Capabilities, held: int = 0) -> Stage:
    """Records without vectors (derive, set metadata), or ids alone (close, delete: ``payload`` 0). ``held``: theirs."""
    size = payload + records * ID_BYTES
    return Stage(kind, records, size, requests(records, size, limits), held=held)


def record_bytes(state: NamespaceState | None) -> float:
    """Of one record as the target holds it, on average; 0 where that is not known."""
    return state.bytes / state.records if state is not None and state.records else 0.0


def with_endings(stages: Iterable[Stage], rates: Rates, prices: Prices | None) -> tuple[Stage, ...]:
    """Law 4."""
    return tuple(_best_ending(one, rates, prices) if one.kind is StageKind.CLOSE else one for one in stages)


def _best_ending(stage: Stage, rates: Rates, prices: Prices | None) -> Stage:
    ways = [
        replace(
            stage, ending=way.name, requests=_ceil(stage.records, way.records_per_request),
            bytes=2 * stage.held if way.rewrites else stage.bytes,
        )
        for way in rates.limits.endings
    ]  # fmt: skip
    return min(ways, key=lambda one: (cost_of([one], rates, prices).money or 0.0, rates.seconds(one)), default=stage)


def cost_of(stages: Iterable[Stage], rates: Rates, prices: Prices | None) -> Cost:
    """What a list of stages takes together."""
    stages = list(stages)
    writing = [stage for stage in stages if stage.kind in WRITING]
    records = sum(stage.records for stage in writing)
    size = sum(stage.bytes for stage in writing)
    asked = sum(stage.requests for stage in writing)
    work = [_work(stage) for stage in writing]
    counted = units(work, prices) if prices is not None else None
    return Cost(
        records=records,
        vectors=sum(stage.records for stage in writing if stage.kind in FILLING),
        bytes=size,
        requests=asked,
        seconds=sum(rates.seconds(stage) for stage in stages),
        money=charged(work, prices) if prices is not None else None,
        currency=prices.currency if prices is not None else None,
        write_units=counted.write if counted is not None else None,
        read_units=counted.read if counted is not None else None,
        as_of=getattr(prices, "as_of", ""),
    )


def _work(stage: Stage) -> Work:
    return Work(stage.kind, stage.records, stage.bytes, stage.requests, stage.kind in _ADDING, stage.ending, stage.held)


def timed(stages: Iterable[Stage], rates: Rates) -> tuple[Stage, ...]:
    """Stages with their expected time."""
    return tuple(replace(stage, seconds=round(rates.seconds(stage), 3)) for stage in stages)


def weight(stages: Iterable[Stage], rates: Rates, prices: Prices | None) -> float:
    """What strategies are compared by: money, or seconds in bulk. Requests count by the share that they are full.

    Else a few records would weigh as much as thousands, and a small dataset would begin a line with every edit.
    """
    stages = list(stages)
    cost = cost_of(stages, rates, prices)
    if cost.money is not None:
        return cost.money
    limits = rates.limits
    full = [
        max(stage.records / limits.max_batch_records, stage.bytes / limits.max_batch_bytes)
        if stage.kind not in rates.records_per_s
        else 0.0
        for stage in stages
    ]
    return sum(
        rates.seconds(replace(stage, requests=0)) + share * limits.request_s / rates.parallel
        for stage, share in zip(stages, full, strict=True)
    )


def figures(cost: Cost) -> str:
    """``1,204 records, 2.1 MB, 0.4 s``, with money where there is a price."""
    money = f", {said(cost)}" if cost.money is not None else ""
    return f"{cost.records:,} records, {cost.bytes / 1e6:,.1f} MB, {duration(cost.seconds)}{money}"


def said(cost: Cost) -> str:
    """The figure that strategies are compared by: ``12.40 USD``, or ``3.2 s``."""
    if cost.money is not None:
        return _amount(cost.money, cost.currency)
    return duration(cost.seconds)


def _amount(money: float, currency: str | None) -> str:
    return f"{money:,.2f} {currency}" if money >= 0.005 else f"{money:.2g} {currency}"


def said_of_prices(cost: Cost) -> str:
    """``1,204 write units, prices of 2026-11``; empty where nothing is known of either."""
    parts = [
        f"{count:,.0f} {name} units"
        for name, count in (("write", cost.write_units), ("read", cost.read_units))
        if count is not None and count >= 0.5
    ]
    return ", ".join([*parts, *([f"prices of {cost.as_of}"] if cost.as_of else [])])


def said_of_reading(read: Read, prices: Prices | None) -> tuple[str, ...]:
    """What looking took, where marks were not remembered."""
    if not read.fetched:
        return ()
    work = [reading(read.listed, read.fetched)]
    counted = units(work, prices) if prices is not None else None
    took = ""
    if counted is not None and prices is not None:
        took = f" ({counted.read:,.0f} read units, {_amount(charged(work, prices), prices.currency)})"
    return (f"to plan this, {read.fetched:,} records were fetched{took}: what they are was not remembered",)


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``3 min``, ``2.5 h``."""
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _ceil(amount: int, unit: int) -> int:
    return -(-amount // unit)
