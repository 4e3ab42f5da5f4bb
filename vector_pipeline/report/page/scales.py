"""Numbers on axes and in cells: ticks at round values, figures that a person reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)
_SMALL = 0.001


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels, linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = 0.5 if span == 0 else (value - self.low) / span
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values within [low, high], about so many."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, about)
    if not 0 < rough < math.inf:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = 3 - math.floor(math.log10(step))
    # Far from nought a step may be less than numbers can tell: then several are one.
    return list(dict.fromkeys(round(n * step, places) for n in range(first, last + 1)))


def figure(value: float | None, step: float = 0.0) -> str:
    """``1,204``, ``0.731``, ``2.1e-05``; a dash for none. ``step``: values so far apart must read differently."""
    if value is None:
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    digits = 2 if abs(value) < _SMALL else 3
    if step > 0:
        # Two figures of the step: one of 0.25 has two.
        digits = max(digits, min(17, math.floor(math.log10(abs(value))) - math.floor(math.log10(step)) + 2))
    if abs(value) >= 1000:
        whole = len(str(int(abs(value))))
        shown = f"{value:,.{max(0, digits - whole)}f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    return f"{value:.{digits}g}"


def percent(share: float) -> str:
    """``97.5%``; whole ones without a point."""
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def middle(edges: Sequence[float], counts: Sequence[float]) -> float | None:
    """Median of what a histogram counted, to within a bin; None for nothing."""
    total = sum(counts)
    seen = 0.0
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        if count and seen + count >= total / 2:
            return low + (high - low) * (total / 2 - seen) / count
        seen += count
    return None


def width_of(text: str, size: float = 11.0) -> float:
    """About how many pixels a text takes: enough to place a legend."""
    return sum(0.95 if ord(letter) > 0x2E7F else 0.56 for letter in text) * size


def shortened(text: str, most: float, size: float = 11.0) -> str:
    """A text that takes at most so many pixels; of a path the end says more."""
    if width_of(text, size) <= most:
        return text
    at_end = "/" in text
    room, kept = most - width_of("…", size), ""
    for letter in reversed(text) if at_end else text:
        if width_of(kept + letter, size) > room:
            break
        kept += letter
    return f"…{kept[::-1]}" if at_end else f"{kept}…"
