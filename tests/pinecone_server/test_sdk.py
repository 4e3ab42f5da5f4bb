"""Pinecone's official SDK, used plainly as its documentation shows, against the server: every call that it has for vectors."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pinecone import AsyncPinecone, Index, Pinecone, Vector
from pinecone.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
)

from tests.pinecone_server.conftest import SERVERLESS
from vector_pipeline.testing.pinecone_server import PineconeServer

FILMS = [
    ("drama-1", [1.0, 0.0, 0.0], {"genre": "drama", "year": 1999}),
    ("drama-2", [0.9, 0.1, 0.0], {"genre": "drama", "year": 2019}),
    ("comedy-1", [0.0, 1.0, 0.0], {"genre": "comedy", "year": 2020, "tags": ["short", "old"]}),
]


@pytest.fixture
def films(index: Index) -> Index:
    index.upsert(vectors=FILMS, namespace="films")
    return index


# --- control plane


def test_an_index_is_created_listed_described_and_deleted(pc: Pinecone) -> None:
    made = pc.create_index(name="docs", dimension=8, metric="dotproduct", spec=SERVERLESS, tags={"team": "search"})
    assert (made.name, made.status.ready, made.status.state) == ("docs", True, "Ready")
    assert (made.dimension, made.metric, made.vector_type) == (8, "dotproduct", "dense")
    assert (made.deployment.cloud, made.deployment.region) == ("aws", "us-east-1")
    described = pc.describe_index("docs")
    assert described == made
    assert dict(described.tags or {}) == {"team": "search"}
    assert pc.list_indexes().names() == ["docs"]
    assert [one.name for one in pc.indexes.list()] == ["docs"]
    assert pc.has_index("docs")
    pc.delete_index("docs")
    assert not pc.has_index("docs")
    with pytest.raises(NotFoundError, match="docs not found"):
        pc.describe_index("docs")


def test_an_index_is_created_by_a_schema(pc: Pinecone) -> None:
    schema = {"fields": {"_values": {"type": "dense_vector", "dimension": 3, "metric": "euclidean"}}}
    made = pc.indexes.create(name="classic", schema=schema)
    assert (made.dimension, made.metric) == (3, "euclidean")
    with pc.index(name="classic") as index:
        assert index.upsert(vectors=[("a", [1, 2, 3])]).upserted_count == 1


def test_a_schema_with_names_of_its_own_makes_a_document_index(pc: Pinecone) -> None:
    schema = {"fields": {"embedding": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}}
    made = pc.indexes.create(name="documents", schema=schema)
    assert set(made.schema.fields) == {"embedding"}
    with pc.index(name="documents") as index, pytest.raises(ApiError) as caught:
        index.upsert(vectors=[("a", [1, 2, 3])])
    assert caught.value.status_code == 400


def test_deletion_protection_and_tags_are_configured(pc: Pinecone) -> None:
    pc.create_index(name="kept", dimension=3, spec=SERVERLESS, deletion_protection="enabled", tags={"a": "1", "b": "2"})
    with pytest.raises(ForbiddenError, match="Deletion protection is enabled"):
        pc.delete_index("kept")
    pc.configure_index("kept", tags={"a": "", "c": "3"})
    assert dict(pc.describe_index("kept").tags or {}) == {"b": "2", "c": "3"}
    assert pc.describe_index("kept").deletion_protection == "enabled"
    pc.indexes.configure("kept", deletion_protection="disabled")
    pc.delete_index("kept")


def test_a_name_is_given_once(pc: Pinecone) -> None:
    pc.create_index(name="once", dimension=3, spec=SERVERLESS)
    with pytest.raises(ConflictError):
        pc.create_index(name="once", dimension=3, spec=SERVERLESS)


def test_a_wrong_key_is_refused(server: PineconeServer, index: Index) -> None:
    with Pinecone(api_key="wrong", host=server.url) as stranger:
        with pytest.raises(UnauthorizedError):
            stranger.list_indexes()
        with stranger.index(host=index.host) as opened, pytest.raises(UnauthorizedError):
            opened.describe_index_stats()


# --- data plane


def test_vectors_are_upserted_in_every_form_and_fetched(index: Index) -> None:
    done = index.upsert(
        vectors=[
            Vector(id="a", values=[1.0, 2.0, 3.0], metadata={"n": 1}),
            {"id": "b", "values": [0.5, 0.25, 0.125], "metadata": {"n": 2}},
            ("c", [1.0, 0.0, 0.0]),
        ]
    )
    assert done.upserted_count == 3
    assert done.response_info.lsn_committed is not None
    found = index.fetch(ids=["a", "b", "c", "none"])
    assert set(found.vectors) == {"a", "b", "c"}
    assert found.vectors["b"].values == [0.5, 0.25, 0.125]
    assert found.vectors["a"].metadata == {"n": 1}


def test_a_batched_upsert_says_what_it_did(index: Index) -> None:
    vectors = [(f"v{n:04}", [1.0, n + 1.0, 0.0], {"n": n}) for n in range(1_050)]
    done = index.upsert(vectors=vectors, namespace="many", batch_size=100, show_progress=False)
    assert (done.upserted_count, done.has_errors) == (1_050, False)
    assert index.describe_index_stats().namespaces["many"].vector_count == 1_050


def test_a_data_frame_is_upserted(index: Index) -> None:
    frame = pd.DataFrame(
        {"id": ["x", "y"], "values": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], "metadata": [{"k": "v"}, {"k": "w"}]}
    )
    index.upsert_from_dataframe(frame, namespace="frame", show_progress=False)
    assert index.fetch(ids=["y"], namespace="frame").vectors["y"].metadata == {"k": "w"}


def test_a_query_finds_the_nearest(films: Index) -> None:
    found = films.query(vector=[1, 0, 0], top_k=2, namespace="films", include_metadata=True, include_values=True)
    assert [match.id for match in found.matches] == ["drama-1", "drama-2"]
    assert found.matches[0].score == pytest.approx(1.0)
    assert found.matches[0].values == [1.0, 0.0, 0.0]
    assert found.matches[1].metadata["year"] == 2019
    assert found.usage.read_units >= 1
    by_id = films.query(id="comedy-1", top_k=1, namespace="films")
    assert [match.id for match in by_id.matches] == ["comedy-1"]
    assert by_id.matches[0].values == []


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"genre": "comedy"}, {"comedy-1"}),
        ({"genre": {"$ne": "comedy"}}, {"drama-1", "drama-2"}),
        ({"year": {"$gt": 1999, "$lte": 2020}}, {"drama-2", "comedy-1"}),
        ({"genre": {"$in": ["drama"]}}, {"drama-1", "drama-2"}),
        ({"genre": {"$nin": ["drama"]}}, {"comedy-1"}),
        ({"tags": {"$exists": True}}, {"comedy-1"}),
        ({"tags": "old"}, {"comedy-1"}),
        ({"$or": [{"genre": "comedy"}, {"year": {"$lt": 2000}}]}, {"drama-1", "comedy-1"}),
        ({"$and": [{"genre": "drama"}, {"year": {"$gte": 2019}}]}, {"drama-2"}),
    ],
)
def test_filters(films: Index, filter: dict[str, object], expected: set[str]) -> None:
    found = films.query(vector=[1, 1, 1], top_k=10, namespace="films", filter=filter)
    assert {match.id for match in found.matches} == expected
    assert set(films.fetch_by_metadata(filter=filter, namespace="films").vectors) == expected


def test_several_namespaces_are_queried_at_once(films: Index) -> None:
    films.upsert(vectors=[("other", [1.0, 0.0, 0.01])], namespace="others")
    found = films.query_namespaces(vector=[1.0, 0, 0], namespaces=["films", "others"], metric="cosine", top_k=2)
    assert [match.id for match in found.matches] == ["drama-1", "other"]


def test_records_are_fetched_by_metadata_in_pages(films: Index) -> None:
    first = films.fetch_by_metadata(filter={"year": {"$gt": 0}}, namespace="films", limit=2)
    assert len(first.vectors) == 2
    rest = films.fetch_by_metadata(
        filter={"year": {"$gt": 0}}, namespace="films", limit=2, pagination_token=first.pagination.next
    )
    assert set(first.vectors) | set(rest.vectors) == {"drama-1", "drama-2", "comedy-1"}
    assert rest.pagination is None


def test_a_record_is_updated(films: Index) -> None:
    films.update(id="drama-1", set_metadata={"year": 2000, "seen": True}, namespace="films")
    films.update(id="drama-2", values=[0.0, 0.0, 1.0], namespace="films")
    found = films.fetch(ids=["drama-1", "drama-2"], namespace="films").vectors
    assert found["drama-1"].metadata == {"genre": "drama", "year": 2000, "seen": True}
    assert found["drama-2"].values == [0.0, 0.0, 1.0]


def test_records_are_updated_by_a_filter(films: Index) -> None:
    dry = films.update(filter={"genre": "drama"}, set_metadata={"shelf": "left"}, namespace="films", dry_run=True)
    assert dry.matched_records == 2
    assert not films.fetch_by_metadata(filter={"shelf": "left"}, namespace="films").vectors
    films.update(filter={"genre": "drama"}, set_metadata={"shelf": "left"}, namespace="films")
    assert len(films.fetch_by_metadata(filter={"shelf": "left"}, namespace="films").vectors) == 2


def test_records_are_deleted_by_ids_by_filter_and_all(films: Index) -> None:
    films.delete(ids=["drama-1", "none"], namespace="films")
    assert set(films.fetch(ids=["drama-1", "drama-2"], namespace="films").vectors) == {"drama-2"}
    films.delete(filter={"genre": "drama"}, namespace="films")
    assert films.describe_index_stats().total_vector_count == 1
    films.delete(delete_all=True, namespace="films")
    assert films.describe_index_stats().total_vector_count == 0


def test_ids_are_listed_in_order_and_in_pages(index: Index) -> None:
    names = [f"doc{n % 3}#chunk{n:03}" for n in range(250)]
    index.upsert(vectors=[(name, [1.0, 2.0, 3.0]) for name in names], namespace="ids")
    listed = [item.id for page in index.list(namespace="ids") for item in page.vectors]
    assert listed == sorted(names)
    prefixed = [item.id for page in index.list(prefix="doc1#", namespace="ids", limit=50) for item in page.vectors]
    assert prefixed == sorted(name for name in names if name.startswith("doc1#"))
    page = index.list_paginated(prefix="doc2#", limit=80, namespace="ids")
    rest = index.list_paginated(prefix="doc2#", limit=80, namespace="ids", pagination_token=page.pagination.next)
    assert len(page.vectors) + len(rest.vectors) == sum(name.startswith("doc2#") for name in names)
    assert rest.pagination is None


def test_statistics(films: Index) -> None:
    stats = films.describe_index_stats()
    assert (stats.dimension, stats.metric, stats.total_vector_count) == (3, "cosine", 3)
    assert stats.namespaces["films"].vector_count == 3


def test_a_read_tells_up_to_which_write_it_sees(server: PineconeServer, index: Index) -> None:
    server.knobs.freshness_lag_s = 0.3
    written = index.upsert(vectors=[("a", [1.0, 0, 0])], namespace="lag").response_info.lsn_committed
    assert written is not None
    early = index.query(vector=[1.0, 0, 0], top_k=1, namespace="lag")
    assert not early.response_info.is_reconciled(written)
    assert not early.matches
    deadline = time.monotonic() + 10
    while not (now := index.query(vector=[1.0, 0, 0], top_k=1, namespace="lag")).response_info.is_reconciled(written):
        assert time.monotonic() < deadline
    assert [match.id for match in now.matches] == ["a"]


# --- namespaces and imports


def test_namespaces(films: Index) -> None:
    made = films.create_namespace(name="empty", schema={"fields": {"genre": {"filterable": True}}})
    assert (made.name, made.record_count) == ("empty", 0)
    assert made.indexed_fields is not None
    assert made.indexed_fields.fields == ["genre"]
    with pytest.raises(ConflictError):
        films.create_namespace(name="empty")
    described = films.describe_namespace(name="films")
    assert described.record_count == 3
    assert described.size_bytes > 0
    assert [one.name for page in films.list_namespaces() for one in page] == ["empty", "films"]
    page = films.list_namespaces_paginated(limit=1)
    assert page.total_count == 2
    rest = films.list_namespaces_paginated(limit=1, pagination_token=page.pagination.next)
    assert ([one.name for one in rest], rest.pagination) == (["films"], None)
    assert [one.name for one in films.list_namespaces_paginated(prefix="f")] == ["films"]
    films.delete_namespace(name="empty")
    with pytest.raises(NotFoundError):
        films.describe_namespace(name="empty")


def test_the_default_namespace_has_a_name(index: Index) -> None:
    index.upsert(vectors=[("a", [1.0, 0, 0])])
    assert index.describe_namespace(name="__default__").record_count == 1
    assert set(index.fetch(ids=["a"], namespace="__default__").vectors) == {"a"}


def test_a_bulk_import(index: Index, parquet_folder: Path) -> None:
    started = index.start_import(uri=str(parquet_folder), error_mode="abort")
    deadline = time.monotonic() + 20
    while (now := index.describe_import(started.id)).status not in ("Completed", "Failed", "Cancelled"):
        assert time.monotonic() < deadline
    assert (now.status, now.records_imported, now.percent_complete) == ("Completed", 2_503, 100.0)
    assert [one.id for one in index.list_imports()] == [started.id]
    assert index.list_imports_paginated(limit=10).pagination is None
    assert index.describe_namespace(name="imported").record_count == 2_500
    assert np.allclose(index.fetch(ids=["r02499"], namespace="imported").vectors["r02499"].values, [1, 2499, 0.5])
    with pytest.raises(ApiError):
        index.cancel_import(started.id)


async def _asynchronously(url: str, key: str) -> list[str]:
    async with AsyncPinecone(api_key=key, host=url) as pc, await pc.index(name="movies") as index:
        await index.upsert(vectors=[("a", [1.0, 0.0, 0.0]), ("b", [0.0, 1.0, 0.0])])
        found = await index.query(vector=[0.0, 1.0, 0.0], top_k=1)
        return [match.id for match in found.matches]


def test_the_asynchronous_client(server: PineconeServer, index: Index) -> None:
    import asyncio

    assert index.host
    assert asyncio.run(_asynchronously(server.url, server.api_key)) == ["b"]
