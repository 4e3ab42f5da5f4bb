"""Many questions of a namespace that is not held: one pass over the files answers as DuckDB does."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.targets.test_duckdb_held import SPEC, WIDE, awkward, fill, read
from vector_pipeline.targets.duckdb import DuckDBTarget, sweep
from vector_pipeline.targets.duckdb.candidates import Candidates, bounds, questions
from vector_pipeline.targets.duckdb.search import Hit, Search, nearest, set_queries
from vector_pipeline.testing.target_records import make_records, unit_vectors

METRICS = ["cosine", "dotproduct", "euclidean"]

EVERYTHING = -1
Statements = list[int]
"""Of each statement that scores vectors, how many pairs it was given, or that it compares everything."""


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckDBTarget]:
    monkeypatch.setattr(sweep, "MANY", 1)
    target = DuckDBTarget("local", tmp_path / "index")
    # Nothing fits beside DuckDB.
    monkeypatch.setattr(target._holder, "_fits", lambda _: False)
    yield target
    target.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    asked: Statements = []

    def noted(*args: Any, **more: Any) -> dict[int, list[Hit]]:
        asked.append(more["pairs"].num_rows if "pairs" in more else EVERYTHING)
        return nearest(*args, **more)

    monkeypatch.setattr(sweep, "nearest", noted)
    return asked


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("top_k", "listed"), [(1, 4096), (10, 4096), (10, 30), (3000, 4096)])
def test_the_same_hits_scores_and_order(
    target: DuckDBTarget, metric: str, top_k: int, listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_BLOCK_BYTES", 50_000)
    monkeypatch.setattr(sweep, "_LISTED", listed)
    fill(target, metric)
    queries = np.concatenate([unit_vectors(13, seed=4, dimension=WIDE), awkward(8, 9) * 7])
    for version, filter in ((None, None), (2, {"n": {"$gte": 3}}), (3, {"n": 9})):
        assert target.query("ns", queries, top_k=top_k, version=version, filter=filter) == read(
            target, queries, top_k, version, filter
        )
    assert not target._holder._vectors


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_listed_is_all_that_is_scored(target: DuckDBTarget, metric: str, statements: Statements) -> None:
    fill(target, metric, lambda count, seed: unit_vectors(count, seed, WIDE))
    queries = unit_vectors(20, seed=4, dimension=WIDE)
    assert target.query("ns", queries, top_k=10, version=2) == read(target, queries, 10, 2)
    (scored,) = statements
    assert 200 <= scored <= 220


def test_a_question_of_all_alike_costs_the_others_nothing(target: DuckDBTarget, statements: Statements) -> None:
    fill(target, "cosine", lambda count, seed: unit_vectors(count, seed, WIDE))
    queries = unit_vectors(20, seed=4, dimension=WIDE)
    queries[7] = 0
    assert target.query("ns", queries, top_k=10) == read(target, queries, 10)
    listed, rest = statements
    assert 0 < listed < 220
    assert rest == EVERYTHING


def test_copies_beyond_the_list_are_ranked_by_duckdb(
    target: DuckDBTarget, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_LISTED", 100)
    monkeypatch.setattr(sweep, "_BLOCK_BYTES", 40_000)
    fill(target, "cosine", lambda count, _: np.repeat(unit_vectors(2, dimension=WIDE), count // 2, axis=0))
    queries = unit_vectors(20, dimension=WIDE)
    assert target.query("ns", queries, top_k=10) == read(target, queries, 10)
    assert statements == [EVERYTHING]


def test_scoring_takes_some_questions_at_a_time(target: DuckDBTarget, statements: Statements) -> None:
    fill(target, "euclidean", lambda count, seed: unit_vectors(count, seed, WIDE))
    queries = unit_vectors(20, seed=4, dimension=WIDE)
    enough, target._engine.memory = target._engine.memory, 32 * 4 * WIDE * 50
    found = target.query("ns", queries, top_k=10)
    target._engine.memory = enough
    assert found == read(target, queries, 10)
    assert len(statements) >= 4
    assert all(0 < scored <= 50 for scored in statements)


def test_what_lies_far_apart_is_found_and_not_read_with_all_between(
    target: DuckDBTarget, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "APART", 1)
    monkeypatch.setattr(sweep, "FOUND", 7)
    fill(target, "dotproduct", awkward)
    queries = unit_vectors(20, seed=4, dimension=WIDE)
    assert target.query("ns", queries, top_k=10) == read(target, queries, 10)
    assert len(statements) > 5
    assert EVERYTHING not in statements


def test_few_questions_and_narrow_filters_are_duckdbs(
    target: DuckDBTarget, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MANY", 16)
    fill(target, "cosine", lambda count, seed: unit_vectors(count, seed, WIDE))
    queries = unit_vectors(20, seed=4, dimension=WIDE)
    target.query("ns", queries[:15], top_k=10)
    target.query("ns", queries, top_k=10, filter={"n": 3})
    assert statements == [EVERYTHING, EVERYTHING]
    target.query("ns", queries, top_k=10)
    assert 0 < statements[2] < 220


@pytest.mark.parametrize("metric", METRICS)
def test_lengths_that_floats_do_not_square(target: DuckDBTarget, metric: str) -> None:
    target.ensure_namespace(replace(SPEC, metric=metric))
    lengths = np.geomspace(1e-30, 1e15, 60, dtype=np.float32)[:, None]
    target.upsert("ns", make_records([f"d#{n:02d}" for n in range(60)], unit_vectors(60, dimension=WIDE) * lengths))
    queries = unit_vectors(40, seed=3, dimension=WIDE) * np.geomspace(1e-25, 1e15, 40, dtype=np.float32)[:, None]
    assert target.query("ns", queries, top_k=7) == read(target, queries, 7)


def test_far_from_the_origin_distances_are_told_apart(target: DuckDBTarget, statements: Statements) -> None:
    fill(target, "euclidean", lambda count, seed: unit_vectors(count, seed, WIDE) + np.float32(1000))
    queries = unit_vectors(20, seed=4, dimension=WIDE) + np.float32(1000)
    assert target.query("ns", queries, top_k=10) == read(target, queries, 10)
    (scored,) = statements
    assert 0 < scored < 300


def test_an_empty_namespace_has_no_nearest(target: DuckDBTarget) -> None:
    target.ensure_namespace(SPEC)
    assert target.query("ns", unit_vectors(20, dimension=WIDE), top_k=3) == [[]] * 20


def test_more_questions_make_smaller_blocks(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    few, more, most = (sweep.block_rows(384, questions, 2 * 10**9) for questions in (100, 1_000, 10_000))
    assert few > more > most
    assert sweep.block_rows(384, 100, 10**8) < few
    monkeypatch.setattr(sweep, "_BLOCK_BYTES", 500_000)
    fill(target, "cosine", lambda count, seed: unit_vectors(count, seed, WIDE))
    target.compact("ns")
    queries = unit_vectors(1_000, seed=4, dimension=WIDE)
    expected = read(target, queries, 1)
    with target._engine.view(target._folder("ns")) as view, target._engine.cursor() as cursor:
        set_queries(cursor, view, queries)
        tracemalloc.start()
        hits = sweep.swept(target._engine, target._holder.masks, cursor, view, Search(1), queries)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [hits[number][0][1] for number in range(1_000)] == [found[0].id for found in expected]
    # All scores at once are 7 MB.
    assert peak < 3_000_000


@given(
    seed=st.integers(0, 2**32 - 1),
    metric=st.sampled_from(METRICS),
    top_k=st.integers(1, 12),
    rows=st.integers(1, 90),
    block=st.integers(1, 40),
    odd=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_nothing_that_is_among_the_nearest_is_left_out(
    seed: int, metric: str, top_k: int, rows: int, block: int, odd: bool
) -> None:
    """Beside the same sums in 64 bits: what the best of them are, the candidates have."""
    random = np.random.default_rng(seed)
    scales = [1, 0.01, 100, 0, *((1e-20, 1e14) * odd)]
    vectors = random.integers(-2, 3, (rows, 6)) * random.choice(scales, (rows, 1))
    queries = (random.integers(-2, 3, (5, 6)) * random.choice(scales, (5, 1))).astype(np.float32)
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    asked = questions(queries, metric)
    candidates = Candidates(asked, top_k, rows)
    for begin in range(0, rows, block):
        some = slice(begin, begin + block)
        candidates.add(*bounds(asked, vectors[some], lengths[some].astype(np.float32)), np.arange(rows)[some])
    query, row = candidates.listed()
    assert len(set(zip(query.tolist(), row.tolist(), strict=True))) == len(query)
    for number in np.flatnonzero(~candidates.undecided):
        one = queries[number].astype(float)
        products = vectors.astype(float) @ one
        if metric == "euclidean":
            products = -np.linalg.norm(vectors - one, axis=1)
        elif metric == "cosine":
            products = np.divide(products, lengths * np.linalg.norm(one), out=np.zeros(rows), where=lengths > 0)
        best = np.sort(products)[::-1][:top_k]
        wanted = np.flatnonzero(products >= best[-1])
        assert set(wanted) <= set(row[query == number].tolist())
