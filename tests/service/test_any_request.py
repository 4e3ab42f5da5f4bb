"""Whatever a client sends, it is no error of the service: requests that the OpenAPI document allows, and any others.

Law 4 of the package. Every response is held against the document by the client.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.conftest import QUERY, client, released_copy
from vector_pipeline.service.limits import Limits

Send = Callable[..., httpx.Response]
NAMES = ["title", "folder", "heading", "vp_added_in", "_vp_x", "a.b", "", "$or", "$foo", "\0", "\ud800"]
OPERATORS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$and", "$or", "$no"]
TEXTS = st.one_of(
    st.sampled_from(["", " ", "\0", "!!!", "\ud800", "about page 1", "a" * 600, "\u202e", "🙂", "NaN"]),
    st.text(st.characters(), max_size=20),
)
NUMBERS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 5, 50, 1_000, 1_001, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), 0.5, True]
    ),
    st.integers(),
    st.floats(),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
ANYTHING = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=4) | st.dictionaries(TEXTS, one, max_size=4), max_leaves=10
)
CONDITIONS = st.one_of(
    SCALARS, st.dictionaries(st.sampled_from(OPERATORS), st.lists(SCALARS, max_size=3) | SCALARS, max_size=2)
)
FILTERS = st.recursive(
    st.dictionaries(st.sampled_from(NAMES) | TEXTS, CONDITIONS, max_size=3),
    lambda one: st.fixed_dictionaries(
        {}, optional={"$and": st.lists(one, max_size=3), "$or": st.lists(one, max_size=3)}
    ),
    max_leaves=6,
)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "query": TEXTS | st.lists(TEXTS, max_size=3), "top_k": NUMBERS, "filter": FILTERS, "key": TEXTS,
    "target": st.sampled_from(["local", "nowhere", "", "\ud800"]), "space": st.sampled_from(["tiny", "nowhere", "\0"]),
}  # fmt: skip
BODIES = st.one_of(
    st.fixed_dictionaries(
        {"query": st.just("about page 1")}, optional={name: LIKELY[name] for name in LIKELY if name != "query"}
    ),
    st.fixed_dictionaries({}, optional={name: one | ANYTHING for name, one in LIKELY.items()}),
    ANYTHING,
)
PATHS = [
    "/v1/datasets",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1",
    "/",
    QUERY,
    f"{QUERY}/",
    "//",
    "/%00",
]
DATASETS = [
    "handbook",
    "%ff",
    "%00",
    "nothing",
    "a" * 3_000,
    "%F0%9F%99%82",
    "%ed%a0%80",
    "handbook%2fquery",
]
LESS = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def send(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """Ask one service, again and again."""
    config = released_copy(template, tmp_path_factory.mktemp("any") / "project")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        made = runner.run(stack.enter_async_context(client(config, limits=Limits(timeout_s=120))))

        def sent(method: str, url: str, **options: Any) -> httpx.Response:
            return runner.run(made.request(method, url, **options))

        yield sent
        runner.run(stack.aclose())


def answered(found: httpx.Response, allowed: set[int]) -> None:
    assert found.status_code in allowed, (found.status_code, found.text[:300])
    if found.status_code >= 400:
        assert found.headers["content-type"] == "application/problem+json"
        assert set(found.json()) >= {"type", "title", "status", "detail", "kind"}


@LESS
@given(BODIES)
def test_any_query(send: Send, body: object) -> None:
    found = send("POST", QUERY, content=json.dumps(body), headers={"content-type": "application/json"})
    answered(found, {200, 400, 404, 422})


@LESS
@given(FILTERS)
def test_any_filter(send: Send, filter: object) -> None:
    body = {"query": "about page 1", "filter": filter, "top_k": 2}
    found = send("POST", QUERY, content=json.dumps(body), headers={"content-type": "application/json"})
    answered(found, {200, 400, 422})


@LESS
@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "application/json; charset=utf-16", "text/plain", "", "json"]),
)
def test_any_bytes(send: Send, body: bytes, kind: str) -> None:
    answered(send("POST", QUERY, content=body, headers={"content-type": kind}), {200, 400, 415, 422})


@LESS
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]),
    st.sampled_from(PATHS),
    TEXTS,
)
def test_any_method_and_path(send: Send, method: str, path: str, asked: str) -> None:
    """And any question mark, which no path takes."""
    tail = asked.encode("utf-8", "ignore")[:20].hex()
    found = send(method, f"{path}?{tail}", headers={"accept": "*/*"})
    assert found.status_code < 500


@LESS
@given(st.sampled_from(DATASETS))
def test_any_dataset(send: Send, name: str) -> None:
    found = send("POST", f"/v1/datasets/{name}/query", json={"query": "about page 1"})
    answered(found, {200, 404})
    assert len(found.content) < 100_000
