"""The OpenAPI document: valid, current, and what a client may rely on. Responses are held against it by every test's client."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate

from tests.service.conftest import QUERY, asked
from tests.service.test_endpoints import config_of
from vector_pipeline.project import Project

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "generate_openapi.py"


@pytest.mark.slow
def test_the_document_is_current() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], check=False)
    assert done.returncode == 0, "run: python docs/generate_openapi.py"


def test_the_document_is_valid_and_served(released: Project) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        found = (await client.get("/openapi.json")).json()
        validate(found)
        assert set(found["paths"]) == {
            "/healthz",
            "/readyz",
            "/metrics",
            "/v1/datasets",
            "/v1/datasets/{dataset}/query",
        }
        statuses = found["paths"]["/v1/datasets/{dataset}/query"]["post"]["responses"]
        assert set(statuses) == {"200", *map(str, (400, 401, 404, 408, 409, 413, 415, 422, 500, 503, 504))}
        for schema in found["components"]["schemas"].values():
            for name, one in schema["properties"].items():
                told = "description" in one or "const" in one or "$ref" in one or "anyOf" in one or name in _PLAIN
                assert told, f"{schema['title']}.{name} is not described"

    asked(config_of(released), ask)


_PLAIN = {
    "document", "text", "score", "dataset", "name", "state", "space", "arm", "version", "route", "share", "datasets", "ready",
    "reason", "status",
}  # fmt: skip


def test_what_is_unknown_is_refused_and_answers_may_grow(released: Project) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
        assert [name for name, one in schemas.items() if one.get("additionalProperties") is False] == ["QueryRequest"]
        assert (await client.post(QUERY, json={"query": "a", "topk": 1})).status_code == 422

    asked(config_of(released), ask)
