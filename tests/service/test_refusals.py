"""What is refused: by whom, with which status, and without repeating what nobody may see."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.conftest import QUERY, asked
from tests.service.test_endpoints import config_of
from tests.serving.conftest import namespace_of
from tests.serving.test_limits import Flaky
from vector_pipeline.errors import (
    ConfigError,
    ConflictError,
    CorruptError,
    InputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
    VectorPipelineError,
)
from vector_pipeline.project import Project
from vector_pipeline.service.limits import MAX_QUERIES, MAX_TEXT, MAX_TOP_K, Limits
from vector_pipeline.service.problems import status_of
from vector_pipeline.serving.questions import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES
from vector_pipeline.targets.duckdb.target import DuckDBTarget

SECRET = "nobody-may-see-this"


@pytest.fixture
def config(released: Project) -> Path:
    return config_of(released)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 400),
        (NotFoundError("x"), 404),
        (RefusedError("x"), 409),
        (ConflictError("x"), 409),
        (UnavailableError("x"), 503),
        (UnknownOutcomeError("x"), 503),
        (UnavailableError("x", kind="timeout"), 504),
        (ConfigError("x"), 500),
        (CorruptError("x"), 500),
    ],
)
def test_status_of_errors(error: VectorPipelineError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({}, 422, "body.query"),
        ({"query": ""}, 422, "body.query"),
        ({"query": "   "}, 400, None),
        ({"query": []}, 422, "body.query"),
        ({"query": ["a", 1]}, 422, "body.query.1"),
        ({"query": {SECRET: SECRET}}, 422, "body.query"),
        ({"query": "a" * (MAX_TEXT + 1)}, 422, "body.query"),
        ({"query": ["a"] * (MAX_QUERIES + 1)}, 422, "body.query"),
        ({"query": "a", "top_k": 0}, 422, "body.top_k"),
        ({"query": "a", "top_k": True}, 422, "body.top_k"),
        ({"query": "a", "top_k": MAX_TOP_K + 1}, 422, "body.top_k"),
        ({"query": "a", "filter": [SECRET]}, 422, "body.filter"),
        ({"query": "a", "filter": {}}, 400, None),
        ({"query": "a", "filter": {"$foo": 1}}, 400, None),
        ({"query": "a", "key": ""}, 422, "body.key"),
        ({"query": "a", "target": "nowhere"}, 404, None),
        ({"query": "a", "space": "nowhere"}, 404, None),
        ({"text": SECRET}, 422, "body.text"),
    ],
)
def test_wrong_requests(config: Path, body: dict[str, Any], status: int, at: str | None) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        found = await client.post(QUERY, json=body)
        said = found.json()
        assert (found.status_code, said["status"], said["type"]) == (status, status, "about:blank")
        assert found.headers["content-type"] == "application/problem+json"
        assert "\n" not in said["detail"]
        assert SECRET not in found.text
        assert at is None or at in [one["at"] for one in said["errors"]]

    asked(config, ask)


def test_what_is_no_json_and_where_nothing_is(config: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for content, status in (
            (b'{"query": ', 400),
            (b'{"query": "\\ud800"}', 422),
            (b"\xff", 400),
            (b"[" * 9_999, 400),
        ):
            found = await client.post(QUERY, content=content, headers={"content-type": "application/json"})
            assert found.status_code == status, content[:9]
        deep = (
            b'{"query": "a", "filter": '
            + b'{"$and": [' * (MAX_DEPTH + 2)
            + b'{"a": 1}'
            + b"]}" * (MAX_DEPTH + 2)
            + b"}"
        )
        found = await client.post(QUERY, content=deep, headers={"content-type": "application/json"})
        assert (found.status_code, found.json()["errors"][0]["at"]) == (422, "body.filter")
        assert (await client.post(QUERY, data={"query": "a"})).status_code == 415
        assert (await client.get(QUERY)).status_code == 405
        assert (await client.get("/docs")).status_code == 404
        assert (await client.post("/v1/datasets/nothing/query", json={"query": "a"})).status_code == 404

    asked(config, ask)


def test_a_token(config: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        right = {"authorization": f"Bearer {SECRET}"}
        for path in ("/v1/datasets", "/metrics", "/openapi.json", "/nothing"):
            refused = await client.get(path)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        for wrong in (f"Bearer {SECRET}x", SECRET, "Bearer", "Bearer é", f"Basic {SECRET}"):
            refused = await client.post(QUERY, json={"query": "a"}, headers={"authorization": wrong.encode()})
            assert refused.status_code == 401
            assert SECRET not in refused.text
        assert (await client.get("/v1/datasets", headers=right)).status_code == 200
        assert (await client.post(QUERY, json={"query": "a"}, headers=right)).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
        # Why it is not ready is told to who may ask.
        assert [(await client.get("/readyz", headers=one)).json()["datasets"][0]["reason"] for one in ({}, right)] == [
            None,
            "x",
        ]

    def unready(*_: object) -> None:
        raise UnavailableError("x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckDBTarget, "describe", unready)
        asked(config, ask, token=SECRET)


def test_no_error_says_the_token(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise UnavailableError(f"a proxy refused {SECRET}, and the question about bees, 'about bees'")

    async def ask(client: httpx.AsyncClient) -> None:
        right = {"authorization": f"Bearer {SECRET}"}
        found = await client.post(QUERY, json={"query": "about bees"}, headers=right)
        assert (found.status_code, found.json()["detail"][:29]) == (503, "a proxy refused …, and the qu")
        assert "bees" not in found.text

    monkeypatch.setattr(DuckDBTarget, "query", broken)
    with caplog.at_level(logging.DEBUG, "vector_pipeline"):
        asked(config, ask, token=SECRET)
    assert "a proxy refused" in caplog.text
    assert SECRET not in caplog.text
    assert "bees" not in caplog.text


def test_too_large_a_body(config: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10

    async def ask(client: httpx.AsyncClient) -> None:
        for content in (b" " * 1_000, pieces()):
            found = await client.post(QUERY, content=content, headers={"content-type": "application/json"})
            assert found.status_code == 413

    asked(config, ask, limits=Limits(body_bytes=500))


def test_too_slow_a_body(config: Path) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def ask(client: httpx.AsyncClient) -> None:
        found = await client.post(QUERY, content=never(), headers={"content-type": "application/json"})
        assert found.status_code == 408

    asked(config, ask, limits=Limits(timeout_s=0.5))


def test_nobody_queues(config: Path, flaky: Flaky) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        flaky.held = threading.Event()
        first = asyncio.create_task(client.post(QUERY, json={"query": "a"}))
        while not flaky.asked:
            await asyncio.sleep(0.001)
        second = await client.post(QUERY, json={"query": "a"})
        assert (second.status_code, second.json()["kind"], second.headers["retry-after"]) == (503, "saturated", "1")
        assert (await client.get("/readyz")).status_code == 200
        text = (await client.get("/metrics")).text
        assert "vector_pipeline_http_saturated_total 1.0" in text
        assert "vector_pipeline_http_working 1.0" in text
        flaky.held.set()
        assert (await first).status_code == 200
        assert (await client.post(QUERY, json={"query": "a"})).status_code == 200

    asked(config, ask, limits=Limits(max_concurrency=1))


def test_time_is_over(config: Path, flaky: Flaky) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        flaky.held = threading.Event()
        found = await client.post(QUERY, json={"query": "a"})
        assert (found.status_code, found.json()["kind"]) == (504, "timeout")
        flaky.held.set()

    asked(config, ask, limits=Limits(timeout_s=0.3))


def test_a_target_that_does_not_answer(config: Path, flaky: Flaky) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        flaky.fails = 10_000
        found = await client.post(QUERY, json={"query": "a"})
        assert (found.status_code, found.json()["kind"], found.headers["retry-after"]) == (503, "unavailable", "5")

    asked(config, ask)


def test_messages_and_logs_hold_no_secret_and_no_text(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SECRET_OF_A_TEST", SECRET)
    text = config.read_text(encoding="utf-8")
    config.write_text(f"{text}\nenvironments:\n  dev: {{registry: '${{env:SECRET_OF_A_TEST}}'}}\n", encoding="utf-8")
    monkeypatch.setenv("SECRET_OF_A_TEST", "sqlite:///.vector_pipeline/registry.sqlite")

    async def ask(client: httpx.AsyncClient) -> None:
        monkeypatch.setenv("SECRET_OF_A_TEST", SECRET)
        for error in (CorruptError(f"it said {SECRET}"), RuntimeError(f"it said {SECRET}")):

            def broken(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            monkeypatch.setattr(DuckDBTarget, "query", broken)
            found = await client.post(f"{QUERY}?{SECRET}", json={"query": "a question"})
            assert found.status_code == 500
            assert SECRET not in found.text

    with caplog.at_level(logging.DEBUG, "vector_pipeline"):
        asked(config, ask)
    assert f"POST {QUERY} 500" in caplog.text
    assert SECRET not in caplog.text
    assert "a question" not in caplog.text


async def posted(client: httpx.AsyncClient, body: object) -> httpx.Response:
    """As any client may: httpx itself sends no half of a surrogate pair."""
    return await client.post(QUERY, content=json.dumps(body), headers={"content-type": "application/json"})


def wide(count: int) -> dict[str, Any]:
    return {"$or": [{"title": f"Page {number}"} for number in range(count)]}


@pytest.mark.parametrize(
    ("filter", "reason"),
    [
        (wide(MAX_CONDITIONS + 1), f"more than {MAX_CONDITIONS} conditions"),
        ({f"field{number}": 1 for number in range(MAX_CONDITIONS + 1)}, f"more than {MAX_CONDITIONS} conditions"),
        ({"title": {"$in": ["a"] * (MAX_VALUES + 1)}}, f"more than {MAX_VALUES} values"),
        ({"title": "\ud800"}, "half a surrogate pair"),
        ({"title": {"$in": ["a", "\udfff"]}}, "half a surrogate pair"),
        ({"\ud800": 1}, "half a surrogate pair"),
        ({"title": "a\0b"}, "a zero character"),
    ],
)
def test_filters_that_are_not_taken(config: Path, filter: dict[str, Any], reason: str) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        found = await posted(client, {"query": "a", "filter": filter})
        assert (found.status_code, [one["at"] for one in found.json()["errors"]]) == (422, ["body.filter"])
        assert reason in found.json()["detail"]

    asked(config, ask)


def test_a_filter_as_wide_as_is_taken(config: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for filter in (wide(MAX_CONDITIONS), {"title": {"$in": [f"Page {number}" for number in range(MAX_VALUES)]}}):
            found = await client.post(QUERY, json={"query": "about page 2", "filter": filter, "top_k": 1})
            assert [hit["document"] for hit in found.json()["results"][0]["hits"]] == ["page2.md"]

    asked(config, ask)


def test_an_error_is_short_and_repeats_nothing(config: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for body, status in (
            ({"query": "a", "filter": {"title": {"$gt": SECRET}}}, 400),
            ({"query": "a", "filter": {"title": {"$exists": SECRET * 9}}}, 400),
            ({"query": "a", "filter": {"title": {"$exists": [1, SECRET * 9]}}}, 400),
            ({"query": "a", "filter": {"$and": {"title": SECRET}}}, 400),
            ({"query": "a", **{f"{'x' * 900}{number}": 1 for number in range(900)}}, 422),
            ({"query": "a", "\ud800": 1}, 422),
        ):
            found = await posted(client, body)
            assert (found.status_code, SECRET[:9] in found.text) == (status, False), found.text
            assert len(found.content) < 5_000
        wrong = await posted(client, {"query": "a", "filter": {"title": {"$gt": SECRET}}})
        assert wrong.json()["detail"] == "filter.title.$gt orders numbers only, not '…'", "and says where it is"

    asked(config, ask)


def test_a_lost_index_is_no_mistake_of_who_asks(released: Project, caplog: pytest.LogCaptureFixture) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.post(QUERY, json={"query": "a"})).status_code == 200
        released.target("handbook").drop_namespace(namespace_of(released, 1), fence=1_000)
        found = await client.post(QUERY, json={"query": "a"})
        assert (found.status_code, found.json()["kind"], found.headers["retry-after"]) == (503, "unavailable", "5")
        assert "namespace" in found.json()["detail"]
        unknown = await client.post("/v1/datasets/nothing/query", json={"query": "a"})
        assert (unknown.status_code, unknown.json()["kind"]) == (404, "not-found")

    asked(config_of(released), ask)
    assert "unavailable" in caplog.text
