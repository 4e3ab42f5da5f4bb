"""Vectors held in memory change how fast the DuckDB target answers, and nothing else."""

import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.base import Match, NamespaceSpec, Vector
from vector_pipeline.targets.duckdb import DuckDBTarget, holding, shortlist
from vector_pipeline.targets.duckdb.engine import View, bytes_in
from vector_pipeline.targets.duckdb.held import bytes_of
from vector_pipeline.targets.duckdb.search import Search, matches_of, nearest, set_queries
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.targets.stopping import CALL, Interruption
from vector_pipeline.testing.target_records import SPACE, make_records, unit_vectors

WIDE = 48
SPEC = NamespaceSpec("ns", WIDE, "cosine", SPACE)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DuckDBTarget]:
    target = DuckDBTarget("local", tmp_path / "index")
    yield target
    target.close()


def read(
    target: DuckDBTarget,
    queries: Vector,
    top_k: int,
    version: int | None = None,
    filter: Mapping[str, Any] | None = None,
) -> list[list[Match]]:
    """What DuckDB finds by scoring every vector in the files."""
    search = Search(top_k, version, None if filter is None else parse_filter(filter))
    with target._engine.view(target._folder("ns")) as view, target._engine.cursor() as cursor:
        set_queries(cursor, view, queries)
        hits = nearest(cursor, view, search)
        return matches_of(cursor, view, [hits.get(n, []) for n in range(len(queries))], include_text=True)


def awkward(count: int, seed: int) -> Vector:
    """float32[count, WIDE] of many lengths, in a few directions: with duplicates, near ones, opposite ones and zeros."""
    random = np.random.default_rng(seed)
    centres = unit_vectors(5, seed=1, dimension=WIDE)
    noise = random.standard_normal((count, WIDE), dtype=np.float32) * random.choice([0, 1e-4, 0.05], (count, 1))
    vectors = (centres[random.integers(0, 5, count)] + noise) * random.choice([1, -1, 0.1, 30], (count, 1))
    vectors[:: count // 7] = 0
    return np.asarray(vectors, np.float32)


def fill(target: DuckDBTarget, metric: str = "cosine", of: Callable[[int, int], Vector] = awkward) -> None:
    """Three segments and changes of each kind."""
    target.ensure_namespace(replace(SPEC, metric=metric))
    for part in range(3):
        ids = [f"d#{n:05d}" for n in range(part * 700, part * 700 + 700)]
        described = [{"n": n % 5} for n in range(700)]
        target.upsert("ns", make_records(ids, of(700, part), metadata=described, added_in=part + 1))
    target.set_removed("ns", pa.array([f"d#{n:05d}" for n in range(0, 2100, 9)]), 3)
    target.delete("ns", pa.array([f"d#{n:05d}" for n in range(0, 2100, 11)]))


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
@pytest.mark.parametrize("top_k", [1, 10, 3000])
def test_the_same_hits_scores_and_order(
    target: DuckDBTarget, metric: str, top_k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortlist, "_BLOCK", 256)
    fill(target, metric)
    assert target.hold("ns")
    queries = np.concatenate([unit_vectors(3, seed=4, dimension=WIDE), awkward(8, 9)[1:] * 7])
    for version, filter in ((None, None), (2, {"n": {"$gte": 3}}), (3, {"n": 9})):
        expected = read(target, queries, top_k, version, filter)
        ask = partial(target.query, "ns", top_k=top_k, version=version, filter=filter)
        assert ask(queries) == expected
        assert [ask(query[None])[0] for query in queries] == expected


def test_a_write_is_seen_at_once(target: DuckDBTarget) -> None:
    fill(target)
    query = unit_vectors(1, seed=3, dimension=WIDE)
    target.query("ns", query, top_k=5, version=3)
    target.upsert("ns", make_records(["new#1"], query))
    assert target.query("ns", query, top_k=1, version=3)[0][0].id == "new#1"
    target.set_removed("ns", pa.array(["new#1"]), 3)
    assert target.query("ns", query, top_k=5, version=3) == read(target, query, 5, 3)
    target.compact("ns")
    assert target.query("ns", query, top_k=5, version=3) == read(target, query, 5, 3)
    assert target.query("ns", query, top_k=1, version=2)[0][0].id == "new#1"


def test_one_is_not_true(target: DuckDBTarget) -> None:
    target.ensure_namespace(SPEC)
    target.upsert("ns", make_records(["a#1", "b#1"], unit_vectors(2, dimension=WIDE), metadata=[{"n": 1}, {"n": True}]))
    query = unit_vectors(1, dimension=WIDE)
    found = [[hit.id for hit in target.query("ns", query, top_k=2, filter={"n": n})[0]] for n in (1, True, 1)]
    assert found == [["a#1"], ["b#1"], ["a#1"]]


def test_a_big_namespace_is_read_beside_its_second_search(
    target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "AT_ONCE", 10)
    fill(target)
    query = unit_vectors(1, seed=3, dimension=WIDE)
    expected = read(target, query, 5)
    for _ in range(2):
        assert not target._holder._vectors
        assert target.query("ns", query, top_k=5) == expected
    reading = target._holder._thread
    assert reading is not None
    reading.join()
    assert len(target._holder._vectors) == 3
    assert target.query("ns", query, top_k=5) == expected
    target.compact("ns")
    target.query("ns", query, top_k=5)
    assert target.hold("ns")
    assert len(target._holder._vectors) == 1


def test_what_does_not_fit_is_not_held(target: DuckDBTarget) -> None:
    fill(target)
    enough, target._engine.memory = target._engine.memory, 4 * sum(bytes_of(700, WIDE) for _ in range(3)) // 3
    assert not target.hold("ns")
    query = unit_vectors(1, seed=3, dimension=WIDE)
    assert target.query("ns", query, top_k=5) == read(target, query, 5)
    assert not target._holder._vectors
    target._engine.memory = enough
    assert target.hold("ns")


def test_namespaces_that_fit_alone_are_not_held_together(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asked, before any is read, whether it fits."""
    names, holder = ("a", "b", "c"), target._holder
    for name in names:
        target.ensure_namespace(replace(SPEC, name=name))
        target.upsert(name, make_records([f"d#{n}" for n in range(500)], unit_vectors(500, dimension=WIDE)))
    # DuckDB itself has no less than before: so little it could not work with.
    left: list[int] = []
    monkeypatch.setattr(target._engine, "leave", left.append)
    monkeypatch.setattr(target._engine, "memory", 3 * bytes_of(500, WIDE))
    waiting, hold = threading.Semaphore(0), holder._hold

    def told(view: View, *, wait: bool) -> None:
        waiting.release()
        hold(view, wait=wait)

    monkeypatch.setattr(holder, "_hold", told)
    queries = unit_vectors(holding.MANY, seed=3, dimension=WIDE)
    with ThreadPoolExecutor(len(names)) as pool:
        with holder._reading:
            asked = [pool.submit(target.query, name, queries, top_k=5) for name in names]
            for _ in names:
                waiting.acquire()
        found = [one.result() for one in asked]
    assert found[0] == found[1] == found[2]
    assert 0 < holder._size() <= target._engine.memory // 2
    assert max(left) <= target._engine.memory // 2 + target._engine.memory // 16


@pytest.mark.timeout(60)
def test_one_question_does_not_wait_for_another_namespace(target: DuckDBTarget) -> None:
    target.ensure_namespace(SPEC)
    target.upsert("ns", make_records([f"d#{n}" for n in range(50)], unit_vectors(50, dimension=WIDE)))
    query = unit_vectors(1, seed=2, dimension=WIDE)
    with target._holder._reading:  # another one is read
        assert target.query("ns", query, top_k=5) == read(target, query, 5)
        assert not target._holder._vectors
    target.query("ns", query, top_k=5)
    assert len(target._holder._vectors) == 1


def test_a_call_that_ends_while_vectors_are_read_leaves_the_memory_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = DuckDBTarget("local", tmp_path / "small", memory_limit="160MB")
    target.ensure_namespace(SPEC)
    target.upsert("ns", make_records([f"d#{n}" for n in range(8_000)], unit_vectors(8_000, dimension=WIDE)))
    call = Interruption()

    def ending(*_: object) -> None:
        call.end()
        raise UnavailableError("nobody waits", kind="timeout")

    monkeypatch.setattr(holding, "read", ending)
    token = CALL.set(call)
    try:
        with pytest.raises(UnavailableError):
            target.query("ns", unit_vectors(1, dimension=WIDE), top_k=5)
    finally:
        CALL.reset(token)
    with target._engine.cursor() as cursor:
        ((limit,),) = cursor.execute("SELECT current_setting('memory_limit')").fetchall()
    # Masks may take a sixteenth; a tenth of a MiB is what DuckDB tells.
    assert bytes_in(limit) == pytest.approx(150e6, abs=60_000)
    assert bytes_of(8_000, WIDE) > 600_000
    target.close()


def test_duckdb_may_take_again_what_is_not_held_any_more(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(target)
    assert target.hold("ns")
    left: list[int] = []
    monkeypatch.setattr(target._engine, "leave", left.append)
    target.upsert("ns", make_records(["new#1"], unit_vectors(1, dimension=WIDE)))
    target.compact("ns")
    monkeypatch.setattr(target._engine, "memory", 32)
    target.query("ns", unit_vectors(1, seed=3, dimension=WIDE), top_k=5)
    assert not target._holder._vectors
    assert left == [target._engine.memory // 16]


@pytest.mark.parametrize("alike", [False, True])
def test_many_questions_take_no_more_memory_than_some(target: DuckDBTarget, alike: bool) -> None:
    target.ensure_namespace(SPEC)
    count = 20_000
    vectors = unit_vectors(count, seed=1, dimension=WIDE)
    if alike:
        vectors = np.repeat(vectors[:1], count, axis=0)
    target.upsert("ns", make_records([f"d#{n:05d}" for n in range(count)], vectors))
    assert target.hold("ns")
    few, many = (unit_vectors(number, seed=4, dimension=WIDE) for number in (64, 512))
    # What is asked of DuckDB once stays.
    target.query("ns", few, top_k=2, include_text=False)
    peaks = []
    with target._engine.view(target._folder("ns")) as view, target._engine.cursor() as cursor:
        for queries in (few, many):
            tracemalloc.start()
            found = target._holder.matches(cursor, view, Search(2, include_text=False), queries)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (found is None) == alike
    assert peaks[1] < 3 * peaks[0]


def test_candidates_that_fell_behind_make_room(target: DuckDBTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest come last, so each block has candidates that a later one leaves behind."""
    monkeypatch.setattr(shortlist, "_BLOCK", 256)
    query, other = unit_vectors(2, seed=4, dimension=WIDE)
    other -= (other @ query) * query
    cosine = np.linspace(0, 0.99, 2_048, dtype=np.float32)[:, None]
    vectors = cosine * query + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
    target.ensure_namespace(SPEC)
    target.upsert("ns", make_records([f"d#{n:05d}" for n in range(2_048)], vectors))
    assert target.hold("ns")
    found: list[list[list[Match]] | None] = []
    with target._engine.view(target._folder("ns")) as view, target._engine.cursor() as cursor:
        for room in (256, 16):
            monkeypatch.setattr(shortlist, "_ROOM", room)
            found.append(target._holder.matches(cursor, view, Search(1), query[None]))
    assert found == [read(target, query[None], 1), None]


def test_lengths_that_floats_do_not_square_are_left_to_duckdb(target: DuckDBTarget) -> None:
    target.ensure_namespace(SPEC)
    vectors = unit_vectors(20, dimension=WIDE) * np.geomspace(1e-30, 1e15, 20, dtype=np.float32)[:, None]
    target.upsert("ns", make_records([f"d#{n}" for n in range(20)], vectors))
    assert not target.hold("ns")
    assert target.query("ns", unit_vectors(2, dimension=WIDE), top_k=20) == read(
        target, unit_vectors(2, dimension=WIDE), 20
    )


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("512 MiB", 512 * 2**20), ("1.5 KB", 1500)])
def test_sizes_are_what_duckdb_says(text: str, size: int) -> None:
    assert bytes_in(text) == size
