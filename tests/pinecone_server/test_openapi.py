"""Every call's answer, good and bad, against Pinecone's published OpenAPI descriptions of API 2026-04.

The server answers in the form of the API that a request asks for. Asked for 2026-04 it must agree wholly; for 2026-07, the present
one, but for what that version changed: ``CHANGED`` says what, and why.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pinecone_server import openapi
from vector_pipeline.testing.pinecone_server import PineconeServer

pytestmark = pytest.mark.skipif(
    openapi.folder() is None,
    reason=f"Pinecone's OpenAPI descriptions are not here: name their folder in {openapi.VARIABLE}",
)

SPEC = {"serverless": {"cloud": "aws", "region": "us-east-1"}}

UNSERVED = {
    "backups, restores and collections": ("/backups", "/restore-jobs", "/collections"),
    "records with integrated embedding": ("/records", "/indexes/create-for-model"),
}
"""What the server does not do: the first segments of paths, by what they are."""

CHANGED = {
    ("GET", "/indexes"): "indexes have schema and deployment instead of dimension, metric and spec",
    ("POST", "/indexes"): "indexes have schema and deployment instead of dimension, metric and spec",
    ("GET", "/indexes/{index_name}"): "indexes have schema and deployment instead of dimension, metric and spec",
    ("PATCH", "/indexes/{index_name}"): "200 instead of 202, and the index's new form",
    ("POST", "/namespaces"): "record_count is a string, and size_bytes is new",
    ("GET", "/namespaces"): "record_count is a string, and size_bytes is new",
    ("GET", "/namespaces/{namespace}"): "record_count is a string, and size_bytes is new",
}
"""Calls whose successful answers 2026-07 changed."""
CHANGED_401 = "401 is the plain text Unauthorized"


@dataclass(frozen=True)
class Call:
    """One request: ``path`` as described, ``status`` as expected."""

    plane: str
    method: str
    path: str
    status: int
    json: Any = None
    params: Any = None
    values: tuple[tuple[str, str], ...] = ()
    key: str | None = None


def control(method: str, path: str, status: int, json: Any = None, name: str = "docs", **more: Any) -> Call:
    return Call("control", method, path, status, json, None, (("index_name", name),), **more)


def data(method: str, path: str, status: int, json: Any = None, params: Any = None, **values: str) -> Call:
    return Call("data", method, path, status, json, params, tuple(values.items()))


def calls(imports: Path) -> Iterator[Call]:
    """One after the other, on one server."""
    body = {"name": "docs", "dimension": 3, "metric": "cosine", "spec": SPEC, "tags": {"a": "1"}}
    yield control("GET", "/indexes", 200)
    yield control("POST", "/indexes", 201, {**body, "deletion_protection": "enabled"})
    yield control("POST", "/indexes", 409, body)
    yield control("POST", "/indexes", 400, {**body, "name": "Wrong Name"})
    yield control("POST", "/indexes", 400, {**body, "name": "wrong", "dimension": 0})
    yield control("POST", "/indexes", 422, {"name": "wrong"})
    yield control(
        "POST", "/indexes", 404, {**body, "name": "far", "spec": {"serverless": {"cloud": "moon", "region": "1"}}}
    )
    yield control("GET", "/indexes", 200)
    yield control("GET", "/indexes/{index_name}", 200)
    yield control("GET", "/indexes/{index_name}", 404, name="none")
    yield control("DELETE", "/indexes/{index_name}", 403)
    yield control("PATCH", "/indexes/{index_name}", 202, {"deletion_protection": "disabled", "tags": {"b": "2"}})
    yield control("PATCH", "/indexes/{index_name}", 404, {"tags": {"b": "2"}}, name="none")
    yield control("PATCH", "/indexes/{index_name}", 422, {"deletion_protection": "perhaps"})
    yield control("GET", "/indexes", 401, key="wrong")
    yield from _vectors()
    yield from _namespaces()
    yield from _imports(imports)
    yield control("DELETE", "/indexes/{index_name}", 202)
    yield control("DELETE", "/indexes/{index_name}", 404)


def _vectors() -> Iterator[Call]:
    films = [{"id": f"f{n}", "values": [1, n, 0.5], "metadata": {"n": n, "tags": ["a"], "b": True}} for n in range(3)]
    where = {"n": {"$gte": 1}}
    yield data("POST", "/vectors/upsert", 200, {"vectors": films, "namespace": "films"})
    yield data("POST", "/vectors/upsert", 400, {"vectors": [{"id": "x", "values": [1]}]})
    query = {"vector": [1, 1, 1], "topK": 2, "namespace": "films"}
    yield data("POST", "/query", 200, {**query, "includeMetadata": True, "includeValues": True, "filter": where})
    yield data("POST", "/query", 200, {**query, "namespace": "none"})
    yield data("POST", "/query", 400, {**query, "filter": {"n": {"$near": 1}}})
    yield data("GET", "/vectors/fetch", 200, None, {"ids": ["f0", "none"], "namespace": "films"})
    yield data("GET", "/vectors/fetch", 400)
    yield data("POST", "/vectors/fetch_by_metadata", 200, {"filter": where, "namespace": "films", "limit": 1})
    yield data("POST", "/vectors/fetch_by_metadata", 400, {"namespace": "films"})
    yield data("GET", "/vectors/list", 200, None, {"namespace": "films", "limit": 2, "prefix": "f"})
    yield data("GET", "/vectors/list", 200, None, {"namespace": "films"})
    yield data("GET", "/vectors/list", 400, None, {"limit": 1_000})
    yield data("POST", "/vectors/update", 200, {"id": "f0", "setMetadata": {"n": 5}, "namespace": "films"})
    yield data("POST", "/vectors/update", 200, {"filter": where, "setMetadata": {"m": 5}, "namespace": "films"})
    dry = {"filter": where, "setMetadata": {"m": 6}, "namespace": "films", "dryRun": True}
    yield data("POST", "/vectors/update", 200, dry)
    yield data("POST", "/vectors/update", 400, {"namespace": "films"})
    yield data("POST", "/describe_index_stats", 200, {})
    yield data("POST", "/describe_index_stats", 400, {"filter": where})
    yield data("POST", "/vectors/delete", 200, {"ids": ["f0"], "namespace": "films"})
    yield data("POST", "/vectors/delete", 200, {"filter": where, "namespace": "films"})
    yield data("POST", "/vectors/delete", 200, {"deleteAll": True, "namespace": "films"})
    yield data("POST", "/vectors/delete", 404, {"deleteAll": True, "namespace": "none"})


def _namespaces() -> Iterator[Call]:
    schema = {"fields": {"n": {"filterable": True}}}
    yield data("POST", "/namespaces", 200, {"name": "made", "schema": schema})
    yield data("POST", "/namespaces", 409, {"name": "made"})
    yield data("POST", "/namespaces", 400, {"name": ""})
    yield data("GET", "/namespaces", 200, None, {"limit": 1})
    yield data("GET", "/namespaces", 200, None, {"prefix": "m"})
    yield data("GET", "/namespaces", 400, None, {"paginationToken": "%%%"})
    yield data("GET", "/namespaces/{namespace}", 200, namespace="made")
    yield data("GET", "/namespaces/{namespace}", 404, namespace="none")
    yield data("DELETE", "/namespaces/{namespace}", 200, namespace="made")
    yield data("DELETE", "/namespaces/{namespace}", 404, namespace="made")


def _imports(uri: Path) -> Iterator[Call]:
    yield data("POST", "/bulk/imports", 200, {"uri": str(uri), "errorMode": {"onError": "abort"}})
    yield data("POST", "/bulk/imports", 200, {"uri": str(uri / "none")})
    yield data("POST", "/bulk/imports", 400, {"uri": ""})
    yield data("GET", "/bulk/imports", 200, None, {"limit": 1})
    yield data("GET", "/bulk/imports", 200)
    yield data("GET", "/bulk/imports/{id}", 200, id="1")
    yield data("GET", "/bulk/imports/{id}", 404, id="9")
    yield data("DELETE", "/bulk/imports/{id}", 200, id="1")
    yield data("DELETE", "/bulk/imports/{id}", 400, id="2")
    yield data("DELETE", "/bulk/imports/{id}", 404, id="9")


class Client:
    """Calls a server in the form of one API, and keeps what disagrees with the descriptions."""

    def __init__(self, server: PineconeServer, http: httpx.Client, version: str) -> None:
        self.server, self.http, self.version = server, http, version
        self.wrong: list[str] = []
        self.seen: set[tuple[str, str, str]] = set()

    def run(self, call: Call) -> None:
        path = call.path
        for name, value in call.values:
            path = path.replace(f"{{{name}}}", value)
        headers = {"Api-Key": call.key or self.server.api_key, "X-Pinecone-Api-Version": self.version}
        base = self.server.url if call.plane == "control" else self._host()
        answer = self.http.request(call.method, base + path, json=call.json, params=call.params, headers=headers)
        expected = 200 if call.status == 202 and call.method == "PATCH" and self.version != "2026-04" else call.status
        shown = f"{call.method} {path} {call.json}"
        if answer.status_code != expected:
            self.wrong.append(f"{shown}: {answer.status_code} instead of {expected}: {answer.text[:300]}")
        self.seen.add((call.plane, call.method, call.path))
        if self.version != "2026-04" and (answer.status_code == 401 or self._changed(call, answer)):
            return
        self.wrong += [f"{shown}: {fault}" for fault in openapi.faults(call.plane, call.method, call.path, answer)]

    def _changed(self, call: Call, answer: httpx.Response) -> bool:
        return answer.is_success and (call.method, call.path) in CHANGED

    def _host(self) -> str:
        headers = {"Api-Key": self.server.api_key}
        return str(self.http.get(f"{self.server.url}/indexes/docs", headers=headers).json()["host"])


@pytest.mark.parametrize("version", ["2026-04", "2026-07"])
def test_every_answer_is_as_published(server: PineconeServer, parquet_folder: Path, version: str) -> None:
    server.knobs.imports_s = 3600
    with httpx.Client() as http:
        client = Client(server, http, version)
        for call in calls(parquet_folder):
            client.run(call)
    assert not client.wrong, "\n".join(client.wrong)
    unserved = tuple(path for paths in UNSERVED.values() for path in paths)
    for plane in openapi.FILES:
        for method, path in openapi.operations(plane):
            left_out = path.startswith(unserved) or "/backups" in path
            assert left_out != ((plane, method, path) in client.seen), f"{method} {path}"


@pytest.mark.parametrize("fault", ["too_many_requests", "unavailable", "quota"])
def test_refusals_by_knobs_are_as_published(server: PineconeServer, tmp_path: Path, fault: str) -> None:
    with httpx.Client() as http:
        client = Client(server, http, "2026-04")
        client.run(control("POST", "/indexes", 201, {"name": "docs", "dimension": 3, "metric": "cosine", "spec": SPEC}))
        server.knobs.change({fault: "402" if fault == "quota" else 1})
        status = {"too_many_requests": 429, "unavailable": 503, "quota": 402}[fault]
        client.run(data("POST", "/vectors/upsert", status, {"vectors": [{"id": "a", "values": [1, 2, 3]}]}))
    assert not client.wrong, "\n".join(client.wrong)


def test_the_descriptions_are_made_strict() -> None:
    """An answer with one word too many is noticed: else the other tests would prove little."""
    answer = httpx.Response(200, json={"upsertedCount": 1, "more": 1})
    assert openapi.faults("data", "POST", "/vectors/upsert", answer)
    assert not openapi.faults("data", "POST", "/vectors/upsert", httpx.Response(200, json={"upsertedCount": 1}))
