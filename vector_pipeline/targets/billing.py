"""What a target charges for work: from counts to money. Pure; the planner and reports use it.

Laws
----
1. ``linear``: records, bytes and requests each at a price, and a month of what is added.
2. The same work is charged the same, whether it is planned or done.
"""

from dataclasses import dataclass

from vector_pipeline.config import PriceConfig, Prices


@dataclass(frozen=True, slots=True)
class Work:
    """What one stage of a plan does to a target."""

    kind: str
    """Of the stage: ``upsert``, ``close``, …"""
    records: int = 0
    bytes: int = 0
    """As they travel."""
    requests: int = 0
    adds: bool = False
    """The bytes stay in the target."""
    ending: str = ""
    """How intervals are closed: see ``Ending``."""


def money(work: list[Work], prices: Prices) -> float:
    """In the prices' currency."""
    assert isinstance(prices, PriceConfig)
    return sum(
        one.records / 1e6 * prices.per_million_records
        + one.bytes / 1e9 * prices.per_gb_written
        + one.requests / 1e6 * prices.per_million_requests
        + (one.bytes / 1e9 * prices.per_gb_month if one.adds else 0.0)
        for one in work
    )
