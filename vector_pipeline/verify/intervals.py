"""Wilson's score interval: how far the true pass rate may be from the one that was seen.

Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). It stays
in [0, 1] and keeps its coverage for the few dozen canaries that a person writes by hand; the normal interval does not.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from vector_pipeline.errors import InputError

Z_95 = 1.959963984540054
"""Standard normal quantile of 97.5%."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share that was counted, with its interval. Shares are 0 to 1."""

    passed: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """``passed / total``; 0 for an empty total."""
        return self.passed / self.total if self.total else 0.0

    def to_json(self) -> dict[str, float | int]:
        return {"passed": self.passed, "total": self.total, "rate": self.share, "low": self.low, "high": self.high}


def two_sided(alpha: float) -> float:
    """Standard normal quantile of an interval that misses with probability ``alpha``; each of several tests has its share of it."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def wilson(passed: int, total: int, z: float = Z_95) -> Rate:
    """Interval of ``passed`` out of ``total`` trials; all of [0, 1] where nothing was tried."""
    if not 0 <= passed <= total:
        raise InputError(f"{passed} of {total} is no share")
    if total == 0:
        return Rate(0, 0, 0.0, 1.0)
    share, square = passed / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    # At the ends the formula gives exactly 0 and 1; rounding must not push it beyond, nor inside the share itself.
    low = 0.0 if passed == 0 else min(max(0.0, middle - half), share)
    high = 1.0 if passed == total else max(min(1.0, middle + half), share)
    return Rate(passed, total, low, high)
