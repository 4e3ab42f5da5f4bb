"""What a request and a second may hold, and how it is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pinecone_server.data_world import Plane, data_plane, joined
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.limits import BY_METADATA, REQUESTS, UPSERTED_BYTES, Rates


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with data_plane() as found:
        yield found


def record(**more: Any) -> dict[str, Any]:
    return {"id": "a", "values": [1, 2, 3, 4], **more}


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ([], "No vectors"),
        ("a", "No vectors"),
        ([7], "object"),
        ([record()] * 1001, "1001 > 1000"),
        ([record(id="")], "ID"),
        ([record(id=7)], "ID"),
        ([record(id="x" * 513)], "513"),
        ([record(id="ü")], "ASCII"),
        ([record(id="a\0")], "ASCII"),
        ([{"id": "a"}], "list of numbers"),
        ([record(values=[1, 2, 3])], "Vector dimension 3 does not match the dimension of the index 4"),
        ([record(values=[0, 0, 0, 0.0])], "non-zero"),
        ([record(values=[1, 2, 3, None])], "list of numbers"),
        ([record(values=[1, 2, 3, "4"])], "list of numbers"),
        ([record(values=[1, 2, 3, False])], "list of numbers"),
        ([record(values=[1, 2, 3, 1e39])], "finite"),
        ([record(sparseValues={"indices": [1], "values": [1]})], "sparse"),
        ([record(metadata={"a": None})], "got 'null' for field 'a'"),
        ([record(metadata={"a": {"b": 1}})], "for field 'a'"),
        ([record(metadata={"a": ["x", 1]})], "for field 'a'"),
        ([record(metadata={"$a": 1})], "$a"),
        ([record(metadata=["a"])], "object"),
        ([record(metadata={"a": "x" * 41_000})], "exceeds the limit of 40960 bytes"),
    ],
)
def test_a_bad_record_refuses_the_whole_request(plane: Plane, bad: Any, text: str) -> None:
    good = [record(id="good"), *bad] if isinstance(bad, list) and bad and len(bad) < 1000 else bad
    assert text in plane.refused("/vectors/upsert", {"vectors": good, "namespace": "never"})
    assert plane.ids("never") == []


def test_what_just_fits(plane: Plane) -> None:
    name = plane.namespace()
    wide = {"key": "x" * (40_960 - len('{"key":""}'))}
    vectors = [record(id="x" * 512, metadata=wide), record(metadata={"": "", "n": 2**53 - 1, "list": []})]
    assert plane.call("/vectors/upsert", {"vectors": vectors, "namespace": name}).json() == {"upsertedCount": 2}
    found = plane.index.fetch(ids=["a", "x" * 512], namespace=name).vectors
    assert found["a"].metadata == {"": "", "n": 2**53 - 1, "list": []}
    assert found["x" * 512].metadata == wide
    plane.put(name, [f"r{number}" for number in range(1000)])
    assert len(plane.index.fetch(ids=[f"r{number}" for number in range(1000)], namespace=name).vectors) == 1000


def test_a_request_has_a_largest_size(plane: Plane) -> None:
    body = {"vectors": [record(id=f"r{number}", metadata={"a": "x" * 30_000}) for number in range(80)]}
    assert "2097152" in plane.refused("/vectors/upsert", body, status=413, code=11)


def test_metadata_may_not_grow_too_large_by_updates(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a"], [{"one": "x" * 30_000}])
    update = {"namespace": name, "setMetadata": {"two": "x" * 30_000}}
    for way in ({"id": "a"}, {"filter": {}}):
        assert "40960" in plane.refused("/vectors/update", {**update, **way})
    assert plane.matching(name, {"two": {"$exists": True}}) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/vectors/delete", {}),
        ("/vectors/delete", {"ids": ["a"], "deleteAll": True}),
        ("/vectors/delete", {"ids": "a"}),
        ("/vectors/delete", {"ids": ["ü"]}),
        ("/vectors/delete", {"ids": ["a"] * 1001}),
        ("/vectors/delete", {"filter": {}}),
        ("/vectors/update", {}),
        ("/vectors/update", {"id": "a", "filter": {"a": 1}}),
        ("/vectors/update", {"id": "a", "values": [1]}),
        ("/vectors/update", {"id": "a", "values": [0, 0, 0, 0]}),
        ("/vectors/update", {"id": "a", "setMetadata": {"a": None}}),
        ("/vectors/update", {"filter": {"a": 1}, "values": [1, 2, 3, 4]}),
        ("/vectors/update", {"filter": {"a": 1}}),
        ("/vectors/fetch_by_metadata", {}),
        ("/vectors/fetch_by_metadata", {"filter": {}, "limit": -1}),
        ("/vectors/fetch_by_metadata", {"filter": {}, "paginationToken": "?"}),
    ],
)
def test_what_is_no_call_is_refused(plane: Plane, path: str, body: dict[str, Any]) -> None:
    plane.put("there", ["a"])
    assert plane.refused(path, {"namespace": "there", **body})


def test_bad_urls_and_bodies(plane: Plane) -> None:
    for query in ("limit=0", "limit=101", "limit=x", "paginationToken=x", "namespace=%C3%BC"):
        assert plane.http.get(f"/vectors/list?{query}").json()["code"] == 3, query
    for query in ("", "ids=", "&".join(["ids=a"] * 1001)):
        assert plane.http.get(f"/vectors/fetch?{query}").json()["code"] == 3, query
    for body in (b"", b"{", b"[]", b'{"vectors": [NaN]}'):
        answer = plane.http.post("/vectors/upsert", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 3)


def test_updates_and_deletes_make_no_namespace(plane: Plane) -> None:
    for path, body in (
        ("/vectors/update", {"id": "a", "setMetadata": {"x": 1}}),
        ("/vectors/delete", {"ids": ["a"]}),
        ("/vectors/delete", {"deleteAll": True}),
    ):
        assert plane.refused(path, {"namespace": "not-made", **body}, 404, 5) == "Namespace not found"
    assert "not-made" not in plane.index.describe_index_stats().namespaces


def test_a_document_index_takes_no_vectors(plane: Plane) -> None:
    schema = {"fields": {"body": {"type": "string", "full_text_search": {}}}}
    headers = {"Api-Key": plane.server.api_key, "X-Pinecone-Api-Version": "2026-07"}
    made = plane.http.post(
        f"{plane.server.url}/indexes", json={"name": "papers", "schema": schema}, headers=headers
    ).raise_for_status()
    host = made.json()["host"]
    for path in ("/vectors/upsert", "/query", "/vectors/delete", "/vectors/update", "/describe_index_stats"):
        answer = plane.http.post(f"{host}{path}", json={"vectors": [record()]})
        assert answer.status_code == 400, path
        assert "document" in answer.json()["message"]
    assert plane.http.get(f"{host}/vectors/fetch?ids=a").status_code == 400


def test_rates_are_refused_with_retry_after() -> None:
    with data_plane(rate_limits=True) as plane:
        plane.put("n", ["a"])
        answers = [
            plane.call("/vectors/update", {"namespace": "n", "filter": {"x": 1}, "setMetadata": {"y": 1}})
            for _ in range(8)
        ]
        assert [answer.status_code for answer in answers[:5]] == [200] * 5
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == 8
        assert "'n'" in refused.json()["message"]
        assert 0 < float(refused.headers["Retry-After"]) <= 1
        assert plane.call("/query", {"namespace": "n", "id": "a", "topK": 1}).status_code == 200
        plane.server.knobs.rate_limits = False
        assert plane.call("/vectors/fetch_by_metadata", {"namespace": "n", "filter": {"x": 1}}).status_code == 200


def test_rates_count_the_last_second_of_a_namespace() -> None:
    now = 0.0
    rates = Rates(Knobs(rate_limits=True), clock=lambda: now)
    upsert = REQUESTS["upsert"]
    for _ in range(100):
        rates.take("n", (upsert, 1), (UPSERTED_BYTES, 499_999))
        now += 0.005
    with pytest.raises(ApiError) as caught:
        rates.take("n", (upsert, 1), (UPSERTED_BYTES, 1))
    assert float(caught.value.headers["Retry-After"]) == pytest.approx(0.5)
    rates.take("other", (upsert, 1), (UPSERTED_BYTES, 60_000_000))
    rates.take("n", (REQUESTS["query"], 1))
    now = 1.0005
    with pytest.raises(ApiError, match="bytes of upserts"):
        rates.take("n", (upsert, 1), (UPSERTED_BYTES, 600_000))
    rates.take("n", (upsert, 1), (UPSERTED_BYTES, 400_000))
    with pytest.raises(ApiError):
        rates.take("n", (upsert, 1), (UPSERTED_BYTES, 1))
    for _ in range(5):
        rates.take("n", (BY_METADATA, 1))
    with pytest.raises(ApiError):
        rates.take("n", (REQUESTS["delete"], 1), (BY_METADATA, 1))


def test_an_index_that_is_gone_answers_404(plane: Plane) -> None:
    with joined(plane.server, name="short") as other:
        other.put("n", ["a"])
        plane.sdk.delete_index("short")
        answer = other.call("/query", {"id": "a", "topK": 1, "namespace": "n"})
        assert answer.status_code == 404
