"""What a target charges for work: from counts to units and money. Pure; the planner and reports use it.

Laws
----
1. ``linear`` (``PriceConfig``): records, bytes and requests each at a price, and a month of what is added.
2. ``pinecone`` (``PineconePriceConfig``): write units (WU), read units (RU), files that imports read, and a month of what is added.
   An upsert takes a WU for each KB, at least 5 a request, and one for each KB that it writes over; an update takes one for each KB
   of the record before and after; a delete by id one for each KB; dropping a namespace 5. A fetch takes an RU for 10 records, a
   list one a call, a query one for each GB of its namespace, at least 0.25.
   Source: https://docs.pinecone.io/guides/manage-cost/understanding-cost (November 2026).
3. The same work is charged the same, whether it is planned or done. What is not known is taken to be as small as requests allow.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vector_pipeline.config import PriceConfig, Prices

KB, GB = 1_000, 1_000_000_000
_LEAST_WU = 5
"""Write units of the smallest request."""
_LISTED = 100
"""Ids in one page of a list."""
_FETCHED = 10
"""Records that are fetched for one read unit."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one stage of a plan does to a target."""

    kind: str
    """Of the stage: ``upsert``, ``close``, …; or ``drop``, ``read``."""
    records: int = 0
    bytes: int = 0
    """As they travel."""
    requests: int = 0
    adds: bool = False
    """The bytes stay in the target."""
    ending: str = ""
    """How intervals are closed: see ``Ending``."""
    held: int = 0
    """Bytes that the target holds of what is written over, closed or deleted."""


@dataclass(frozen=True, slots=True)
class Units:
    """What a service that counts units counts."""

    write: float = 0.0
    read: float = 0.0

    def __add__(self, other: "Units") -> "Units":
        return Units(self.write + other.write, self.read + other.read)


def money(work: Iterable[Work], prices: Prices) -> float:
    """In the prices' currency."""
    work = list(work)
    if isinstance(prices, PriceConfig):
        return sum(
            one.records / 1e6 * prices.per_million_records
            + one.bytes / GB * prices.per_gb_written
            + one.requests / 1e6 * prices.per_million_requests
            + (one.bytes / GB * prices.per_gb_month if one.adds else 0.0)
            for one in work
            if one.kind != "read"
        )
    counted = units(work, prices) or Units()
    return (
        counted.write / 1e6 * prices.per_million_write_units
        + counted.read / 1e6 * prices.per_million_read_units
        + sum(one.bytes for one in work if one.kind == "import") / GB * prices.per_gb_imported
        + sum(one.bytes for one in work if one.adds) / GB * prices.per_gb_month
    )


def units(work: Iterable[Work], prices: Prices) -> Units | None:
    """What is counted; None where prices are of no units."""
    return None if isinstance(prices, PriceConfig) else sum((_units(one) for one in work), Units())


def reading(listed: int, fetched: int) -> Work:
    """Looking at records: ids listed, and records fetched."""
    return Work("read", fetched, requests=-(-listed // _LISTED))


def _units(one: Work) -> Units:
    least = _LEAST_WU * one.requests
    match one.kind:
        case "upsert":
            return Units(max(least, one.bytes / KB) + one.held / KB)
        case "derive" | "set-metadata":
            return Units(max(least, (one.bytes + one.held) / KB))
        case "close":
            return _closing(one)
        case "delete":
            return Units(one.held / KB)
        case "drop":
            return Units(_LEAST_WU)
        case "read":
            return Units(0.0, one.requests + one.records / _FETCHED)
    return Units()


def _closing(one: Work) -> Units:
    """A record is before and after as long. Read and written again, it is fetched, upserted, and written over."""
    fetched = one.records / _FETCHED if one.ending == "rewrite" else 0.0
    return Units(max(_LEAST_WU * one.requests, 2 * one.held / KB), fetched)
