"""Namespace aliases: reads go through, writes are refused, each refusal with its documented reason."""

from typing import Any

import httpx
import pytest
from pinecone import Index

from vector_pipeline.testing.pinecone_server import PineconeServer


@pytest.fixture(autouse=True)
def versions(index: Index) -> None:
    index.upsert(vectors=[("one", [1.0, 0, 0], {"v": 1})], namespace="v1")
    index.upsert(vectors=[("two", [1.0, 0, 0], {"v": 2})], namespace="v2")


def make(http: httpx.Client, name: str = "live", target: str = "v1") -> httpx.Response:
    return http.post("/namespace-aliases", json={"name": name, "target_namespace": target})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason."""
    return answer.status_code, answer.json()["details"][0]["reason"]


def test_an_alias_is_made_described_repointed_listed_and_deleted(http: httpx.Client) -> None:
    made = make(http)
    assert made.status_code == 200
    assert {key: made.json()[key] for key in ("name", "target_namespace")} == {"name": "live", "target_namespace": "v1"}
    moved = http.patch("/namespace-aliases/live", json={"target_namespace": "v2"}).json()
    assert moved["target_namespace"] == "v2"
    assert moved["updated_at"] > made.json()["updated_at"]
    assert moved["created_at"] == made.json()["created_at"]
    assert http.get("/namespace-aliases/live").json() == moved
    assert http.get("/namespace-aliases").json() == {"namespace_aliases": [moved], "total_count": 1}
    assert http.delete("/namespace-aliases/live").json() == {}
    assert refusal(http.delete("/namespace-aliases/live")) == (404, "ALIAS_NOT_FOUND")


def test_aliases_are_listed_in_pages_by_prefix_and_by_target(http: httpx.Client) -> None:
    for number in range(5):
        make(http, f"a{number}", "v1" if number % 2 else "v2")
    make(http, "b")
    first = http.get("/namespace-aliases", params={"limit": 4}).json()
    token = first["pagination"]["next"]
    rest = http.get("/namespace-aliases", params={"limit": 4, "paginationToken": token}).json()
    assert [one["name"] for one in first["namespace_aliases"] + rest["namespace_aliases"]] == [
        "a0", "a1", "a2", "a3", "a4", "b",
    ]  # fmt: skip
    assert "pagination" not in rest
    chosen = http.get("/namespace-aliases", params={"prefix": "a", "target_namespace": "v1"}).json()
    assert [one["name"] for one in chosen["namespace_aliases"]] == ["a1", "a3"]


def test_reads_go_through_an_alias(index: Index, http: httpx.Client) -> None:
    make(http)
    for target, expected in (("v1", "one"), ("v2", "two")):
        http.patch("/namespace-aliases/live", json={"target_namespace": target})
        assert [match.id for match in index.query(vector=[1.0, 0, 0], top_k=5, namespace="live").matches] == [expected]
        assert set(index.fetch(ids=["one", "two"], namespace="live").vectors) == {expected}
        assert [item.id for item in index.list_paginated(namespace="live").vectors] == [expected]
        assert set(index.fetch_by_metadata(filter={"v": {"$gt": 0}}, namespace="live").vectors) == {expected}


def test_writes_to_an_alias_are_refused(http: httpx.Client) -> None:
    make(http)
    upsert = {"namespace": "live", "vectors": [{"id": "a", "values": [1, 2, 3]}]}
    assert refusal(http.post("/vectors/upsert", json=upsert)) == (409, "NAME_IN_USE_BY_ALIAS")
    update = {"namespace": "live", "id": "one", "setMetadata": {"a": 1}}
    assert refusal(http.post("/vectors/update", json=update)) == (400, "WRITE_TO_ALIAS")
    assert refusal(http.post("/vectors/delete", json={"namespace": "live", "ids": ["one"]})) == (400, "WRITE_TO_ALIAS")
    assert refusal(http.post("/namespaces", json={"name": "live"})) == (409, "NAME_IN_USE_BY_ALIAS")
    assert refusal(http.get("/namespaces/live")) == (400, "NAMESPACE_OPERATION_ON_ALIAS")
    assert refusal(http.delete("/namespaces/live")) == (400, "NAMESPACE_OPERATION_ON_ALIAS")


def test_a_target_is_not_deleted_under_its_alias(http: httpx.Client) -> None:
    make(http)
    assert refusal(http.delete("/namespaces/v1")) == (400, "NAMESPACE_TARGETED_BY_ALIAS")
    http.patch("/namespace-aliases/live", json={"target_namespace": "v2"})
    assert http.delete("/namespaces/v1").status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "live", "target_namespace": "v1"}, (409, "ALIAS_ALREADY_EXISTS")),
        ({"name": "v1", "target_namespace": "v2"}, (409, "NAME_IN_USE_BY_NAMESPACE")),
        ({"name": "other", "target_namespace": "none"}, (404, "TARGET_NAMESPACE_NOT_FOUND")),
        ({"name": "other", "target_namespace": "live"}, (400, "TARGET_IS_ALIAS")),
        ({"name": "", "target_namespace": "v1"}, (400, "ALIAS_NAME_INVALID")),
    ],
)
def test_refusals_say_their_reason(http: httpx.Client, body: dict[str, Any], expected: tuple[int, str]) -> None:
    make(http)
    refused = http.post("/namespace-aliases", json=body)
    assert refusal(refused) == expected
    if expected[1] == "ALIAS_ALREADY_EXISTS":
        assert refused.json()["details"][0]["metadata"] == {"target_namespace": "v1"}
    assert http.get("/namespace-aliases").json()["total_count"] == 1


def test_a_failed_repoint_changes_nothing(http: httpx.Client) -> None:
    made = make(http).json()
    assert refusal(http.patch("/namespace-aliases/live", json={"target_namespace": "none"}))[0] == 404
    assert http.get("/namespace-aliases/live").json() == made


def test_a_service_without_aliases(server: PineconeServer, http: httpx.Client) -> None:
    server.knobs.aliases = False
    for answer in (
        make(http),
        http.get("/namespace-aliases"),
        http.patch("/namespace-aliases/live", json={"target_namespace": "v1"}),
        http.delete("/namespace-aliases/live"),
    ):
        assert answer.status_code == 404
    server.knobs.aliases = True
    older = {"X-Pinecone-Api-Version": "2026-04"}
    assert http.get("/namespace-aliases", headers=older).status_code == 404
