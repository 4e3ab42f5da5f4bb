"""What the endpoints answer. Every response here is held against the OpenAPI document by the client."""

from pathlib import Path

import httpx
import pytest

from tests.conftest import write_project
from tests.service.conftest import QUERY, asked
from tests.serving.conftest import edited, namespace_of
from tests.serving.test_limits import Flaky
from vector_pipeline.project import Project
from vector_pipeline.serving import open_index

SECOND = """
  notes:
    source: {root: notes, include: ["**/*.md"]}
    shards: 2
    spaces:
      tiny:
        embedder: {kind: deterministic, model: seed, dimension: 128}
        chunker: {max_tokens: 60, overlap_tokens: 5, min_tokens: 10}
    target: local
"""


def config_of(project: Project) -> Path:
    return project.base / "vector_pipeline.yaml"


@pytest.fixture
def two(released: Project) -> Path:
    """Two datasets; nothing of the second one is promoted."""
    with config_of(released).open("a", encoding="utf-8") as file:
        file.write(SECOND)
    (released.base / "notes").mkdir()
    (released.base / "notes" / "note.md").write_text(
        "# Note\n\nA note about nothing in particular.\n", encoding="utf-8"
    )
    return config_of(released)


def test_an_answer_is_the_readers(released: Project) -> None:
    with open_index("handbook", project=released.base) as index:
        wanted = index.search("about page 1", top_k=2)

    async def ask(client: httpx.AsyncClient) -> None:
        found = await client.post(QUERY, json={"query": "about page 1", "top_k": 2})
        assert found.status_code == 200
        said = found.json()
        about = ("dataset", "version", "space", "arm", "bridged", "bridge", "bridge_recall")
        assert [said[name] for name in about] == ["handbook", 1, "tiny", "production", False, None, None]
        assert said["took_ms"] > 0
        (one,) = said["results"]
        assert one["hits"] == [
            {
                "document": hit.document,
                "score": hit.score,
                "text": hit.text,
                "metadata": dict(hit.metadata),
                "id": hit.id,
            }
            for hit in wanted.hits
        ]
        assert found.headers["cache-control"] == "no-store"

    asked(config_of(released), ask)


def test_several_texts_filters_and_places(released: Project) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        several = {
            "query": ["about page 1", "about page 2"],
            "top_k": 1,
            "key": "user",
            "target": "local",
            "space": "tiny",
        }
        found = (await client.post(QUERY, json=several)).json()
        assert [one["hits"][0]["document"] for one in found["results"]] == ["page1.md", "page2.md"]
        some = {"query": "about page 1", "filter": {"title": "Page 2"}, "top_k": 50}
        found = (await client.post(QUERY, json=some)).json()
        assert {hit["document"] for hit in found["results"][0]["hits"]} == {"page2.md"}

    asked(config_of(released), ask)


def test_a_route_and_a_key(released: Project) -> None:
    released.route("handbook", 2, 1.0, by="test", reason="try it")

    async def ask(client: httpx.AsyncClient) -> None:
        found = (await client.post(QUERY, json={"query": "about page 900", "key": "somebody"})).json()
        assert (found["version"], found["arm"]) == (2, "route")
        (one,) = (await client.get("/v1/datasets")).json()["datasets"]
        assert (one["version"], one["route"]) == (1, {"version": 2, "share": 1.0})
        text = (await client.get("/metrics")).text
        assert 'vector_pipeline_route_share{dataset="handbook",version="2"} 1.0' in text
        assert 'vector_pipeline_queries_total{arm="route",dataset="handbook"} 1.0' in text

    asked(config_of(released), ask)


@pytest.mark.slow
def test_what_is_not_promoted_is_told_and_is_served_once_it_is(two: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        handbook, notes = ready.json()["datasets"]
        assert (handbook["state"], handbook["reason"]) == ("ready", None)
        assert notes["state"] == "nothing-promoted"
        assert "nothing of notes is in production yet" in notes["reason"]
        empty = (await client.get("/v1/datasets")).json()["datasets"][1]
        assert empty == {
            "name": "notes", "state": "nothing-promoted", "version": None, "space": None, "arm": None, "route": None,
        }  # fmt: skip
        missing = await client.post("/v1/datasets/notes/query", json={"query": "a note"})
        assert (missing.status_code, missing.json()["kind"]) == (503, "unavailable")
        with Project.load(two) as project:
            project.build("notes")
            project.push("notes")
            project.verify("notes")
            project.promote("notes", by="test")
        found = await client.post("/v1/datasets/notes/query", json={"query": "a note"})
        assert found.json()["results"][0]["hits"][0]["document"] == "note.md"

    asked(two, ask)


def test_what_is_required_makes_it_unready(two: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert [one["required"] for one in ready.json()["datasets"]] == [False, True]
        assert (await client.get("/healthz")).status_code == 200

    asked(two, ask, required=["notes"])


def test_a_lost_index_makes_it_unready_and_says_why(released: Project) -> None:
    released.target("handbook").drop_namespace(namespace_of(released, 1), fence=1_000)

    async def ask(client: httpx.AsyncClient) -> None:
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        (one,) = ready.json()["datasets"]
        assert one["state"] == "unready"
        assert "has no handbook--tiny" in one["reason"]
        assert (
            'vector_pipeline_dataset_state{dataset="handbook",state="unready"} 1.0'
            in (await client.get("/metrics")).text
        )

    asked(config_of(released), ask)


def test_a_project_without_anything_starts(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["reason"]) == (503, "nothing is promoted")
        assert ready.json()["datasets"][0]["state"] == "nothing-promoted"
        assert (await client.post(QUERY, json={"query": "anything"})).status_code == 503

    asked(write_project(tmp_path, 2), ask)


def test_without_its_registry_nothing_is_ready(released: Project) -> None:
    """It looks as if nothing had ever been promoted."""
    released.registry().close()
    (released.base / ".vector_pipeline" / "registry.sqlite").unlink()

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.post(QUERY, json={"query": "anything"})).status_code == 503
        assert (await client.get("/healthz")).status_code == 200

    asked(config_of(released), ask)


def test_an_index_that_fails_is_not_ready_although_it_is_there(released: Project, flaky: Flaky) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/readyz")).status_code == 200
        flaky.fails = 10_000
        while True:
            assert (await client.post(QUERY, json={"query": "a"})).status_code == 503
            ready = await client.get("/readyz")
            if ready.status_code == 503:
                break
        assert "it failed again and again" in ready.json()["datasets"][0]["reason"]

    asked(config_of(released), ask)


@pytest.mark.slow
def test_rollback_and_promotion_are_followed(released: Project) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        seen = []
        for _ in range(2):
            edited(released, 700 + len(seen))
            # The alias is asked again a second after it was asked last, at the latest.
            wanted = released.registry().alias("handbook", "dev", "production").deployment.version  # type: ignore[union-attr]
            while True:
                found = (await client.post(QUERY, json={"query": "about"})).json()["version"]
                if found == wanted:
                    break
            seen.append(found)
        assert seen == [3, 4]

    asked(config_of(released), ask)
