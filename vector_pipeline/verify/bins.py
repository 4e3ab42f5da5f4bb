"""Bins of the histograms that gates leave. No I/O.

Laws
----
1. A share of n lies between two edges, never on one: however 3/10 is rounded, it is not counted among the shares of 2/10.
2. Edges rise, and their distance can be read beside their values: values that differ by rounding alone are one bar.
"""

import numpy as np
import numpy.typing as npt

Edges = npt.NDArray[np.float64]
_MOST = 50
"""Bins of shares: beyond it neighbouring shares lie together."""
_LEAST = 1e-3
"""How far the outermost edges are apart, as a share of the larger one."""
_NOUGHT = 1e-300
"""No room for edges in between."""


def share_edges(n: int) -> Edges:
    """Edges for shares k/n, of 0 to 1."""
    wide = max(1, -(-n // _MOST))
    edges: Edges = (np.arange(0, n + wide + 1, wide) - 0.5) / n
    return edges


def value_edges(low: float, high: float, bins: int) -> Edges:
    """Edges for finite values from ``low`` to ``high``; of an odd number of bins those that are all alike fall into the middle."""
    middle, apart = (low + high) / 2, _LEAST * max(abs(low), abs(high))
    if high - low < apart:
        low, high = middle - apart / 2, middle + apart / 2
    return np.linspace(low, high if high - low > _NOUGHT else low + 1, bins + 1)
