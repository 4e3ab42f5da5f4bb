"""Laws of the query: right neighbours in every metric, version and filter before the top k, ties by id."""

from typing import Any

import numpy as np
import pytest

from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Target, Vector
from vector_pipeline.testing.target_records import DIMENSION, Namespace, make_records, unit_vectors


def expected_scores(metric: str, vectors: Vector, query: Vector) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Scores by their definition, in float64; Euclidean ones only up to their order (negative distance)."""
    rows, one = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        return np.asarray(-np.linalg.norm(rows - one, axis=1))
    products = rows @ one
    return np.asarray(
        products if metric == "dotproduct" else products / np.linalg.norm(rows, axis=1) / np.linalg.norm(one)
    )


class QueryLaws:
    """Mixed into ``TargetConformance``."""

    @pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
    def test_nearest_first(self, target: Target, metric: str) -> None:
        if metric not in target.capabilities.metrics:
            pytest.skip(f"no {metric}")
        space = Namespace(target, metric)
        space.create()
        scale = np.linspace(0.5, 2, 40, dtype=np.float32)[:, None]
        vectors = np.asarray(unit_vectors(40, seed=1) * scale, dtype=np.float32)
        ids = [f"r#{index:02d}" for index in range(40)]
        space.upsert(make_records(ids, vectors))
        queries = unit_vectors(5, seed=2)
        for query, hits in zip(queries, target.query(space.name, queries, top_k=7), strict=True):
            scores = expected_scores(metric, vectors, query)
            best = np.argsort(-scores)[:7]
            assert [hit.id for hit in hits] == [ids[index] for index in best]
            found = [hit.score for hit in hits]
            assert found == sorted(found, reverse=True)
            if metric != "euclidean":
                assert np.allclose(found, scores[best], atol=1e-4)

    def test_a_hit_tells_its_record(self, space: Namespace) -> None:
        space.upsert(make_records(["a#1"], added_in=3, removed_in=9, metadata=[{"k": "v"}]))
        hit = space.target.query(space.name, unit_vectors(1), top_k=1)[0][0]
        assert (hit.document_id, hit.content_hash, hit.text) == ("doc a", "c-a#1", "text of a#1")
        assert (hit.added_in, hit.removed_in, dict(hit.metadata)) == (3, 9, {"k": "v"})
        bare = space.target.query(space.name, unit_vectors(1), top_k=1, include_text=False)[0][0]
        assert bare.text is None
        assert bare.metadata == {"k": "v"}

    def test_ties_are_broken_by_id(self, space: Namespace) -> None:
        ids = ["c#1", "a#1", "d#1", "b#1"]
        space.upsert(make_records(ids[:2], np.repeat(unit_vectors(1), 2, axis=0)))
        space.upsert(make_records(ids[2:], np.repeat(unit_vectors(1), 2, axis=0)))
        assert space.hits(unit_vectors(1), top_k=4) == sorted(ids)
        assert space.hits(unit_vectors(1), top_k=2) == ["a#1", "b#1"]

    def test_top_k_beyond_the_records(self, space: Namespace) -> None:
        space.upsert(make_records(["a#1", "b#1"]))
        assert len(space.hits(unit_vectors(1), top_k=100)) == 2
        for bad in (0, -1, space.target.capabilities.max_top_k + 1):
            with pytest.raises(InputError):
                space.hits(unit_vectors(1), top_k=bad)

    def test_bad_queries(self, space: Namespace) -> None:
        space.upsert(make_records(["a#1"]))
        poisoned = unit_vectors(1)
        poisoned[0, 0] = np.nan
        for bad in (unit_vectors(1, dimension=DIMENSION + 1), poisoned, unit_vectors(1)[0]):
            with pytest.raises(InputError):
                space.target.query(space.name, bad, top_k=1)
        with pytest.raises(InputError, match="regex"):
            space.hits(unit_vectors(1), filter={"n": {"$regex": "x"}})
        assert space.target.query(space.name, unit_vectors(0), top_k=1) == []

    def test_a_version_sees_its_interval(self, space: Namespace) -> None:
        if not space.target.capabilities.numeric_filters:
            pytest.skip("versions do not share a namespace")
        space.upsert(make_records(["old#1", "kept#1"], added_in=1))
        space.upsert(make_records(["new#1"], added_in=3))
        space.set_removed(["old#1"], 3)
        query = unit_vectors(1)
        for version, ids in ((0, []), (1, ["kept#1", "old#1"]), (2, ["kept#1", "old#1"]), (3, ["kept#1", "new#1"])):
            assert sorted(space.hits(query, version=version)) == ids
        assert len(space.hits(query)) == 3

    def test_filters_come_before_the_top_k(self, space: Namespace) -> None:
        count, wanted = 200, 5
        near = unit_vectors(1)[0]
        vectors = np.tile(near, (count, 1)).astype(np.float32)
        vectors[-wanted:] = -near
        ids = [f"r#{index:03d}" for index in range(count)]
        metadata = [{"rare": index >= count - wanted, "n": index} for index in range(count)]
        space.upsert(make_records(ids, vectors, metadata=metadata))
        assert space.hits(near, top_k=wanted, filter={"rare": True}) == ids[-wanted:]
        assert (
            space.hits(near, top_k=3, filter={"n": {"$gte": count - wanted}, "rare": {"$ne": False}})
            == ids[-wanted:][:3]
        )
        for exact in (True, False):
            assert len(space.hits(near, top_k=wanted, filter={"rare": True}, exact=exact)) == wanted
        if space.target.capabilities.numeric_filters:
            space.set_removed(ids[:-wanted], 2)
            for exact in (True, False):
                assert space.hits(near, top_k=wanted, version=2, exact=exact) == ids[-wanted:]

    def test_filters_mean_what_they_say(self, space: Namespace) -> None:
        ids = ["a#1", "b#1", "c#1"]
        metadata: list[dict[str, Any]] = [
            {"lang": "en", "year": 2024, "tags": ["x", "y"]},
            {"lang": "de", "year": 2025},
            {"draft": True},
        ]
        space.upsert(make_records(ids, metadata=metadata))
        cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
            ({"lang": "en"}, ["a#1"]),
            ({"lang": {"$ne": "en"}}, ["b#1", "c#1"]),
            ({"lang": {"$in": ["en", "de"]}}, ["a#1", "b#1"]),
            ({"year": {"$gt": 2024}}, ["b#1"]),
            ({"year": {"$gte": 2024, "$lt": 2025}}, ["a#1"]),
            ({"tags": "y"}, ["a#1"]),
            ({"draft": {"$exists": True}}, ["c#1"]),
            ({"$or": [{"draft": True}, {"year": 2025}]}, ["b#1", "c#1"]),
            ({"$and": [{"lang": "en"}, {"year": 2025}]}, []),
        )
        for condition, found in cases:
            assert sorted(space.hits(unit_vectors(1), filter=condition)) == found, condition
