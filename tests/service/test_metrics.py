"""Metrics: both formats parse, counters are the readers', and every one is on the page."""

import re
from pathlib import Path

import httpx
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from tests.service.conftest import QUERY, asked
from tests.service.test_endpoints import config_of
from vector_pipeline.project import Project
from vector_pipeline.serving.metering import BUCKETS_S

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    found: Samples = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"vector_pipeline_{name}", frozenset(labels.items())


def test_what_was_asked_is_counted(released: Project) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain")
        for body in (
            {"query": "a"},
            {"query": ["a", "b"]},
            {"query": "a", "target": "local"},
            {"query": "a", "filter": {}},
        ):
            await client.post(QUERY, json=body)
        await client.get("/no/such%0apath")
        found = samples((await client.get("/metrics")).text)
        production = {"dataset": "handbook", "arm": "production"}
        # Readers of one dataset are counted together; several texts are one call.
        assert found[key("queries_total", **production)] == 4
        # A wrong question is no failure of what is asked.
        assert found[key("query_errors_total", **production)] == 0
        buckets = [found[key("query_seconds_bucket", le=f"{bound:g}", **production)] for bound in BUCKETS_S]
        assert buckets == sorted(buckets)
        assert found[key("query_seconds_count", **production)] == 4
        assert found[key("query_seconds_bucket", le="+Inf", **production)] == 4
        whole = found[key("query_seconds_sum", **production)]
        assert (
            whole
            > found[key("embed_seconds_total", **production)] + found[key("search_seconds_total", **production)]
            > 0
        )
        assert found[key("dataset_ready", dataset="handbook")] == 1
        assert found[key("served", dataset="handbook", version="1", space="tiny", arm="production")] == 1
        assert found[key("alias_pushed", dataset="handbook")] == 0
        assert 0 <= found[key("alias_age_seconds", dataset="handbook")] < 60
        states = {
            one: found[key("breaker_state", dataset="handbook", state=one)] for one in ("closed", "half-open", "open")
        }
        assert states == {"closed": 1, "half-open": 0, "open": 0}
        assert found[key("http_requests_total", route="/v1/datasets/{dataset}/query", status="200")] == 3
        assert found[key("http_requests_total", route="/v1/datasets/{dataset}/query", status="400")] == 1
        assert found[key("http_requests_total", route="other", status="404")] == 1

    asked(config_of(released), ask)


def test_openmetrics_where_it_is_accepted(released: Project) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        await client.post(QUERY, json={"query": "a"})
        accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
        found = await client.get("/metrics", headers=accept)
        assert found.headers["content-type"].startswith("application/openmetrics-text")
        names = [one.name for one in openmetrics.text_string_to_metric_families(found.text)]
        assert "vector_pipeline_queries" in names

    asked(config_of(released), ask)


def test_every_metric_is_on_the_page(released: Project) -> None:
    told = set(re.findall(r"^\| `(vector_pipeline_\w+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    async def ask(client: httpx.AsyncClient) -> None:
        text = (await client.get("/metrics")).text
        assert set(re.findall(r"^# TYPE (vector_pipeline_\w+)", text, re.MULTILINE)) == told

    asked(config_of(released), ask)
