"""Do vectors come from one model? Signs that a change of topics cannot give, and a change of models cannot avoid.

Two questions are asked, and neither takes "different" for "wrong": new documents on a new topic are different.

*Are these vectors related to those?* Turn vectors at random (permute the axes, flip their signs): lengths, angles among them and
variety stay, but whatever made the space of the one that of the other is gone. Vectors of the same model, whatever they are about,
are nearer to their kind than turned ones; vectors of an unrelated model are not. Nor is everything that is of the same model: this
accuses, and the model decides (``shift.again``).

*Do shards belong together?* A document's shard is a hash of its id: an experiment with random assignment, which chance explains
up to the point that permuted assignments give. Shards that were made by another model stand out at a first release too.

Laws
----
1. Only directions are looked at: vectors are scaled to unit length here. Lengths are ``shift.form``'s.
2. Turns and permutations have a fixed seed: the same sample gives the same numbers.
3. A model that was trained further from the same weights is related: only texts tell it apart (``shift.texts``, attestation).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.verify.sampling import VectorSample

Floats = npt.NDArray[np.float32]

LEAST = 20
"""Vectors of a group under which nothing is said of it."""
UNRELATED, UNRELATED_OF_MANY = 3.0, 4.5
"""Standard deviations of turned vectors below which a group is accused: of 20 vectors, and of 100 and more. Measured: unrelated
models 2 to 4.4; one model on another collection's articles 3.9 to 67, on error messages and tables of numbers 0.1 to 9.
"""
TELLING = 10.0
"""The same of a base's own vectors below which it says nothing about others."""
_QUERIES, _BASE, _TURNS = 300, 2_000, 24
_DOCUMENTS, _PERMUTATIONS = 1_000, 60


@dataclass(frozen=True, slots=True)
class Relation:
    """How much nearer a group is to a base than the same group turned at random, in standard deviations of the turned ones."""

    near: float
    """By each vector's nearest neighbour."""
    along: float
    """By the share of it that lies along the base's main directions."""
    profile: float
    """By which axes vary much and which little."""
    own: float
    """The best of the three for vectors of the base itself, as many as the group's."""
    strangers: float
    """Share of the group that is no nearer to the base than 99% of turned vectors."""
    size: int
    """Vectors of the group that were looked at."""

    @property
    def evidence(self) -> float:
        """The best sign that they are related."""
        return max(self.near, self.along, self.profile)

    @property
    def unrelated(self) -> bool:
        """As of another model, or another kind of text; never where the base is of no use."""
        many = min(1.0, (self.size - LEAST) / (100 - LEAST))
        return self.own >= TELLING and self.evidence < UNRELATED + many * (UNRELATED_OF_MANY - UNRELATED)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Shards that belong together, and how far the two sides are from each other."""

    apart: tuple[int, ...]
    """The smaller side."""
    relation: float
    """How like each other the sides are: 1 for shards of one kind, near 0 for two models."""
    p: float
    """How often chance alone would part shards so far."""
    documents: int
    shards: int


def unit(vectors: Floats) -> Floats:
    """Scaled to unit length; vectors without a direction become zeros."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    good = np.isfinite(lengths) & (lengths > 0)
    return np.where(good, vectors / np.where(good, lengths, 1), 0).astype(np.float32)


def directed(sample: VectorSample) -> VectorSample:
    """Without vectors that have no direction: zeros, and what is not finite."""
    good = np.isfinite(sample.vectors).all(axis=1) & sample.vectors.any(axis=1)
    return sample if good.all() else sample.take(np.flatnonzero(good))


def relate(group: VectorSample, base: VectorSample) -> Relation | None:
    """Relation of a group to a base; None where there is too little of one of them."""
    known = unit(base.first(_BASE + _QUERIES).vectors)
    asked = unit(group.first(_QUERIES).vectors)
    size = len(asked)
    # The base's own vectors are asked of the rest of it, so it must be more than what is asked.
    if size < LEAST or len(known) < 5 * LEAST:
        return None
    held, rest = known[: min(size, len(known) // 4)], known[min(size, len(known) // 4) :]
    signs, strangers = _signs(asked, rest)
    own, _ = _signs(held, rest)
    near, along, profile = (float(value) for value in signs)
    return Relation(near, along, profile, float(own.max()), strangers, size)


def _signs(group: Floats, base: Floats) -> tuple[npt.NDArray[np.float64], float]:
    """float64[3] as ``Relation`` has them, and the share of strangers."""
    rng = np.random.default_rng(0)
    moment, spread = base.T @ base / len(base), _ranks(base.var(axis=0))

    def look(vectors: Floats) -> tuple[list[float], Floats]:
        nearest = (vectors @ base.T).max(axis=1)
        along = float(np.einsum("ij,ij->", vectors @ moment, vectors)) / len(vectors)
        return [float(nearest.mean()), along, float(_ranks(vectors.var(axis=0)) @ spread)], nearest

    seen, nearest = look(group)
    turned = [look(_turned(group, rng)) for _ in range(_TURNS)]
    chance = np.array([values for values, _ in turned])
    scale = np.maximum(chance.std(axis=0, ddof=1), 1e-12)
    limit = float(np.quantile(np.concatenate([values for _, values in turned]), 0.99))
    return (np.array(seen) - chance.mean(axis=0)) / scale, float((nearest <= limit).mean())


def _turned(vectors: Floats, rng: np.random.Generator) -> Floats:
    """Axes permuted and some of them reversed: a rotation that costs nothing."""
    dimension = vectors.shape[1]
    signs = rng.choice(np.array([-1, 1], np.float32), dimension)
    turned: Floats = (vectors * signs)[:, rng.permutation(dimension)]
    return turned


def _ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    ranks = values.argsort(kind="stable").argsort(kind="stable").astype(np.float64)
    ranks -= ranks.mean()
    return ranks / max(float(np.linalg.norm(ranks)), 1e-12)


def shard_blocks(sample: VectorSample) -> Blocks | None:
    """Whether shards are of two kinds; None where there are too few documents or shards to say."""
    _, first = np.unique(np.array(sample.document_ids), return_index=True)
    documents = sample.take(np.sort(first)[:_DOCUMENTS])
    shards, labels, counts = np.unique(documents.shards, return_inverse=True, return_counts=True)
    good = counts >= 4
    kept = np.flatnonzero(good[labels])
    if good.sum() < 2 or len(kept) < 3 * LEAST:
        return None
    vectors, labels = unit(documents.vectors[kept]), np.unique(labels[kept], return_inverse=True)[1]
    shards, sizes = shards[good], counts[good].astype(np.float64)
    # The square of the cosine: vectors of two models are as good as perpendicular, whatever they are about.
    like = np.square(vectors @ vectors.T)
    np.fill_diagonal(like, 0)
    rng = np.random.default_rng(0)
    orders = [labels, *(rng.permutation(labels) for _ in range(_PERMUTATIONS))]
    values, directions, means = _parted(like, orders, sizes)
    side = directions > 0
    if not side.any() or side.all():
        return Blocks((), 1.0, 1.0, len(kept), len(shards))
    if sizes[side].sum() > sizes[~side].sum():
        side = ~side
    return Blocks(
        tuple(int(shard) for shard in shards[side]),
        _likeness(means, sizes, side),
        _gumbel(values[0], values[1:]),
        len(kept),
        len(shards),
    )


def _parted(
    like: Floats, orders: list[npt.NDArray[np.intp]], counts: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each assignment how strongly shards fall into two sides; of the first also the sides and the likeness of every two."""
    size, rows = len(counts), np.arange(len(like))
    members = np.zeros((len(orders), len(like), size), np.float32)
    for number, labels in enumerate(orders):
        members[number, rows, labels] = 1
    # One product for all assignments: threads that meet once are quicker than threads that meet a hundred times.
    gathered = (like @ members.transpose(1, 0, 2).reshape(len(like), -1)).reshape(len(like), len(orders), size)
    sums = np.matmul(members.transpose(0, 2, 1), gathered.transpose(1, 0, 2)).astype(np.float64)
    means = sums / (np.outer(counts, counts) - np.diag(counts))
    usual = max(float(sums[0].sum()) / (counts.sum() * (counts.sum() - 1)), 1e-12)
    values, directions = np.linalg.eigh((means / usual - 1) * np.sqrt(np.outer(counts, counts)) / counts.sum())
    return values[:, -1], directions[0, :, -1], means[0]


def _likeness(means: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], side: npt.NDArray[np.bool_]) -> float:
    """Likeness across the sides, in units of that within them."""
    pairs = np.outer(counts, counts) - np.diag(counts)

    def mean(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
        weights = pairs * np.outer(a, b)
        return float((means * weights).sum() / weights.sum())

    return mean(side, ~side) / max(math.sqrt(mean(side, side) * mean(~side, ~side)), 1e-12)


def _gumbel(value: float, chance: npt.NDArray[np.float64]) -> float:
    """Probability of a largest eigenvalue beyond ``value``: a Gumbel law through the permutations' mean and variance."""
    scale = max(float(chance.std(ddof=1)) * math.sqrt(6) / math.pi, 1e-12)
    reduced = (value - float(chance.mean())) / scale + np.euler_gamma
    return float(-math.expm1(-math.exp(-min(max(reduced, -30), 700))))
