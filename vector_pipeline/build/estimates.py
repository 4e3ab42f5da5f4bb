"""Totals of a whole from a sample of it, with an interval. Pure; no I/O.

Laws
----
1. What was looked at whole is exact: its interval is its value.
2. A total is estimated by regression on a size that is known of every member (``expand``): long documents have many chunks, and how
   long all of them are is known. The interval is the normal one of 95%, over residuals of which each is taken from a line that does
   not know it, so that one document that is unlike all others widens it.
3. Nothing that was seen is left out of an interval, and none is narrower than what a sample can say of what it has not seen: of
   n members that are alike, up to 3/n of the others may be otherwise.
4. Parts of one sample err together: their intervals add up, and do not cancel.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_Z = 1.959964
_UNSEEN = 3.0
"""Law 3: of n that are alike, with 95% fewer than this many n-ths of all are otherwise."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and where it lies: with 95% between ``low`` and ``high``."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> "Estimate":
        return cls(float(value), float(value), float(value))

    @property
    def exact(self) -> bool:
        return self.low == self.high

    @property
    def count(self) -> int:
        """The value as a whole number."""
        return round(self.value)

    @property
    def spread(self) -> float:
        """The wider half of the interval, as a share of the value; infinite around nothing."""
        half = max(self.high - self.value, self.value - self.low)
        return half / self.value if self.value else (float("inf") if half else 0.0)

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> "Estimate":
        """Of a price or a size that is known; ``factor`` is not negative."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def expand(seen: Numbers, sizes: Numbers, members: int, size: float, *, whole: float | None = None) -> Estimate:
    """Total over ``members`` of which float64[n] ``seen`` was measured; ``sizes`` float64[n] are theirs, ``size`` that of all.

    ``whole``: what the total would be were every member to count fully, where ``seen`` is only a part of that (law 3).
    """
    n, sum_seen = len(seen), float(seen.sum())
    if n >= members:
        return Estimate.exactly(sum_seen)
    if not n:
        return Estimate(0.0, 0.0, float("inf"))
    mean, centred = float(sizes.mean()), sizes - sizes.mean()
    spread = float(centred @ centred)
    slope = float(centred @ seen) / spread if spread and n > 2 else 0.0
    off = size / members - mean
    value = max(members * (sum_seen / n + slope * off), sum_seen)
    leverage = 1 / n + (centred**2 / spread if slope else 0.0)
    residuals = (seen - sum_seen / n - slope * centred) / np.maximum(1 - leverage, 1e-3)
    free = max(n - (2 if slope else 1), 1)
    variance = float(residuals @ residuals) / free * (1 / n + (off**2 / spread if slope else 0.0)) * (1 - n / members)
    unseen = _UNSEEN / n * (1 - n / members) * (value if whole is None else whole)
    half = max(members * _quantile(free) * variance**0.5, unseen)
    return Estimate(value, max(value - half, sum_seen), value + half)


def _quantile(free: int) -> float:
    """Student's for 97.5%, by Cornish and Fisher's expansion: within 1% from 4 degrees of freedom on."""
    return _Z + (_Z**3 + _Z) / (4 * free) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * free**2)
