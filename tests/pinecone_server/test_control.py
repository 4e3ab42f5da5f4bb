"""The control plane beyond what the SDK asks of it: older forms, bad requests, ports, restarts."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from pinecone import Pinecone

from tests.pinecone_server.conftest import SERVERLESS
from vector_pipeline.errors import ConflictError, UnavailableError
from vector_pipeline.testing.pinecone_server import PineconeServer
from vector_pipeline.testing.pinecone_server.places import bind

OLDER = {"X-Pinecone-Api-Version": "2026-04"}
CLASSIC = {"type": "dense_vector", "dimension": 3, "metric": "cosine"}


@pytest.fixture
def control(server: PineconeServer) -> Any:
    with httpx.Client(base_url=server.url, headers={"Api-Key": server.api_key}) as client:
        yield client


def test_both_forms_make_the_same_index(control: httpx.Client) -> None:
    spec = {"serverless": {"cloud": "gcp", "region": "us-central1"}}
    old = {"name": "old", "dimension": 3, "metric": "cosine", "spec": spec}
    new = {
        "name": "new",
        "schema": {"fields": {"_values": CLASSIC}},
        "deployment": {"cloud": "gcp", "region": "us-central1"},
    }
    told = [control.post("/indexes", json=body).json() for body in (old, new)]
    assert told[0] == {**told[1], "name": "old", "host": told[0]["host"]}
    assert told[0]["schema"] == {"fields": {"_values": CLASSIC}}
    older = control.get("/indexes/new", headers=OLDER).json()
    assert (older["dimension"], older["metric"], older["vector_type"]) == (3, "cosine", "dense")
    assert older["spec"]["serverless"]["region"] == "us-central1"


def test_an_index_without_a_name_gets_one(control: httpx.Client) -> None:
    made = control.post("/indexes", json={"schema": {"fields": {"_values": CLASSIC}}}).json()
    assert control.get(f"/indexes/{made['name']}").status_code == 200
    assert made["deployment"] == {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "UPPER"}, 400),
        ({"name": "-a"}, 400),
        ({"name": "a" * 46}, 400),
        ({"schema": {"fields": {}}}, 422),
        ({"schema": {"fields": {"_values": {"type": "vector"}}}}, 422),
        ({"schema": {"fields": {"_values": {**CLASSIC, "dimension": 20_001}}}}, 400),
        ({"schema": {"fields": {"_values": {**CLASSIC, "metric": "manhattan"}}}}, 400),
        ({"schema": {"fields": {"_sparse_values": {"type": "sparse_vector"}}}}, 400),
        ({"deployment": {"deployment_type": "pod"}}, 400),
        ({"deployment": {"cloud": "moon", "region": "1"}}, 404),
        ({"deletion_protection": "maybe"}, 422),
        ({"tags": {"a b": "1"}}, 400),
        ({"tags": {"a": "x" * 121}}, 400),
        ({"tags": {f"t{n}": "1" for n in range(21)}}, 400),
        ({"tags": {"a": 1}}, 422),
    ],
)
def test_bad_requests_make_nothing(control: httpx.Client, body: dict[str, Any], status: int) -> None:
    refused = control.post("/indexes", json={"name": "docs", "schema": {"fields": {"_values": CLASSIC}}, **body})
    assert refused.status_code == status
    assert refused.json()["status"] == status
    assert control.get("/indexes").json() == {"indexes": []}


def test_no_json_is_a_bad_request(control: httpx.Client) -> None:
    for body in (b"{", b"[]"):
        assert control.post("/indexes", content=body).status_code == 400


def test_what_cannot_be_configured_is_refused(control: httpx.Client) -> None:
    control.post("/indexes", json={"name": "docs", "schema": {"fields": {"_values": CLASSIC}}})
    for body in ({"schema": {"fields": {"x": CLASSIC}}}, {"deployment": {"replicas": 2}}):
        assert control.patch("/indexes/docs", json=body).status_code == 400


def test_each_index_has_a_port_and_a_deleted_one_has_none(control: httpx.Client, server: PineconeServer) -> None:
    hosts = [
        control.post("/indexes", json={"name": name, "schema": {"fields": {"_values": CLASSIC}}}).json()["host"]
        for name in ("one", "two")
    ]
    assert len({*hosts, server.url}) == 3
    headers = {"Api-Key": server.api_key}
    httpx.post(f"{hosts[0]}/vectors/upsert", json={"vectors": [{"id": "a", "values": [1, 2, 3]}]}, headers=headers)
    counts = [httpx.post(f"{host}/describe_index_stats", json={}, headers=headers).json() for host in hosts]
    assert [count["totalVectorCount"] for count in counts] == [1, 0]
    assert httpx.get(f"{hosts[0]}/indexes", headers=headers).status_code == 404
    control.delete("/indexes/one")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{hosts[0]}/vectors/list", headers=headers)


def test_several_keys(tmp_path: Path) -> None:
    with PineconeServer(api_keys=("first", "second")) as server:
        for key, status in (("first", 200), ("second", 200), ("third", 401)):
            assert httpx.get(f"{server.url}/indexes", headers={"Api-Key": key}).status_code == status
        assert httpx.get(f"{server.url}/indexes").status_code == 401
        assert httpx.get(f"{server.url}/indexes").text == "Unauthorized"


def make_index(server: PineconeServer) -> str:
    """An index with one record; its host."""
    with Pinecone(server.api_key, host=server.url) as pc:
        host = pc.create_index(name="kept", dimension=3, spec=SERVERLESS, tags={"a": "1"}).host
        with pc.Index(host=host) as index:
            index.upsert(vectors=[("a", [1.0, 2.0, 3.0])])
    assert host is not None
    return host


def test_a_restart_keeps_everything_and_the_ports(tmp_path: Path) -> None:
    with PineconeServer(tmp_path) as server:
        host, url = make_index(server), server.url
    with PineconeServer(tmp_path) as again, Pinecone(again.api_key, host=again.url) as pc:
        assert again.url == url
        assert dict(pc.describe_index("kept").tags or {}) == {"a": "1"}
        with pc.Index(host=host) as index:
            assert set(index.fetch(ids=["a"]).vectors) == {"a"}


def test_a_port_that_is_taken_is_given_up(tmp_path: Path) -> None:
    with PineconeServer(tmp_path) as server:
        host = make_index(server)
    taken = bind(int(host.rpartition(":")[2]))
    try:
        with PineconeServer(tmp_path) as again, Pinecone(again.api_key, host=again.url) as pc:
            described = pc.describe_index("kept").host
            assert described is not None
            assert described != host
            with pc.Index("kept") as index:
                assert index.describe_index_stats().total_vector_count == 1
    finally:
        taken.close()


def test_a_wanted_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with PineconeServer() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(UnavailableError, match=f"port {port} on 127.0.0.1 cannot be used"):
            PineconeServer(tmp_path, port=port).start()
    with PineconeServer(tmp_path):  # its folder was let go
        pass


def test_a_folder_is_one_servers(tmp_path: Path) -> None:
    with PineconeServer(tmp_path), pytest.raises(ConflictError, match="another Pinecone-protocol server"):
        PineconeServer(tmp_path).start()


def test_in_memory_nothing_is_kept() -> None:
    with PineconeServer() as server:
        make_index(server)
    with server.start(), Pinecone(server.api_key, host=server.url) as pc:
        assert pc.list_indexes().names() == []
