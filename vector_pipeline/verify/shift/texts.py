"""Do vectors belong to their texts? What words say of two texts, and what their vectors say, must have something in common.

Laws
----
1. No model is needed, and no language: words are hashed. What moves vectors little (prompts, truncation, a few percent of weights)
   is not seen here.
2. At most ``MOST`` texts of a group are read.
"""

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.sampling import VectorSample
from vector_pipeline.verify.shift.mixed import Floats, unit

MOST = 400
TELLING, EXCHANGED = 10.0, 2.0
"""Agreement of a base that says what is usual, and that under which vectors are as good as exchanged. Measured with 40 and more
texts: 3 to 30 (of 300: over 35) where vectors are right, -1 to 1.7 where they are exchanged.
"""
VARIOUS, CROWDED = (0.35, 0.7), 2.25
"""Shares of unlike pairs as in the base, and the excess that accuses. Measured with texts as various as the base's: up to 0.5 for a
collection's own, up to 2.0 for another collection's, more for tables of numbers; 2.5 to 4.6 for a model trained further on other
texts.
"""
_BUCKETS, _PERMUTATIONS, _BINS = 4_096, 50, 20
_WORD = re.compile(r"\w+")
_LONGEST = 4_000


def texts_of(context: GateContext, side: Side, sample: VectorSample) -> list[str]:
    """The text of each content of a small sample of a version."""
    wanted = pa.table({"content_hash": list(sample.content_hashes), "place": range(len(sample))})
    with context.lake.registered("wanted_texts", wanted):
        rows = context.lake.rows(
            f"""SELECT any_value(c.text)[:{_LONGEST}] FROM {side.chunks} c JOIN wanted_texts w USING (content_hash)
                GROUP BY w.place ORDER BY w.place"""
        )
    return [str(row[0]) for row in rows]


def bags(texts: list[str]) -> Floats:
    """float32[n, buckets], of unit length: words weighted by their rarity among these texts."""
    counts = np.zeros((len(texts), _BUCKETS), np.float32)
    for row, text in enumerate(texts):
        for word, count in Counter(_WORD.findall(text.lower())).items():
            counts[row, zlib.crc32(word.encode("utf-8", "replace")) % _BUCKETS] += 1 + math.log(count)
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0)))
    return unit((counts * rarity).astype(np.float32))


def agreement(words: Floats, vectors: Floats) -> float:
    """How far words and vectors agree about which texts are alike, in standard deviations of exchanged vectors."""
    count = len(words)
    upper = np.triu_indices(count, 1)
    by_words, by_vectors = _ranked((words @ words.T)[upper]), unit(vectors) @ unit(vectors).T
    rng = np.random.default_rng(0)

    def correlation(order: npt.NDArray[np.intp]) -> float:
        return float(by_words @ _ranked(by_vectors[np.ix_(order, order)][upper]))

    chance = np.array([correlation(rng.permutation(count)) for _ in range(_PERMUTATIONS)])
    return (correlation(np.arange(count)) - float(chance.mean())) / max(float(chance.std(ddof=1)), 1e-12)


@dataclass(frozen=True, slots=True)
class Crowding:
    """How near the group's vectors are to each other, beyond what their words and the base let expect."""

    excess: float
    """Mean over pairs, in standard deviations of the base's pairs that share as many words."""
    unlike: float
    """Share of pairs that share fewer words than the base's middle pair: half of them, where texts are as various as the base's."""

    @property
    def strange(self) -> bool:
        """Texts as various as the base's, and vectors that are not. Of texts on one new topic it says nothing."""
        return VARIOUS[0] <= self.unlike <= VARIOUS[1] and self.excess > CROWDED


def crowding(words: Floats, vectors: Floats, base_words: Floats, base: Floats) -> Crowding:
    """Of a group against a base, both of at least a few dozen; words weighted alike."""
    shared, near = _pairs(base_words, base)
    edges = np.quantile(shared, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, shared, side="right")
    counts = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    means = np.bincount(bins, near, _BINS) / counts
    scales = np.sqrt(np.maximum(np.bincount(bins, near * near, _BINS) / counts - means * means, 1e-12))
    shared, near = _pairs(words, vectors)
    bins = np.searchsorted(edges, shared, side="right")
    return Crowding(float(((near - means[bins]) / scales[bins]).mean()), float((bins < _BINS // 2).mean()))


def _pairs(words: Floats, vectors: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of every two: what words they share, and how near their vectors are."""
    upper, straight = np.triu_indices(len(words), 1), unit(vectors)
    return (words @ words.T)[upper].astype(np.float64), (straight @ straight.T)[upper].astype(np.float64)


def _ranked(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Cubed, centred and of unit length: pairs that are much alike count most."""
    cubes = np.power(values.astype(np.float64), 3)
    ranked: npt.NDArray[np.float64] = cubes - cubes.mean()
    return ranked / max(float(np.linalg.norm(ranked)), 1e-12)
