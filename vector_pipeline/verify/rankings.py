"""Rankings compared, and means with their intervals. No I/O.

Laws
----
1. Overlap and rank-biased overlap are symmetric and in [0, 1]; of a ranking and itself both are 1.
2. An interval is a function of the values alone: the same values give the same interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
RESAMPLES = 2_000
ALPHA = 0.05
"""How often a gate's intervals may miss, all of them together."""
_SEED = 20
_TIE = 1e-4


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its interval."""

    mean: float
    low: float
    high: float
    count: int
    alpha: float = ALPHA
    """How often such an interval misses."""

    def to_json(self) -> dict[str, float | int]:
        return {"mean": self.mean, "low": self.low, "high": self.high, "count": self.count}

    def __str__(self) -> str:
        return f"{self.mean:.1%} ({(1 - self.alpha) * 100:.3g}% interval {self.low * 100:.1f} to {self.high * 100:.1f})"


def mean_of(values: Sequence[float] | Values, alpha: float = ALPHA) -> Mean:
    """Mean over queries with its percentile bootstrap interval; all of [0, 1] where there are no values.

    ``alpha``: how often the interval may miss. A gate that makes several tests gives each its share.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        return Mean(1.0, 0.0, 1.0, 0, alpha)
    low, high = np.quantile(resampled(found), [alpha / 2, 1 - alpha / 2])
    mean = float(found.mean())
    return Mean(mean, min(float(low), mean), max(float(high), mean), len(found), alpha)


def resampled(values: Values) -> Values:
    """float64[RESAMPLES]: means of values drawn again with replacement. Rows of a matrix are drawn as a whole."""
    random = np.random.default_rng([_SEED, len(values)])
    # How often each value is drawn: one matrix product instead of gathering.
    step = max(1, 4_000_000 // len(values))
    means = []
    for begin in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - begin)
        drawn = random.multinomial(len(values), np.full(len(values), 1 / len(values)), size=size)
        means.append(drawn @ values / len(values))
    return np.concatenate(means)


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Share of what either ranking shows that both show; 1 for two empty ones."""
    most = max(len(first), len(second))
    return len(set(first) & set(second)) / most if most else 1.0


def forgiving_overlap(first: Sequence[tuple[str, float]], second: Sequence[tuple[str, float]], k: int) -> float:
    """The same of (name, score), where names of one score at the end count as one another: ties are cut as they fall."""
    names, others = [name for name, _ in first[:k]], {name for name, _ in second[:k]}
    most = max(len(names), len(others))
    if not most:
        return 1.0
    common = sum(name in others for name in names)
    tied = min(_tied(first, names, others, k), _tied(second, list(others), set(names), k))
    return min(1.0, (common + tied) / most)


def _tied(ranking: Sequence[tuple[str, float]], names: Sequence[str], others: set[str], k: int) -> int:
    """How many of ``names`` that the other has not could as well have been left out: they tie with the end."""
    if len(ranking) < k:
        return 0
    last = ranking[k - 1][1]
    scores = dict(ranking)
    return sum(
        name not in others and abs(scores[name] - last) <= _TIE * max(1.0, abs(last))
        for name in names
        if name in scores
    )


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], p: float = 0.9) -> float:
    """How alike two rankings are, the first places counting most; 1 for two empty ones.

    Source: W. Webber, A. Moffat, J. Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28 (2010), equation 32:
    what lies beyond the shorter ranking is taken to agree as far as what was seen.
    """
    short, long = sorted((list(first), list(second)), key=len)
    s, l = len(short), len(long)  # noqa: E741  the paper's names
    if not s:
        return float(not l)
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    common, total, at_s = 0, 0.0, 0
    for depth in range(1, l + 1):
        seen_long.add(long[depth - 1])
        common += long[depth - 1] in seen_short
        if depth <= s:
            seen_short.add(short[depth - 1])
            common += short[depth - 1] in seen_long
            at_s = common
        else:
            total += at_s * (depth - s) / (s * depth) * p**depth
        total += common / depth * p**depth
    value = (1 - p) / p * total + ((common - at_s) / l + at_s / s) * p**l
    return min(1.0, max(0.0, value))


def rule_of_three(count: int) -> float:
    """The largest share that ``count`` samples without a single find leave possible, with 95% certainty."""
    return min(1.0, -math.log(0.05) / count) if count else 1.0


def sign_test(differences: Values) -> float:
    """Share of random signs of paired differences whose mean is as far from zero: a randomisation test, two-sided.

    Source: E. W. Noreen, "Computer-Intensive Methods for Testing Hypotheses" (1989); M. Smucker, J. Allan, B. Carterette, "A
    comparison of statistical significance tests for information retrieval evaluation", CIKM 2007.
    """
    seen = abs(float(differences.sum()))
    if not seen:
        return 1.0
    random = np.random.default_rng([_SEED, len(differences)])
    step = max(1, 4_000_000 // len(differences))
    as_far = 0
    for begin in range(0, RESAMPLES * 5, step):
        size = min(step, RESAMPLES * 5 - begin)
        signs = random.integers(0, 2, size=(size, len(differences)), dtype=np.int8).astype(np.float64) * 2 - 1
        as_far += int((np.abs(signs @ differences) >= seen - 1e-12).sum())
    return (as_far + 1) / (RESAMPLES * 5 + 1)
