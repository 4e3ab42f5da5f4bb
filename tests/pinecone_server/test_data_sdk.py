"""Pinecone's SDK, used plainly as its documentation shows, against the data plane."""

from collections.abc import Iterator

import numpy as np
import pytest
from pinecone import NotFoundError, Vector

from tests.pinecone_server.data_world import Plane, data_plane, random_vectors


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with data_plane() as found:
        yield found


def test_upsert_and_query(plane: Plane) -> None:
    name = plane.namespace()
    answer = plane.index.upsert(
        vectors=[
            ("a", [1.0, 0.0, 0.0, 0.0], {"genre": "comedy", "year": 2020}),
            Vector(id="b", values=[0.9, 0.1, 0.0, 0.0], metadata={"genre": "drama", "seen": True}),
            {"id": "c", "values": [0.0, 0.0, 0.0, 1.0]},
        ],
        namespace=name,
    )
    assert answer.upserted_count == 3
    found = plane.index.query(vector=[1.0, 0.0, 0.0, 0.0], top_k=2, namespace=name, include_metadata=True)
    assert [match.id for match in found.matches] == ["a", "b"]
    assert found.matches[0].score == pytest.approx(1.0)
    assert found.matches[0].values == []
    assert found.matches[0].metadata == {"genre": "comedy", "year": 2020.0}
    assert found.namespace == name
    assert found.usage is not None
    assert found.usage.read_units == 1
    full = plane.index.query(id="a", top_k=1, namespace=name, include_values=True, filter={"genre": "drama"})
    assert [match.id for match in full.matches] == ["b"]
    assert full.matches[0].values == pytest.approx([0.9, 0.1, 0.0, 0.0])
    assert full.matches[0].metadata is None


def test_a_query_says_whether_it_saw_a_write(plane: Plane) -> None:
    name = plane.namespace()
    written = plane.index.upsert(vectors=[("a", [1, 0, 0, 0])], namespace=name).response_info
    assert written is not None
    assert written.lsn_committed == 1
    seen = plane.index.query(id="a", top_k=1, namespace=name).response_info
    assert seen is not None
    assert seen.is_reconciled(1)
    assert not seen.is_reconciled(2)
    fetched = plane.index.fetch(ids=["a"], namespace=name).response_info
    assert fetched is not None
    assert fetched.lsn_reconciled is None


def test_batched_upserts(plane: Plane) -> None:
    name = plane.namespace()
    vectors = [(f"v{number:03}", vector.tolist()) for number, vector in enumerate(random_vectors(250, 4))]
    answer = plane.index.upsert(vectors=vectors, namespace=name, batch_size=20)
    assert not answer.has_errors
    assert answer.upserted_count == 250
    assert plane.index.describe_index_stats().namespaces[name].vector_count == 250


def test_fetch_gives_float32_back(plane: Plane) -> None:
    name = plane.namespace()
    vector = random_vectors(1, 4)[0]
    plane.index.upsert(vectors=[("a b/ü?".replace("ü", "#"), vector.tolist(), {"k": ["x", "y"]})], namespace=name)
    found = plane.index.fetch(ids=["a b/#?", "absent"], namespace=name)
    assert list(found.vectors) == ["a b/#?"]
    assert np.array_equal(np.array(found.vectors["a b/#?"].values, np.float32), vector)
    assert found.vectors["a b/#?"].metadata == {"k": ["x", "y"]}


def test_list_by_prefix_and_pages(plane: Plane) -> None:
    name = plane.namespace()
    ids = [f"{kind}#{number:03}" for kind in "ba" for number in range(120)]
    plane.put(name, ids)
    pages = list(plane.index.list(prefix="a#", namespace=name))
    assert [len(page.vectors) for page in pages] == [100, 20]
    assert [each.id for page in pages for each in page.vectors] == sorted(ids)[:120]
    first = plane.index.list_paginated(prefix="b#", limit=7, namespace=name)
    assert first.pagination is not None
    second = plane.index.list_paginated(prefix="b#", limit=7, namespace=name, pagination_token=first.pagination.next)
    assert [each.id for each in second.vectors] == [f"b#{number:03}" for number in range(7, 14)]
    assert plane.index.list_paginated(prefix="zz", namespace=name).pagination is None
    exact = plane.index.list_paginated(prefix="a#00", limit=10, namespace=name)
    assert (len(exact.vectors), exact.pagination) == (10, None)


def test_update_by_id_merges(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a"], [{"kept": 1, "changed": "old"}])
    plane.index.update(id="a", set_metadata={"changed": "new", "more": True}, namespace=name)
    plane.index.update(id="a", values=[0.0, 1.0, 0.0, 0.0], namespace=name)
    plane.index.update(id="absent", set_metadata={"x": 1}, namespace=name)
    found = plane.index.fetch(ids=["a", "absent"], namespace=name).vectors
    assert list(found) == ["a"]
    assert found["a"].metadata == {"kept": 1.0, "changed": "new", "more": True}
    assert found["a"].values == [0.0, 1.0, 0.0, 0.0]


def test_a_dry_run_by_id_writes_all_the_same(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a"])
    answer = plane.index.update(id="a", set_metadata={"x": 1}, dry_run=True, namespace=name)
    assert answer.matched_records is None
    assert plane.index.fetch(ids=["a"], namespace=name).vectors["a"].metadata == {"x": 1.0}


def test_update_by_filter(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a", "b", "c"], [{"n": 1}, {"n": 2}, {"n": 3}])
    condition = {"n": {"$gte": 2}}
    assert (
        plane.index.update(filter=condition, set_metadata={"x": 1}, dry_run=True, namespace=name).matched_records == 2
    )
    assert plane.matching(name, {"x": {"$exists": True}}) == []
    assert plane.index.update(filter=condition, set_metadata={"n": 9}, namespace=name).matched_records == 2
    assert plane.matching(name, {"n": 9}) == ["b", "c"]


def test_fetch_by_metadata_pages(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, [f"r{number}" for number in range(9)], [{"even": number % 2 == 0} for number in range(9)])
    first = plane.index.fetch_by_metadata(filter={"even": True}, namespace=name, limit=3)
    assert list(first.vectors) == ["r0", "r2", "r4"]
    assert len(first.vectors["r0"].values) == 4
    assert first.pagination is not None
    second = plane.index.fetch_by_metadata(
        filter={"even": True}, namespace=name, limit=3, pagination_token=first.pagination.next
    )
    assert list(second.vectors) == ["r6", "r8"]
    assert second.pagination is None


def test_deletes(plane: Plane) -> None:
    name = plane.namespace()
    ids = [f"r{number}" for number in range(9)]
    plane.put(name, ids, [{"n": number} for number in range(9)])
    plane.index.delete(ids=["r0", "absent", "r0"], namespace=name)
    assert plane.ids(name) == ids[1:]
    plane.index.delete(filter={"n": {"$lt": 4}}, namespace=name)
    assert plane.ids(name) == ids[4:]
    plane.index.delete(delete_all=True, namespace=name)
    assert plane.ids(name) == []
    assert plane.index.describe_index_stats().namespaces[name].vector_count == 0
    with pytest.raises(NotFoundError, match="Namespace not found"):
        plane.index.delete(delete_all=True, namespace="never-made")


def test_the_default_namespace_has_two_names(plane: Plane) -> None:
    plane.index.upsert(vectors=[("a", [1, 0, 0, 0])])
    plane.index.upsert(vectors=[("b", [1, 0, 0, 0])], namespace="__default__")
    assert plane.ids("") == plane.ids("__default__") == ["a", "b"]
    assert plane.index.query(id="a", top_k=5).namespace == ""
    stats = plane.index.describe_index_stats()
    assert stats.namespaces["__default__"].vector_count == 2
    assert "" not in stats.namespaces


def test_what_was_never_made_is_empty_to_readers(plane: Plane) -> None:
    assert plane.index.query(vector=[1, 0, 0, 0], top_k=3, namespace="no").matches == []
    assert plane.index.fetch(ids=["a"], namespace="no").vectors == {}
    assert plane.ids("no") == []
    assert "no" not in plane.index.describe_index_stats().namespaces


def test_statistics(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a", "b"])
    stats = plane.index.describe_index_stats()
    assert (stats.dimension, stats.metric, stats.vector_type) == (4, "cosine", "dense")
    assert stats.total_vector_count == sum(each.vector_count for each in stats.namespaces.values())
    assert "filter" in plane.refused("/describe_index_stats", {"filter": {"a": 1}})


def test_a_record_that_is_written_again_is_replaced_whole(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a"], [{"old": 1}])
    answer = plane.call(
        "/vectors/upsert",
        {"namespace": name, "vectors": [{"id": "a", "values": [1, 2, 3, n]} for n in (4, 5)]},
    )
    assert answer.json() == {"upsertedCount": 2}
    found = plane.index.fetch(ids=["a"], namespace=name).vectors["a"]
    assert (found.values, found.metadata) == ([1, 2, 3, 5], None)
    assert plane.index.describe_index_stats().namespaces[name].vector_count == 1
