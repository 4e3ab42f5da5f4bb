"""Scores, order and ties of queries, against their definition."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pinecone_server.data_world import Plane, data_plane, joined, random_vectors
from vector_pipeline.testing.pinecone_server.search import Block


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with data_plane() as found:
        yield found


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_scores_are_those_of_the_metric(plane: Plane, metric: str) -> None:
    with joined(plane.server, 8, metric, f"by-{metric}") as other:
        vectors = random_vectors(60, 8, seed=3) * np.linspace(0.2, 3, 60, dtype=np.float32)[:, None]
        query = random_vectors(1, 8, seed=4)[0]
        other.index.upsert(vectors=[(f"r{n:02}", row.tolist()) for n, row in enumerate(vectors)])
        found = other.index.query(vector=query.tolist(), top_k=10).matches
    rows, one = vectors.astype(np.float64), query.astype(np.float64)
    wanted = {
        "cosine": rows @ one / np.linalg.norm(rows, axis=1) / np.linalg.norm(one),
        "dotproduct": rows @ one,
        "euclidean": ((rows - one) ** 2).sum(axis=1),
    }[metric]
    order = np.argsort(wanted if metric == "euclidean" else -wanted)[:10]
    assert [match.id for match in found] == [f"r{n:02}" for n in order]
    assert [match.score for match in found] == pytest.approx(wanted[order], rel=1e-6)


def test_equal_scores_go_by_id(plane: Plane) -> None:
    name = plane.namespace()
    for ids in (["c", "a"], ["d", "b", "A"]):
        plane.index.upsert(vectors=[(each, [0.1, 0.2, 0.3, 0.4]) for each in ids], namespace=name)
    for top_k in (1, 3, 5, 100):
        found = plane.index.query(vector=[1, 1, 1, 1], top_k=top_k, namespace=name).matches
        assert [match.id for match in found] == ["A", "a", "b", "c", "d"][:top_k]


def test_a_query_by_the_id_of_nothing_finds_nothing(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a"])
    assert plane.index.query(id="b", top_k=3, namespace=name).matches == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"topK": 0, "vector": [1, 1, 1, 1]},
        {"topK": 10_001, "vector": [1, 1, 1, 1]},
        {"topK": True, "vector": [1, 1, 1, 1]},
        {"topK": 3},
        {"topK": 3, "vector": [1, 1, 1, 1], "id": "a"},
        {"topK": 3, "vector": [1, 1, 1]},
        {"topK": 3, "vector": [1, 1, 1, "1"]},
        {"topK": 3, "vector": [1, 1, 1, None]},
        {"topK": 3, "vector": [1, 1, 1, True]},
        {"topK": 3, "vector": [1, 1, 1, 1e300]},
        {"topK": 3, "vector": [1, 1, 1, 1], "namespace": 7},
        {"topK": 3, "vector": [1, 1, 1, 1], "sparseVector": {"indices": [1], "values": [1]}},
    ],
)
def test_what_is_no_query_is_refused(plane: Plane, body: dict[str, object]) -> None:
    assert plane.refused("/query", body)


def test_a_result_has_a_largest_size(plane: Plane) -> None:
    name = plane.namespace()
    for start in range(0, 120, 40):
        ids = [f"r{number:03}" for number in range(start, start + 40)]
        plane.put(name, ids, [{"text": "x" * 40_000}] * 40)
    body = {"namespace": name, "vector": [1, 1, 1, 1], "topK": 120}
    assert "4194304" in plane.refused("/query", {**body, "includeMetadata": True}, code=11)
    assert len(plane.call("/query", body).json()["matches"]) == 120


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_best_are_found_whatever_was_written_and_deleted(data: st.DataObject) -> None:
    """A block after many writes ranks as a sort over its records does."""
    coordinates = st.integers(-3, 3).map(float)
    vectors = st.lists(coordinates, min_size=2, max_size=2).filter(any)
    names = st.sampled_from("abcdefgh")
    block, kept = Block(2), {}
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            batch = data.draw(st.dictionaries(names, vectors, min_size=1))
            block.put(list(batch), np.array(list(batch.values()), np.float32), [None] * len(batch), [1] * len(batch))
            kept |= batch
        else:
            gone = data.draw(st.lists(names))
            block.remove(gone)
            kept = {name: vector for name, vector in kept.items() if name not in gone}
    query, top_k = np.array(data.draw(vectors), np.float32), data.draw(st.integers(1, 9))
    found = [block.ids[hit.slot] for hit in block.nearest(query, "dotproduct", top_k)]
    assert found == sorted(kept, key=lambda name: (-float(np.dot(kept[name], query)), name))[:top_k]
    assert block.page("", None, 100) == sorted(kept)
    assert len(block) == block.size_bytes == len(kept)
