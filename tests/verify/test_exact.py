"""Exact search over the lake against the plainest thing that can be written: all scores, sorted."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.verify.vectors import Row, VectorLake
from vector_pipeline.errors import CorruptError, InputError
from vector_pipeline.hashing import content_hash
from vector_pipeline.targets.filters import matches, parse_filter
from vector_pipeline.verify import exact
from vector_pipeline.verify.exact import Hit, exact_top, exact_tops
from vector_pipeline.verify.nearest import Nearest

METRICS = ("cosine", "dotproduct", "euclidean")
DIMENSION = 4
_NAMES = count()
"""Of embedders: each example has vectors of its own."""
Vectors = npt.NDArray[np.float32]
_numbers = st.integers(-2, 2).map(float)
_vector = st.lists(_numbers, min_size=DIMENSION, max_size=DIMENSION)
_row = st.tuples(st.integers(0, 6), st.integers(0, 9), st.booleans())
_rows = st.lists(_row, max_size=25, unique_by=lambda row: row[:2])
"""Which text stands in which document: the same text in several, and so in several shards."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VectorLake]:
    made = VectorLake(tmp_path)
    yield made
    made.close()


def score(metric: str, query: Vectors, vector: Vectors) -> float:
    a, b = query.astype(np.float64), vector.astype(np.float64)
    if metric == "dotproduct":
        return float(a @ b)
    if metric == "euclidean":
        return -float(np.linalg.norm(a - b))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms else 0.0


def made(rows: Sequence[tuple[int, int, bool]], table: Vectors) -> list[Row]:
    return [Row(f"d{document}", f"text {text}", table[text], {"good": good}) for document, text, good in rows]


def check(answers: list[Hit], rows: Sequence[Row], metric: str, query: Vectors, k: int) -> None:
    """An answer is right when its scores are the best there are, and each is its record's own."""
    expected = sorted((score(metric, query, row.vector) for row in rows), reverse=True)[:k]
    np.testing.assert_allclose([hit.score for hit in answers], expected, atol=2e-3 if metric == "euclidean" else 1e-5)
    by_name = {(row.document, content_hash(row.text)): row for row in rows}
    for hit in answers:
        own = score(metric, query, by_name[hit.document_id, hit.content_hash].vector)
        assert hit.score == pytest.approx(own, abs=2e-3 if metric == "euclidean" else 1e-5)
    assert len({hit.record_id for hit in answers}) == len(answers)
    assert [(-hit.score, hit.record_id) for hit in answers] == sorted((-hit.score, hit.record_id) for hit in answers)


@settings(deadline=None)
@given(
    values=st.lists(st.lists(st.sampled_from([0.5, 0.25, -1.0, 3.0]), min_size=3, max_size=3), max_size=120),
    k=st.integers(1, 6),
    sizes=st.lists(st.integers(1, 60), min_size=1),
)
def test_the_best_of_all_blocks_remain_whatever_the_blocks(values: list[list[float]], k: int, sizes: list[int]) -> None:
    scores = np.array(values, np.float32).reshape(len(values), 3).T
    names = [content_hash(str(number)) for number in range(len(values))]
    nearest, begin = Nearest(3, k), 0
    for size in (*sizes, len(values)):
        some = slice(begin, begin + size)
        block = {"shard": pa.array([1] * len(names[some]), pa.int32()), "content_hash": names[some]}
        nearest.add(
            np.ascontiguousarray(scores[:, some]), pa.RecordBatch.from_pydict(block), np.arange(len(names[some]))
        )
        begin += size
    for own, answer in zip(scores, nearest.answers(), strict=True):
        best = sorted(zip(-own, names, strict=True))[:k]
        assert [(name, value) for (_, name), value in answer] == [(name, -value) for value, name in best]


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    old=_rows,
    new=_rows,
    table=st.lists(_vector, min_size=10, max_size=10),
    asked=st.lists(_vector, min_size=1, max_size=4),
    metric=st.sampled_from(METRICS),
    k=st.integers(1, 12),
    shared=st.booleans(),
    block=st.sampled_from([1, 64_000_000]),
)
def test_exact_search_is_brute_force(
    world: VectorLake, old: list[tuple[int, int, bool]], new: list[tuple[int, int, bool]], table: list[list[float]],
    asked: list[list[float]], metric: str, k: int, shared: bool, block: int,
) -> None:  # fmt: skip
    vectors, queries = np.array(table, np.float32), np.array(asked, np.float32)
    filters = [None, {"good": True}, None, {"good": {"$ne": True}}][: len(queries)]
    world.metric, world.dimension, name = metric, DIMENSION, f"{next(_NAMES)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK_BYTES", block)
        before, after = made(old, vectors), made(new, vectors if shared else vectors[::-1])
        sides = [world.version(before, name), world.version(after, name if shared else f"{name}x")]
        context = world.context(sides[1], sides[0])
        found = exact_tops(context, sides, [queries, queries], k, filters)
        alone = exact_top(context, sides[1], queries, k, filters)
    assert alone == found[1]
    for answers, rows in zip(found, (before, after), strict=True):
        for query, restriction, answer in zip(queries, filters, answers, strict=True):
            seen = [row for row in rows if not restriction or matches(parse_filter(restriction), row.metadata)]
            check(answer, seen, metric, query, k)


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_that_are_all_the_same_are_answered_alike_each_time(world: VectorLake, metric: str) -> None:
    world.metric = metric
    same = np.ones(8, np.float32)
    side = world.version([Row(f"d{n}", f"text {n}", same) for n in range(3_000)])
    context = world.context(side)
    queries = np.eye(8, dtype=np.float32)[:3]
    answers = exact_top(context, side, queries, 5)
    assert answers == exact_top(context, side, queries, 5)
    assert [len(one) for one in answers] == [5, 5, 5]
    # Of ties the first by the hash of their content: a smaller answer is the beginning of a larger one.
    first = sorted(content_hash(f"text {n}") for n in range(3_000))[:5]
    assert sorted(hit.content_hash for hit in answers[0]) == sorted(first)


def test_a_vector_that_is_not_finite_is_never_found(world: VectorLake) -> None:
    bad = np.full(8, np.nan, np.float32)
    endless = np.full(8, np.inf, np.float32)
    side = world.version([Row("a", "bad", bad), Row("b", "good", np.ones(8, np.float32)), Row("c", "inf", endless)])
    (answer,) = exact_top(world.context(side), side, np.ones((1, 8), np.float32), 5)
    assert [hit.document_id for hit in answer] == ["b"]


def test_a_vector_of_another_dimension_is_named(world: VectorLake) -> None:
    side = world.version([Row("a", "short", np.ones(7, np.float32))])
    with pytest.raises(CorruptError, match="another dimension than 8"):
        exact_top(world.context(side), side, np.ones((1, 8), np.float32), 5)
    with pytest.raises(InputError, match="8 dimensions are searched"):
        exact_top(world.context(side), side, np.ones((1, 7), np.float32), 5)


def test_a_version_reads_back_as_it_was(world: VectorLake) -> None:
    old = world.version([Row("a", "old", np.ones(8, np.float32))])
    new = world.version([Row("b", "new", np.ones(8, np.float32))])
    queries = np.ones((1, 8), np.float32)
    both = exact_tops(world.context(new, old), [old, new], [queries, queries], 3)
    assert [[hit.document_id for hit in side[0]] for side in both] == [["a"], ["b"]]


def test_an_empty_version_answers_nothing(world: VectorLake) -> None:
    side = world.version([])
    assert exact_top(world.context(side), side, np.ones((2, 8), np.float32), 3) == [[], []]


def test_distances_far_from_zero_are_exact(world: VectorLake) -> None:
    """At an offset of 300 squares are of the order of a million, and their differences of ten."""
    world.metric, world.dimension = "euclidean", 32
    chance = np.random.default_rng(0)
    vectors = (chance.normal(size=(400, 32)) + 300).astype(np.float32)
    queries = (chance.normal(size=(20, 32)) + 300).astype(np.float32)
    side = world.version([Row(f"d{number}", f"text {number}", vector) for number, vector in enumerate(vectors)])
    wanted = np.linalg.norm(queries[:, None].astype(np.float64) - vectors[None], axis=2).argsort(axis=1)[:, :10]
    for best, hits in zip(wanted, exact_top(world.context(side), side, queries, 10), strict=True):
        assert [hit.document_id for hit in hits] == [f"d{number}" for number in best]
