"""Law 4 of a target on an index that leaves things out, and vectors to the last bit."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.targets.chroma import search as searching
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors


@pytest.fixture
def space(target: ChromaTarget) -> Namespace:
    namespace = Namespace(target)
    namespace.create()
    return namespace


def write(space: Namespace, records: pa.Table) -> None:
    """In batches."""
    most = space.target.capabilities.max_batch_records
    for start in range(0, records.num_rows, most):
        space.upsert(records.slice(start, most))


def test_nothing_is_missed_among_equals(space: Namespace) -> None:
    """hnswlib links equal vectors with each other and cuts them off from the rest: the index alone finds a dozen."""
    count = 1_200
    vectors = np.repeat(unit_vectors(1), count, axis=0)
    vectors[::40] = -vectors[::40]
    ids = [f"r#{number:04d}" for number in range(count)]
    write(space, make_records(ids, vectors, metadata=[{"n": number} for number in range(count)]))
    near = [name for number, name in enumerate(ids) if number % 40]
    for exact in (True, False):
        assert len(space.hits(unit_vectors(1), top_k=count, exact=exact)) == count
        assert len(space.hits(unit_vectors(1), top_k=700, filter={"n": {"$lt": 700}}, exact=exact)) == 700
        assert len(space.hits(-unit_vectors(1), top_k=30, filter={"n": {"$gte": 0}}, exact=exact)) == 30
    assert space.hits(-unit_vectors(1), top_k=30, filter={"n": {"$gte": 0}}) == ids[::40]
    assert space.hits(unit_vectors(1), top_k=1_000) == near[:1_000]


@pytest.mark.slow
def test_nothing_is_missed_after_most_was_deleted(space: Namespace) -> None:
    ids = [f"r#{number:04d}" for number in range(1_500)]
    write(space, make_records(ids, unit_vectors(1_500)))
    space.delete(ids[3:])
    for exact in (True, False):
        assert sorted(space.hits(unit_vectors(1), top_k=10, exact=exact)) == ids[:3]
    space.upsert(make_records(ids[:700], unit_vectors(700, seed=2), added_in=4))
    for exact in (True, False):
        assert len(space.hits(unit_vectors(1), top_k=700, version=4, exact=exact)) == 700


def test_what_a_version_sees_is_found_behind_a_thousand_closed(space: Namespace) -> None:
    near, far = np.repeat(unit_vectors(1), 1_000, axis=0), unit_vectors(600, seed=3)
    space.upsert(make_records([f"old#{n:04d}" for n in range(1_000)], near, added_in=1, removed_in=2))
    space.upsert(make_records([f"new#{n:04d}" for n in range(600)], far, added_in=2))
    best = np.argsort(-(far @ unit_vectors(1)[0]))[:10]
    wanted = [f"new#{number:04d}" for number in best]
    assert space.hits(unit_vectors(1), version=2) == wanted
    found = space.hits(unit_vectors(1), version=2, exact=False)
    assert len(found) == 10
    assert all(name.startswith("new#") for name in found)


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_the_index_and_the_pages_score_alike(
    target: ChromaTarget, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Namespace(target, metric)
    space.create()
    scale = np.linspace(0.5, 2, 600, dtype=np.float32)[:, None]
    vectors = np.asarray(unit_vectors(600, seed=1) * scale, np.float32)
    vectors[5] = 0
    space.upsert(make_records([f"r#{n:03d}" for n in range(600)], vectors))

    def found() -> list[list[tuple[str, float]]]:
        hits = target.query(space.name, unit_vectors(4, seed=2), top_k=9)
        return [[(hit.id, hit.score) for hit in some] for some in hits]

    by_index = found()
    monkeypatch.setattr(searching, "_FEW", 10**9)
    for one, other in zip(by_index, found(), strict=True):
        assert [name for name, _ in one] == [name for name, _ in other]
        assert np.allclose([score for _, score in one], [score for _, score in other], atol=1e-5)
    if metric == "cosine":
        zero = target.query(space.name, np.zeros((1, 8), np.float32), top_k=3)[0]
        assert [(hit.id, hit.score) for hit in zero] == [("r#000", 0.0), ("r#001", 0.0), ("r#002", 0.0)]


def test_vectors_of_any_length_come_back(target: ChromaTarget) -> None:
    vectors = unit_vectors(40, seed=3) * np.float32(3.7)
    vectors[:20] = unit_vectors(20, seed=4)
    vectors[7] = 0
    vectors[8] = np.float32(1e18)
    vectors[9] = np.float32(1e-30)
    ids = [f"v#{number:02d}" for number in range(40)]
    for metric in ("cosine", "dotproduct", "euclidean"):
        space = Namespace(target, metric)
        space.create()
        space.upsert(make_records(ids, vectors))
        found = space.fetched(ids)
        assert np.array_equal(np.array([found[name]["vector"] for name in ids], np.float32), vectors), metric
        space.upsert(make_records(ids, unit_vectors(40, seed=5)))
        again = space.fetched(ids)
        assert np.array_equal(np.array([again[name]["vector"] for name in ids], np.float32), unit_vectors(40, seed=5))


def test_more_hits_than_sqlite_takes_values(space: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is asked for the metadata of a few alone."""
    ids = [f"r#{number:04d}" for number in range(600)]
    space.upsert(make_records(ids, added_in=1))
    monkeypatch.setattr(searching, "_MOST_PROPOSED", 100)
    asked: list[int] = []
    query = searching.Searcher._query

    def counted(self: Any, queries: Any, count: int, where: Any, *, metadata: bool) -> Any:
        if metadata:
            asked.append(count)
        return query(self, queries, count, where, metadata=metadata)

    monkeypatch.setattr(searching.Searcher, "_query", counted)
    for top_k in (20, 26, 200, 10_000):
        found = space.hits(unit_vectors(1), top_k=top_k, exact=False, version=1)
        assert len(found) == min(top_k, 600)
    assert asked == [80]
    one_by_one = [space.hits(query, top_k=5, version=1, exact=False) for query in unit_vectors(7)]
    together = space.target.query(space.name, unit_vectors(7), top_k=5, version=1, exact=False)
    assert [[hit.id for hit in some] for some in together] == one_by_one


@pytest.mark.slow
@pytest.mark.parametrize("target", ["embedded"], indirect=True)
def test_the_most_hits_that_are_declared(target: ChromaTarget) -> None:
    space = Namespace(target, dimension=2)
    space.create()
    most, count = target.capabilities.max_top_k, 33_000
    vectors = unit_vectors(count, dimension=2)
    ids = [f"r#{number:05d}" for number in range(count)]
    write(space, make_records(ids, vectors, metadata=[{}] * count, text=""))
    for exact in (True, False):
        for options in ({}, {"version": 1}, {"filter": {"x": {"$ne": 1}}}):
            assert len(space.hits(unit_vectors(1, dimension=2), top_k=most, exact=exact, **options)) == most
        for version in (None, 1):
            many = target.query(space.name, unit_vectors(9, dimension=2), top_k=2_000, version=version, exact=exact)
            assert [len(some) for some in many] == [2_000] * 9
    several = target.query(space.name, unit_vectors(900, dimension=2), top_k=5, version=1, exact=False)
    assert [len(some) for some in several] == [5] * 900
